"""All units of a set of files: loaded, instances made of their templates, `.wants` directories merged in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from maestro.model import names
from maestro.model.load import DEFAULTS, Loaded, Settings, load, refused
from maestro.model.names import UnitName
from maestro.model.plain import Mistake
from maestro.model.problem import Problem, in_order
from maestro.model.unit import Unit, UnitSection
from maestro.model.values import UnitRef
from maestro.model.yaml_events import Parsed, parse

DEFAULT_TARGET = "default.target"
SAMPLE_INSTANCE = "instance"  # a template is checked with it, so that its problems show before it is used


class Piece(Protocol):
    """`ports.Piece`."""

    @property
    def path(self) -> str: ...
    @property
    def text(self) -> bytes: ...
    @property
    def refused(self) -> str: ...


class Sources(Protocol):
    """`ports.UnitSources`: what `UnitFiles.read` gives."""

    @property
    def files(self) -> Mapping[str, Piece]: ...
    @property
    def links(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def requirements(self) -> Mapping[str, tuple[str, ...]]: ...


class _Entry(Struct, frozen=True):
    """One file: what it was made from, and what was made of it."""

    piece: Piece
    name: UnitName | None
    parsed: Parsed | None
    loaded: Loaded


class Library:
    """Units by full name. Instances of templates are made when they are asked for."""

    def __init__(self, entries: Mapping[str, _Entry], sources: Sources, settings: Settings) -> None:
        self.entries = entries
        self.settings = settings
        self._links = (sources.links, sources.requirements)
        self._known: dict[str, Loaded] = {}
        self._templates: dict[str, _Entry] = {}
        for entry in entries.values():
            if entry.name is not None and entry.name.is_template:
                self._templates[entry.name.full] = entry
            elif entry.name is not None:
                self._known[entry.name.full] = self._linked(entry.loaded)
        if DEFAULT_TARGET not in self._known:
            built_in = Unit(
                name=DEFAULT_TARGET, kind="target", unit=UnitSection(description="What runs by default.")
            )
            self._known[DEFAULT_TARGET] = self._linked(Loaded(name=DEFAULT_TARGET, path="", unit=built_in))

    @property
    def loaded(self) -> Mapping[str, Loaded]:
        """What was loaded so far, templates aside: all files, and the instances that were asked for."""
        return self._known

    @property
    def templates(self) -> Mapping[str, Loaded]:
        """Templates by name ("worker@"), checked with a sample instance."""
        return {name: entry.loaded for name, entry in self._templates.items()}

    @property
    def units(self) -> Mapping[str, Unit]:
        """The units without a problem."""
        return {name: loaded.unit for name, loaded in self._known.items() if loaded.unit is not None}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of all files, once each; of files whose names are no names, too."""
        from_files = [problem for entry in self.entries.values() for problem in entry.loaded.problems]
        return in_order(
            dict.fromkeys([*from_files, *(p for one in self._known.values() for p in one.problems)])
        )

    def get(self, name: str) -> Loaded | None:
        """The unit of this name, if need be made of its template. None when no file is there for it."""
        try:
            parts = names.split(name)
        except Mistake:
            return None
        if parts.is_template:
            return None
        known = self._known.get(parts.full)
        if (
            known is None
            and parts.template is not None
            and (entry := self._templates.get(parts.template.full))
        ):
            known = self._linked(_instance(entry, parts, self.settings))
            self._known[parts.full] = known
        return known

    def has(self, name: str) -> bool:
        """Whether there is a file for this name; an instance of a template is not made for the answer."""
        parts = names.split(name)
        return parts.full in self._known or (
            parts.template is not None and parts.template.full in self._templates
        )

    def _linked(self, loaded: Loaded) -> Loaded:
        """With what the unit's .wants and .requires directories name."""
        wants, requires = (links.get(loaded.name, ()) for links in self._links)
        unit = loaded.unit
        if unit is None or not (wants or requires):
            return loaded
        merged = replace(
            unit.unit, wants=_joined(unit.unit.wants, wants), requires=_joined(unit.unit.requires, requires)
        )
        return replace(loaded, unit=replace(unit, unit=merged))


def load_all(
    sources: Sources,
    wanted: Iterable[str] = (),
    settings: Settings = DEFAULTS,
    previous: Library | None = None,
) -> Library:
    """All units of these files, and the wanted instances. What did not change is taken from `previous`."""
    old = previous.entries if previous is not None and previous.settings == settings else {}
    entries = {}
    for file, piece in sources.files.items():
        same = old.get(file)
        entries[file] = same if same is not None and same.piece is piece else _entry(file, piece, settings)
    library = Library(entries, sources, settings)
    for name in wanted:
        library.get(name)
    return library


def _entry(file: str, piece: Piece, settings: Settings) -> _Entry:
    try:
        name = names.split_file(file)
    except Mistake as mistake:
        message = piece.refused or str(mistake)
        return _Entry(piece, None, None, refused(file, piece.path, message, mistake.faults[0].hint))
    if piece.refused:
        return _Entry(piece, name, None, refused(name.full, piece.path, piece.refused))
    entry = _Entry(piece, name, parse(piece.text, piece.path), refused(name.full, piece.path, "not loaded"))
    sample = name.with_instance(SAMPLE_INSTANCE) if name.is_template else name
    return replace(entry, loaded=replace(_instance(entry, sample, settings), name=name.full))


def _instance(entry: _Entry, name: UnitName, settings: Settings) -> Loaded:
    """The unit of this name from a file that may be its template."""
    parsed, path = entry.parsed, entry.piece.path
    if parsed is None:
        return replace(entry.loaded, name=name.full)
    if parsed.broken:
        return Loaded(name=name.full, path=path, unit=None, problems=in_order(parsed.problems))
    return load(name, parsed.data, parsed.marks, path, settings, parsed.problems)


def _joined(references: tuple[UnitRef, ...], linked: Iterable[str]) -> tuple[UnitRef, ...]:
    return tuple(dict.fromkeys([*references, *map(UnitRef, linked)]))
