"""Hears of processes that the kernel killed for want of memory, finds whose they were, and says so to the engine.

The kernel's word is only that memory ran out somewhere. The counters of the groups say of which unit, also for a kill
that nobody heard of: at each bad end of a process of it, and when a new manager begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from maestro.engine.events import Ended, OutOfMemory
from maestro.engine.world import World
from maestro.model.amounts import bytes_in_words
from maestro.model.unit import Unit
from maestro.ports import Alarm, Groups, Usage

# v1 says that memory has run out before it chooses whom to kill: until a counter has changed, it is looked at again.
_LOOK_AGAIN = (0.02, 0.1, 0.5)
_QUIET = 0.1  # seconds in which nothing begins
_LONGEST = 2.0  # seconds that one is watched late: something may begin for ever
_AT_ONCE, _BETWEEN = 50, 0.005  # of late ones, and seconds until the next so many
_AT_ITS_LIMIT = 0.95  # share of its limit that a unit has used when that is what it died of
_SHARE = 0.05  # of a core that looking may take: a unit may run out of memory a hundred times a second


class Starving:
    """Implements `watchers.Watcher`."""

    def __init__(
        self, world: World, groups: Groups, alarm: Alarm, feed: Callable[[OutOfMemory], object]
    ) -> None:
        self._world, self._groups, self._alarm, self._feed = world, groups, alarm, feed
        self._seen: dict[str, int] = {}  # unit -> kills counted of its group so far
        self._due: asyncio.TimerHandle | None = None
        self._asked: set[str] = set()  # units to be looked at when that rings
        self._late: dict[str, Unit] = {}  # are not watched yet
        self._first = self._began = 0.0  # when the first and the last of these did
        self._soon: asyncio.TimerHandle | None = None
        alarm.begin(self._rung)

    def attend(self, unit: Unit) -> None:
        if unit.name not in self._seen:
            before = self._seen[unit.name] = self._world.life(unit.name).oom_kills
            # A group is mostly only about to be made; a counter is read where one could be older than the group.
            if self._alarm.expect(unit) and before:
                self._seen[unit.name] = self._alarm.kills(unit.name) or 0
            if self._seen[unit.name] != before:
                self._feed(OutOfMemory(unit.name, "", self._seen[unit.name]))

    def begun(self, unit: Unit) -> None:
        """It is watched once no more begin, or soon at any rate: to have a thousand watched takes as long as to order them.

        The counter tells what it missed.
        """
        if not self._alarm.watches(unit.name):
            self._late[unit.name] = unit
            loop = asyncio.get_running_loop()
            self._began = loop.time()
            if self._soon is None:
                self._first = self._began
                self._soon = loop.call_later(_QUIET, self._watch_late)

    def _watch_late(self) -> None:
        loop = asyncio.get_running_loop()
        quiet = min(self._began + _QUIET, self._first + _LONGEST) - loop.time()
        if quiet > 0:
            self._soon = loop.call_later(quiet, self._watch_late)
            return
        for name in list(islice(self._late, _AT_ONCE)):
            if self._alarm.watch(self._late.pop(name)):
                self._look(name)
        self._soon = loop.call_later(_BETWEEN, self._watch_late) if self._late else None

    def leave(self, name: str) -> None:
        """Its group is about to go."""
        self._late.pop(name, None)
        if self._seen.pop(name, None) is not None:
            self._alarm.leave(name)

    def resume(self) -> None:
        """Go on from what an earlier manager had counted."""
        for name, life in list(self._world.lives.items()):
            unit = self._world.units.get(name)
            if unit is not None and unit.agent is not None and life.alive:
                self._seen[name] = life.oom_kills
                self._alarm.expect(unit)
                self._alarm.watch(unit)
                self._look(name)

    def ended(self, name: str, ended: Ended) -> None:
        """A process of it has ended: whether by the kernel's hand is to be known first."""
        if ended.code != 0:
            self._look(name, ended)

    def _rung(self, names: Iterable[str], again: tuple[float, ...] = _LOOK_AGAIN) -> None:
        """Look at once, and so seldom that a storm of alarms costs little."""
        self._asked.update(names)
        if self._due is None:
            self._look_at_all(again)

    def _look_at_all(self, again: tuple[float, ...]) -> None:
        loop = asyncio.get_running_loop()
        began, names = loop.time(), sorted(self._asked)
        self._asked.clear()
        found = [name for name in names if self._look(name)]
        pause = (loop.time() - began) / _SHARE
        if not found and again:
            self._asked.update(names)
            self._due = loop.call_later(max(pause, again[0]), self._look_later, again[1:])
        else:
            self._due = loop.call_later(pause, self._look_later, ())

    def _look_later(self, again: tuple[float, ...]) -> None:
        self._due = None
        if self._asked:
            self._look_at_all(again)

    def _look(self, name: str, ended: Ended | None = None) -> bool:
        """Whether processes of it were killed since it was looked at last; then the engine knows."""
        unit = self._world.units.get(name)
        if unit is None or name not in self._seen:
            return False
        kills, before = self._alarm.kills(name), self._seen[name]
        if kills is None or kills == before:
            return False
        self._seen[name] = kills
        if not kills:  # its group was made anew, and counts from nothing
            self._feed(OutOfMemory(name, "", 0))
            return False
        life = self._world.life(name)
        self._feed(OutOfMemory(name, self._words(unit, life.pid, ended), kills))
        return True

    def _words(self, unit: Unit, main: int, ended: Ended | None) -> str:
        """`used 64M of memory_max 64M; largest was python3 (pid 123, 58M)`."""
        usage = self._groups.usage(unit) or Usage()
        said = _used(usage)
        largest = self._groups.largest(unit)
        if ended is not None and ended.signal == 9 and ended.max_rss > (largest.memory if largest else 0):
            return f"{said}; largest was its main process (pid {main}, {bytes_in_words(ended.max_rss)})"
        if largest is not None:
            said += f"; largest was {largest.name} (pid {largest.pid}, {bytes_in_words(largest.memory)})"
        return said


def _used(usage: Usage) -> str:
    peak = bytes_in_words(usage.memory_peak) if usage.memory_peak is not None else "an unknown amount"
    if usage.memory_max is None:
        return f"the host, or a group above its own, has no more; it used up to {peak}"
    limit = f"memory_max {bytes_in_words(usage.memory_max)}"
    if usage.memory_peak is None or usage.memory_peak >= _AT_ITS_LIMIT * usage.memory_max:
        return f"used {peak} of {limit}"
    return f"the host, or a group above its own, has no more; it used up to {peak} of {limit}"
