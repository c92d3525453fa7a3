"""All units of a set of files: loaded, instances made of their templates, drop-ins and `.wants` directories merged in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from maestro.model import aliases, names, slices
from maestro.model.load import DEFAULTS, Loaded, Settings, load_pieces, refused
from maestro.model.names import UnitName
from maestro.model.plain import Mistake
from maestro.model.problem import Problem, in_order
from maestro.model.unit import ResourcesSection, Unit
from maestro.model.values import UnitRef
from maestro.model.yaml_events import Parsed, parse

P = TypeVar("P")
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
    @property
    def masked(self) -> bool: ...


class Sources(Protocol):
    """`ports.UnitSources`: what `UnitFiles.read` gives."""

    @property
    def files(self) -> Mapping[str, Piece]: ...
    @property
    def links(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def requirements(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def overlays(self) -> Mapping[str, Piece]: ...
    @property
    def dropins(self) -> Mapping[str, tuple[Piece, ...]]: ...
    @property
    def aliases(self) -> Mapping[str, str]: ...
    @property
    def enabled(self) -> Mapping[str, str]: ...
    @property
    def runtime(self) -> str: ...


class BuiltIn(Struct, frozen=True):
    """A unit that is there without a file."""

    text: bytes
    path: str = ""
    refused: str = ""
    masked: bool = False


_SLICE = BuiltIn(b"")  # one that has no file is there all the same, without limits and owner
_BUILT_IN = {f"{DEFAULT_TARGET}.yaml": BuiltIn(b"unit: {description: What runs by default.}")}


class _Entry(Struct, frozen=True, gc=False):
    """One file, or one instance of a template: what it was made from, and what was made of it."""

    pieces: tuple[Piece, ...]
    name: UnitName | None
    loaded: Loaded


class Library:
    """Units by full name. Instances of templates are made when they are asked for."""

    def __init__(self, sources: Sources, settings: Settings, previous: Library | None = None) -> None:
        self.settings = settings
        self._sources = sources
        self._files: dict[str, Piece] = {**_BUILT_IN, **sources.files}
        same = previous is not None and previous.settings == settings
        self._before = previous._made if previous is not None and same else {}
        self._parsed_before = previous._parsed if previous is not None and same else {}
        self._parsed: dict[str, tuple[Piece, Parsed]] = {}  # by path: what several units are made of
        self._read_once: set[str] = set()  # paths
        self._made: dict[str, _Entry] = {}  # by name of the file, as it is or would be
        self._known: dict[str, Loaded] = {}
        self._templates: dict[str, _Entry] = {}
        self._aliases, self._not_aliases = aliases.sort(sources.aliases)
        for file in tuple(self._files):  # slices without a file are added meanwhile
            if file in self._aliases:
                continue
            entry = self._entry(file)
            if entry.name is not None and entry.name.is_template:
                self._templates[entry.name.full] = entry
            elif entry.name is not None:
                self._keep(entry.name.full, entry.loaded)

    def with_file(self, sources: Sources, name: UnitName) -> Library:
        """The same where only this unit's own file is another one, or gone: nothing else is looked at again."""
        other = copy(self)
        other._sources, other._files = sources, {**_BUILT_IN, **sources.files}
        other._made = {file: entry for file, entry in self._made.items() if file != name.file}
        other._known = {full: loaded for full, loaded in self._known.items() if full != name.full}
        other.get(name.full)
        return other

    # ------------------------------------------------------------------------------ what there is

    @property
    def loaded(self) -> Mapping[str, Loaded]:
        """What was loaded so far, templates aside: all files, and the instances that were asked for."""
        return self._known

    @property
    def templates(self) -> Mapping[str, Loaded]:
        """Templates by name ("worker@"), checked with a sample instance."""
        return {name: entry.loaded for name, entry in self._templates.items()}

    @property
    def declared(self) -> list[str]:
        """What has a file of its own that loads, templates among it."""
        made = (entry for file, entry in self._made.items() if file in self._sources.files)
        return sorted(entry.name.full for entry in made if entry.name is not None and entry.loaded.unit)

    @property
    def units(self) -> Mapping[str, Unit]:
        """The units without a problem."""
        return {name: loaded.unit for name, loaded in self._known.items() if loaded.unit is not None}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of all files, once each; of files whose names are no names, too."""
        from_files = [problem for entry in self._made.values() for problem in entry.loaded.problems]
        return in_order(
            dict.fromkeys([*from_files, *(p for one in self._known.values() for p in one.problems)])
        )

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is laid over units that there are not."""
        over = {folder.removesuffix(".d"): found for folder, found in self._sources.dropins.items()}
        over |= {file: (piece,) for file, piece in self._sources.overlays.items()}
        return in_order(
            Problem(piece.path, 1, 1, "", why)
            for file, pieces in over.items()
            if file not in names.KINDS and (why := self._why_no_unit(file))
            for piece in pieces
        )

    def get(self, name: str, *, implied: bool = False) -> Loaded | None:
        """The unit of this name, if need be made of its template. None when no file is there for it.

        A slice that is `implied`, for something is in it, needs none.
        """
        try:
            parts = names.split(name)
        except Mistake:
            return None
        if parts.is_template:
            return None
        parts = aliases.real(parts, self._aliases)
        if implied and parts.kind == "slice" and not any(file in self._files for file in parts.files):
            self._files[parts.file] = _SLICE
        if parts.full not in self._known and any(file in self._files for file in parts.files):
            self._keep(parts.full, self._entry(parts.file).loaded)
        return self._known.get(parts.full)

    def has(self, name: str) -> bool:
        """Whether there is a file for this name; an instance of a template is not made for the answer."""
        return any(file in self._files for file in aliases.real(names.split(name), self._aliases).files)

    def real(self, name: str) -> str:
        """The name of the unit that an alias means; any other name as it is."""
        return aliases.real(names.split(name), self._aliases).full if self._aliases else name

    @property
    def aliases(self) -> Mapping[str, str]:
        """Other names of units, templates among them: alias -> name."""
        return {names.split_file(file).full: name.full for file, name in self._aliases.items()}

    def _why_no_unit(self, file: str) -> str:
        try:
            name = names.split_file(file)
        except Mistake as mistake:
            return f"belongs to no unit: {mistake}"
        if name.file in self._aliases:
            return f"belongs to an alias: its unit is {self._aliases[name.file].full}"
        return "" if self.has(name.full) else f"belongs to no unit: there is no {' or '.join(name.files)}"

    # ------------------------------------------------------------------------------ how it is made

    def _entry(self, file: str) -> _Entry:
        """What a file makes, or would make; from the last time where nothing of it has changed."""
        found = self._files.get(file)
        try:
            name = names.split_file(file)
        except Mistake as mistake:
            assert found is not None  # no unit is asked for by such a name
            message, hint = (found.refused, "") if found.refused else (str(mistake), mistake.faults[0].hint)
            entry = _Entry((found,), None, refused(file, found.path, message, hint))
        else:
            entry = self._of(name)
        self._made[file] = entry
        return entry

    def _of(self, name: UnitName) -> _Entry:
        sample = name.with_instance(SAMPLE_INSTANCE) if name.is_template else name
        given = pieces(sample, self._files, self._sources.overlays, self._sources.dropins)
        before = self._before.get(name.file)
        if before is not None and before.pieces == given:
            paths = (piece.path for piece in given if piece.path in self._parsed_before)
            self._parsed |= {path: self._parsed_before[path] for path in paths}
            return before
        return _Entry(given, name, replace(self._load(sample, given), name=name.full))

    def _load(self, name: UnitName, given: tuple[Piece, ...]) -> Loaded:
        base, *_ = given
        file = next(file for file in name.files if file in self._files)
        if file in self._not_aliases:
            return refused(name.full, base.path, self._not_aliases[file])
        if base.masked:
            return Loaded(name=name.full, path=base.path, unit=None, masked=True)
        bad = [refused(name.full, piece.path, piece.refused) for piece in given if piece.refused]
        if bad:
            problems = in_order(problem for one in bad for problem in one.problems)
            return Loaded(name=name.full, path=base.path, unit=None, problems=problems)
        return load_pieces(name, [self._parse(piece) for piece in given], self.settings)

    def _parse(self, piece: Piece) -> Parsed:
        """A template and what is for all units of a kind are kept once they are read again; the rest would be memory for nothing."""
        for known in (self._parsed, self._parsed_before):
            if piece.path in known and known[piece.path][0] == piece:
                self._parsed[piece.path] = known[piece.path]
                return known[piece.path][1]
        parsed = parse(piece.text, piece.path)
        if piece.path in self._read_once:
            self._parsed[piece.path] = (piece, parsed)
        self._read_once.add(piece.path)
        return parsed

    def _keep(self, name: str, loaded: Loaded) -> None:
        """Know a unit, and the slices that it is in."""
        self._known[name] = linked = self._linked(loaded)
        if linked.unit is not None:
            for above in slices.chain(linked.unit):
                self.get(above, implied=True)

    def _linked(self, loaded: Loaded) -> Loaded:
        """With what the unit's .wants and .requires directories name, and aliases replaced by names."""
        links = (self._sources.links, self._sources.requirements)
        wants, requires = (one.get(loaded.name, ()) for one in links)
        unit = loaded.unit
        if unit is None or not (wants or requires or self._aliases):
            return loaded
        merged = replace(
            unit.unit, wants=_joined(unit.unit.wants, wants), requires=_joined(unit.unit.requires, requires)
        )
        if self._aliases:
            merged = aliases.resolved(merged, self.real)
        resources = unit.resources
        if self._aliases and isinstance(resources, ResourcesSection) and resources.slice is not None:
            resources = replace(resources, slice=resources.slice.renamed(self.real))
        return replace(loaded, unit=replace(unit, unit=merged, resources=resources))


def load_all(
    sources: Sources,
    wanted: Iterable[str] = (),
    settings: Settings = DEFAULTS,
    previous: Library | None = None,
) -> Library:
    """All units of these files, and the wanted instances. What did not change is taken from `previous`."""
    library = Library(sources, settings, previous)
    for name in wanted:
        library.get(name, implied=True)
    return library


def pieces(
    name: UnitName, files: Mapping[str, P], overlays: Mapping[str, P], dropins: Mapping[str, tuple[P, ...]]
) -> tuple[P, ...]:
    """What a unit is made of: its file or its template, then the environment's, then drop-ins."""
    base = next((files[file] for file in name.files if file in files), None)
    if base is None:
        return ()
    over = [overlays[file] for file in reversed(name.files) if file in overlays]
    return (base, *over, *(piece for folder in name.folders for piece in dropins.get(folder, ())))


def _joined(references: tuple[UnitRef, ...], linked: Iterable[str]) -> tuple[UnitRef, ...]:
    return tuple(dict.fromkeys([*references, *map(UnitRef, linked)]))
