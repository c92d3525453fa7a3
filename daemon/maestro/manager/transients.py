"""Units made by request, as `systemd-run` makes them: real unit files that go when the unit has ended.

A file is there before its unit is started, and goes only when the end is committed. So a manager that dies in
between leaves a file that was never started, or one of a unit that has ended: the next one takes either away
before it serves anybody, and the request, which comes again, makes the unit anew.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from maestro.engine.events import Reread
from maestro.engine.state import Life, State
from maestro.manager.catalogue import Catalogue
from maestro.manager.loop import Manager
from maestro.model import slices
from maestro.model.load import Loaded

_log = logging.getLogger("maestro")
_AT_REST = (State.DEAD, State.FAILED)
KEPT_LOGS = 200  # of units that are gone: each may have a name that never comes again


class Transients:
    """Knows which units are transient, and sees to their end."""

    def __init__(self, manager: Manager, catalogue: Catalogue) -> None:
        self._manager, self._catalogue = manager, catalogue
        self._names: set[str] = set()
        self._gone: dict[
            str, str
        ] = {}  # whose logs are kept, the oldest first; and the slice that each was in
        self.discard_log: Callable[[str], None] = lambda name: None
        manager.on_committed = self.look_at

    def take_up(self, gone: str) -> list[str]:
        """Go on from what an earlier manager left. Returns those that its committed lives say are over.

        `gone` is the fact of that name.
        """
        lines = (line.partition(" ") for line in gone.splitlines())
        self._gone = {name: slice_ for name, _, slice_ in lines}
        self._names = set(self._catalogue.transients())
        lost = [name for name, life in self._manager.world.lives.items() if self._is_lost(name, life)]
        return [*lost, *(name for name in self._names if self._is_over(name))]

    def make(self, name: str, text: str) -> Loaded | None:
        """Make a unit, which is for the caller to start at once. May raise OSError."""
        loaded = self._catalogue.make(self._manager.world, name, text)
        self._names.add(name)
        self._note_gone({one: slice_ for one, slice_ in self._gone.items() if one != name})
        return loaded

    def names(self) -> frozenset[str]:
        return frozenset(self._names)

    def gone(self) -> Mapping[str, str]:
        """Those that are gone and have left a log, and the slices they were in."""
        return self._gone

    def slice_of_gone(self, name: str) -> str:
        """The slice that a unit was in which is gone; empty where it was in none, or is not remembered."""
        return self._gone.get(name, "")

    def look_at(self, names: Iterable[str]) -> None:
        """After something about these was committed: forget those that have ended, and whose logs are another unit's by now."""
        taken = [name for name in names if name in self._gone and name in self._manager.world.units]
        if taken:
            self._note_gone({name: was_in for name, was_in in self._gone.items() if name not in taken})
        if self._names:
            self.forget([name for name in names if name in self._names and self._is_over(name)])

    def forget(self, names: Sequence[str]) -> None:
        """Take their files away, and all that is known of them but their logs and events.

        But not of one that was found running although its life was never committed.
        """
        done: dict[str, str] = {}
        for name in names:
            was_in = self._slice_of(name)
            if self._manager.world.life(name).state not in _AT_REST:
                continue
            try:
                is_gone = self._catalogue.unmake(name)
            except OSError as error:
                _log.error("%s: its unit file cannot be taken away: %s", name, error.strerror or error)
                continue  # a later manager tries again
            self._names.discard(name)
            if is_gone:
                self._manager.note_definition(name, None)
                done[name] = was_in
        if done:
            self._manager.feed(Reread(tuple(done)))
            self._note_gone({one: was_in for one, was_in in self._gone.items() if one not in done} | done)

    def _slice_of(self, name: str) -> str:
        unit = self._manager.world.units.get(name)
        return next(reversed(slices.chain(unit)), "") if unit is not None else ""

    def _note_gone(self, names: dict[str, str]) -> None:
        """The log of the oldest goes before its name is forgotten; not that of another unit which has the name by now."""
        while len(names) > KEPT_LOGS:
            oldest = self._oldest(names)
            del names[oldest]
            if oldest not in self._names and self._catalogue.loaded(oldest) is None:
                self.discard_log(oldest)
        if names != self._gone:
            self._gone = names
            self._manager.note_fact(
                "gone", "\n".join(f"{name} {was_in}".rstrip() for name, was_in in names.items())
            )

    @staticmethod
    def _oldest(names: dict[str, str]) -> str:
        """Of the slice that has most: who runs many in one must not have the logs of others go."""
        counts = Counter(names.values())
        most = max(counts.values())
        return next(name for name, was_in in names.items() if counts[was_in] == most)

    def _is_over(self, name: str) -> bool:
        world = self._manager.world
        state, unit = world.life(name).state, world.units.get(name)
        if world.book.of(name) is not None:
            return False
        collects = unit is not None and unit.unit.collect_mode == "inactive-or-failed"
        return state is State.DEAD or (state is State.FAILED and collects)

    def _is_lost(self, name: str, life: Life) -> bool:
        """An earlier manager has taken its file away, and died before it could forget the unit."""
        return life.state in _AT_REST and name not in self._names and self._catalogue.loaded(name) is None
