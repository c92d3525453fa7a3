"""What is loaded: the library of unit files, and the definitions that running agents were started from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from maestro.engine import together
from maestro.engine.graph import Graph, tell_cycle
from maestro.engine.state import State
from maestro.engine.world import World
from maestro.model import names
from maestro.model.library import Library, load_all
from maestro.model.load import Loaded, Settings, load_text
from maestro.model.problem import Problem, in_order
from maestro.model.unit import Unit
from maestro.ports import Piece, UnitFiles, UnitSources


class Definition(Struct, frozen=True):
    """The file an agent was started from, so that a crash of ours does not change what is in force."""

    file: str
    path: str
    text: bytes


class Changes(Struct, frozen=True, kw_only=True):
    """What reading the files again has changed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Catalogue:
    """Unit names -> units, for the world. One bad file harms only its own unit; a running agent keeps its last good definition."""

    def __init__(self, files: UnitFiles, settings: Settings) -> None:
        self._files = files
        self._settings = settings
        self._sources: UnitSources = UnitSources(files={}, links={})
        self.library = Library({}, self._sources, settings)
        self._linked: frozenset[str] = frozenset()  # units that .wants and .requires directories name
        self._noted: dict[str, bytes] = {}  # definitions as the store has them

    def load(self, world: World, definitions: Mapping[str, bytes]) -> None:
        """Read the files, and put their units into the world beside the restored lives."""
        self._noted = dict(definitions)
        self._read(world.lives)
        for unit in self.library.units.values():
            world.put(unit)
        for name, life in world.lives.items():
            if name not in world.units and (life.alive or life.state not in (State.DEAD, State.FAILED)):
                kept = self._from_definition(name)
                if kept is not None:
                    world.put(kept)

    def reload(self, world: World) -> Changes:
        """Read the files again. What became bad or went away stays in force for as long as something runs of it.

        What is removed is for the world to forget, by the event `Reread`.
        """
        before = dict(world.units)
        self._read(world.units)
        now = self.library.units
        for name, unit in now.items():
            if before.get(name) != unit:
                world.put(unit)
        removed = [name for name in before if name not in now and self._may_go(world, name)]
        return Changes(
            added=tuple(sorted(set(now) - set(before))),
            changed=tuple(sorted(name for name in now if name in before and before[name] != now[name])),
            removed=tuple(sorted(removed)),
        )

    def _read(self, wanted: Iterable[str]) -> None:
        self._sources = self._files.read()
        links = (*self._sources.links.values(), *self._sources.requirements.values())
        self._linked = frozenset(name for names in links for name in names)
        self.library = load_all(self._sources, wanted, self._settings, previous=self.library)

    def _may_go(self, world: World, name: str) -> bool:
        """Nothing runs of it, and its file is gone: a file that went bad keeps its unit in sight."""
        return not world.life(name).alive and self.library.get(name) is None

    def resolve(self, name: str) -> Unit | None:
        loaded = self.library.get(name)
        return loaded.unit if loaded else None

    def loaded(self, name: str) -> Loaded | None:
        """What became of the file of a unit; None when there is no file."""
        return self.library.get(name)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.library.problems

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What keeps units from being started although each of them loads."""
        units = list(self.library.units.values())
        return in_order([*together.missing(units, self.library.has), *together.circle(units, Graph(units))])

    def lack(self, unit: Unit) -> str:
        """The first requirement that keeps this unit from being started, in words; empty when all are there."""
        for name in map(str, unit.unit.requires):
            if not self.library.has(name):
                return f"requires {name}, which {together.does_not_exist(name)}"
            required = self.library.loaded.get(name)
            if required is not None and required.problems:
                return f"requires {name}, which does not load: {required.problems[0]}"
        return ""

    def cycle(self, world: World) -> str:
        """The order of the loaded units, if it runs in a circle, in words."""
        return tell_cycle(world.graph.cycle())

    # ------------------------------------------------------------------------------ files behind a unit

    def piece(self, name: str) -> tuple[str, Piece] | None:
        """File name and content that a unit was loaded from."""
        return _piece(name, self._sources)

    def is_changed(self, name: str) -> bool:
        """Whether the file on disk is another than the one in force."""
        mine = self.piece(name)
        return mine is not None and self._files.draft(mine[1].path).text != mine[1].text

    def is_enabled(self, name: str) -> bool:
        """Whether a target's directory of links names this unit."""
        return name in self._linked

    def definition(self, name: str) -> bytes | None:
        """What the store must learn before an agent of this unit starts; None when it knows."""
        found = self.piece(name)
        if found is None:
            return None
        body = msgspec.msgpack.encode(Definition(found[0], found[1].path, found[1].text))
        if self._noted.get(name) == body:
            return None
        self._noted[name] = body
        return body

    def _from_definition(self, name: str) -> Unit | None:
        body = self._noted.get(name)
        if body is None:
            return None
        kept = msgspec.msgpack.decode(body, type=Definition)
        return load_text(names.split(name).file, kept.text, kept.path, self._settings).unit


def _piece(name: str, sources: UnitSources) -> tuple[str, Piece] | None:
    unit = names.split(name)
    for candidate in (unit, unit.template):
        if candidate is not None and candidate.file in sources.files:
            return candidate.file, sources.files[candidate.file]
    return None
