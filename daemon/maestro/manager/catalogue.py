"""What is loaded: the library of unit files, and the definitions that running agents were started from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from maestro.engine import together
from maestro.engine.graph import Graph, tell_cycle
from maestro.engine.state import State
from maestro.engine.world import World
from maestro.model import install, names, slices
from maestro.model import properties as properties_of_unit
from maestro.model.changes import compare
from maestro.model.library import Library, load_all, pieces
from maestro.model.load import Loaded, Settings, load_pieces
from maestro.model.option import Change
from maestro.model.problem import Problem, in_order
from maestro.model.redaction import redacted_bytes
from maestro.model.unit import Unit
from maestro.model.values import ExitStatusSet
from maestro.model.yaml_events import parse
from maestro.ports import Piece, UnitFiles, UnitSources


class Definition(Struct, frozen=True):
    """The files an agent was started from, so that a crash of ours does not change what is in force."""

    file: str
    path: str
    text: bytes
    over: tuple[tuple[str, bytes], ...] = ()  # path and text of what was laid over it


class Changes(Struct, frozen=True, kw_only=True):
    """What reading the files again has changed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    asked: Mapping[str, Mapping[str, Change]] = {}  # of what runs: options that it does not have yet


class Catalogue:
    """Unit names -> units, for the world. One bad file harms only its own unit; a running agent keeps its last good definition."""

    def __init__(self, files: UnitFiles, settings: Settings) -> None:
        self._files = files
        self._settings = settings
        self._sources: UnitSources = UnitSources(files={}, links={})
        self.library = Library(self._sources, settings)
        self._linked: frozenset[str] = frozenset()  # units that .wants and .requires directories name
        self._noted: dict[str, bytes] = {}  # digests of the definitions that the store has
        self._started: dict[str, Unit] = {}  # what the agents that were started last were started from

    def load(self, world: World, definitions: Mapping[str, bytes]) -> None:
        """Read the files, and put their units into the world beside the restored lives."""
        self._noted = {name: _digest(body) for name, body in definitions.items()}
        self._read(world.lives)
        for unit in self.library.units.values():
            world.put(unit)
        for name, life in world.lives.items():
            if name not in world.units and (life.alive or life.state not in (State.DEAD, State.FAILED)):
                kept = self._from_definition(name, definitions)
                if kept is not None:
                    world.put(_at_its_end(kept) if self.masked_by(name) else kept)
            if life.alive and name in definitions:
                same = self._noted[name] == _digest(self._body(name))
                started = world.units.get(name) if same else self._from_definition(name, definitions)
                self._started |= {name: started} if started is not None else {}

    def reload(self, world: World) -> Changes:
        """Read the files again. What became bad or went away stays in force for as long as something runs of it.

        What is removed is for the world to forget, by the event `Reread`.
        """
        before = dict(world.units)
        self._read(name for name in world.units if not self._is_unneeded(world, name))
        now = self.library.units
        for name, unit in now.items():
            if before.get(name) != unit:
                world.put(unit)
        removed = [name for name in before if name not in now and self._may_go(world, name)]
        for name in before:
            if name not in removed and self.masked_by(name):
                world.put(_at_its_end(before[name]))
        changed = sorted(name for name in now if name in before and before[name] != now[name])
        for name in removed:
            self._started.pop(name, None)
        return Changes(
            added=tuple(sorted(set(now) - set(before))),
            changed=tuple(changed),
            removed=tuple(sorted(removed)),
            asked={name: asked for name in now if (asked := self._asked(name, world, before.get(name)))},
        )

    def _asked(self, name: str, world: World, before: Unit | None) -> dict[str, Change]:
        """What the unit in force asks of what runs of it, news or not."""
        if before is None or not world.life(name).alive:
            return {}
        self._started.setdefault(name, before)
        now = world.units[name]
        fresh = {} if before == now else compare(before, now)
        reloads = {option: change for option, change in fresh.items() if change is Change.RELOAD}
        return {**self.outdated(name, world), **reloads}

    def outdated(self, name: str, world: World) -> dict[str, Change]:
        """The options that what runs does not have as they are now: only a restart brings them."""
        started, unit = self._started.get(name), world.units.get(name)
        if started is None or unit is None or started == unit or not world.life(name).alive:
            return {}
        changes = compare(started, unit).items()
        return {option: change for option, change in changes if change is Change.RESTART}

    def _read(self, wanted: Iterable[str]) -> None:
        self._sources = self._files.read()
        links = (*self._sources.links.values(), *self._sources.requirements.values())
        self._linked = frozenset(name for names in links for name in names)
        self.library = load_all(self._sources, wanted, self._settings, previous=self.library)

    # ------------------------------------------------------------------------------ transient units

    def place_of(self, name: str) -> str:
        """The path of the file that would make a transient unit."""
        return self._files.place_of(name)

    def compose(self, properties: Sequence[str]) -> str:
        """The text of a unit file of single options; a `Mistake` where they make none."""
        return properties_of_unit.compose(properties, self._settings)

    def alone(self, name: str, text: str) -> Loaded:
        """What a text says by itself, without what is laid over all agents."""
        return load_pieces(names.split(name), [parse(text.encode(), self.place_of(name))], self._settings)

    def path_of(self, name: str) -> str:
        """The file that makes a unit of this name, loaded or not; empty when there is none."""
        found = self._files.look(name, self._sources.aliases).files
        paths = [found[file].path for file in names.split(name).files if file in found]
        loaded = self.library.get(name)
        return next(iter(paths), loaded.path if loaded is not None else "")

    def tried(self, name: str, text: str) -> Loaded:
        """What would become of a unit with this text, among all that is loaded."""
        piece = Piece(path=self.place_of(name), text=text.encode())
        loaded = self._library_with(name, piece)[1].get(name)
        assert loaded is not None  # there is a file for it
        return loaded

    def make(self, world: World, name: str, text: str) -> Loaded | None:
        """Put a transient unit's file in place, and the unit into the world. No other file is read again."""
        self._files.put(name, text)
        piece = self._files.look(name, self._sources.aliases).files[names.split(name).file]
        self._sources, self.library = self._library_with(name, piece)
        world.know(name)
        return self.library.get(name)

    def unmake(self, name: str) -> bool:
        """Take such a file away. Returns whether the unit is gone with it, and for the world to forget, by the event `Reread`:

        not where another file of this name was read meanwhile, and counts.
        """
        self._files.take_away(name)
        loaded = self.library.get(name)
        if loaded is not None and loaded.path != self.place_of(name):
            return False
        self._sources, self.library = self._library_with(name, None)
        self._noted.pop(name, None)
        return True

    @property
    def written(self) -> UnitSources:
        """What was read last, without the files of transient units: nobody wrote those."""
        place = os.path.dirname(self._files.place_of("any"))
        files = {file: one for file, one in self._sources.files.items() if os.path.dirname(one.path) != place}
        return replace(self._sources, files=files)

    def transients(self) -> tuple[str, ...]:
        """Units whose files go when they have ended."""
        return self._files.transients()

    def _library_with(self, name: str, piece: Piece | None) -> tuple[UnitSources, Library]:
        unit = names.split(name)
        files = {key: value for key, value in self._sources.files.items() if key != unit.file}
        sources = replace(self._sources, files=files | ({unit.file: piece} if piece is not None else {}))
        return sources, self.library.with_file(sources, unit)

    def _is_unneeded(self, world: World, name: str) -> bool:
        """A slice that has no file, nothing in it, and was not started: as if nobody had ever asked for it."""
        idle = name.endswith(slices.SUFFIX) and not self.path_of(name) and not list(world.graph.inside(name))
        return idle and world.life(name).state in (State.DEAD, State.FAILED)

    def _may_go(self, world: World, name: str) -> bool:
        """Nothing runs of it, and its file is gone or masked: a file that went bad keeps its unit in sight."""
        loaded = self.library.get(name)
        return not world.life(name).alive and (loaded is None or loaded.masked or loaded.name != name)

    def resolve(self, name: str) -> Unit | None:
        loaded = self.library.get(name)
        return loaded.unit if loaded else None

    def loaded(self, name: str) -> Loaded | None:
        """What became of the file of a unit; None when there is no file."""
        return self.library.get(name)

    def masked_by(self, name: str) -> str:
        """The path that masks a unit; empty when none does."""
        loaded = self.library.get(name)
        return loaded.path if loaded is not None and loaded.masked else ""

    def enablement(self, name: str) -> str:
        """One word of `install.STATES`."""
        return install.state(name, self.library, self._sources)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.library.problems

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What keeps units from being started although each of them loads, and drop-ins of no unit."""
        units = list(self.library.units.values())
        wrong = [*together.missing(units, self.library.has), *together.shared_uids(units)]
        return in_order([*wrong, *together.circle(units, Graph(units)), *self.library.warnings])

    def lack(self, unit: Unit) -> str:
        """The first requirement that keeps this unit from being started, in words; empty when all are there."""
        for name in map(str, (*unit.unit.requires, *slices.chain(unit)[-1:])):
            if mask := self.masked_by(name):
                return f"requires {name}, which is masked by {mask}"
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

    def pieces(self, name: str) -> tuple[Piece, ...]:
        """What a unit was loaded from: its file, and what is laid over it."""
        return _pieces(name, self._sources)

    def is_changed(self, name: str) -> bool:
        """Whether the files on disk are others than those in force."""
        return _pieces(name, self._files.look(name, self._sources.aliases)) != self.pieces(name)

    def is_enabled(self, name: str) -> bool:
        """Whether a target's directory of links names this unit, or enabling gave it another name."""
        return name in self._linked or name in self._sources.enabled

    def definition(self, name: str, in_force: Unit | None = None) -> bytes | None:
        """What the store must learn before an agent of this unit starts; None when it knows."""
        if in_force is not None and self._started.get(name) is in_force:
            return None  # by far the most: it was restarted, and nobody has touched its files
        unit = self.resolve(name)
        if unit is None:
            return None  # it is started from what was read before
        self._started[name] = unit
        if not self.pieces(name):
            return None
        body = self._body(name)
        digest = _digest(body)
        if self._noted.get(name) == digest:
            return None
        self._noted[name] = digest
        return body

    def _body(self, name: str) -> bytes:
        """A `Definition` of the files as they were read, without the secrets in them; of none, nothing."""
        base, *over = self.pieces(name) or (Piece(path=""),)
        texts = tuple((piece.path, redacted_bytes(piece.text)) for piece in over)
        definition = Definition(names.split(name).file, base.path, redacted_bytes(base.text), texts)
        return msgspec.msgpack.encode(definition)

    def _from_definition(self, name: str, definitions: Mapping[str, bytes]) -> Unit | None:
        body = definitions.get(name)
        if body is None:
            return None
        kept = msgspec.msgpack.decode(body, type=Definition)
        parsed = [parse(text, path) for path, text in ((kept.path, kept.text), *kept.over)]
        return load_pieces(names.split(name), parsed, self._settings).unit


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _at_its_end(unit: Unit) -> Unit:
    """A masked unit that still runs: it is not started again when it ends."""
    if unit.agent is None:
        return unit
    restart = replace(unit.agent.restart, policy="no", force_exit_status=ExitStatusSet(()))
    return replace(unit, agent=replace(unit.agent, restart=restart))


def _pieces(name: str, sources: UnitSources) -> tuple[Piece, ...]:
    return pieces(names.split(name), sources.files, sources.overlays, sources.dropins)
