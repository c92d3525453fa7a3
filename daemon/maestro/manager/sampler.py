"""What each unit that runs has used, second by second, in a ring of the last minute.

Each second costs two microseconds for each file that is read, so looking at all of a thousand quiet units would take more than all
else that an idle manager does. Therefore the pace is each unit's own: one that has used no processor time since it was looked at
last has not changed much else either, and is looked at after 2, 4 and then 8 seconds, by one file. One that works, or that somebody
looks at, is looked at each time. While nothing changes, the last sample is only made later: a thousand full rings take 3 MB.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable

from msgspec import Struct

from maestro.engine.events import Ended
from maestro.engine.world import World
from maestro.model.unit import Unit
from maestro.ports import Gauge, Gauges

KEPT = 60  # samples of each unit
_ROW = array("q", bytes(8 * 6))
_COLUMNS = len(_ROW)  # time in ms, cpu in µs, memory, tasks, bytes read, bytes written
_LONGEST_PACE = 8  # turns that a quiet unit is not looked at
_IO_EVERY = 5  # turns
_WATCHED_FOR = 3.0  # seconds for which a look at usage makes every turn count
_FRESH = 0.5  # seconds that a sample is good for somebody who asks


class Reading(Struct, frozen=True, kw_only=True):
    """The newest sample of a unit, and what it used each second since the one before. None: not known."""

    age: float  # seconds
    cpu: float | None = None  # seconds since its group was made
    cpu_share: float | None = None  # 1: one processor
    memory: int | None = None
    tasks: int | None = None
    read: int | None = None  # bytes
    written: int | None = None
    read_rate: float | None = None  # bytes a second
    write_rate: float | None = None


class Ring:
    """The samples of one unit."""

    __slots__ = ("due", "gauge", "last", "pace", "place", "rests", "samples", "taken")

    def __init__(self, gauge: Gauge) -> None:
        self.gauge = gauge
        self.samples = array("q")
        self.rests = False  # nothing changed before the newest sample
        self.place = 0  # where the next one goes
        self.taken = 0
        self.last = -1  # cpu
        self.pace = self.due = 0  # turns

    def take(self, ms: int, *, io: bool, whole: bool) -> None:
        """One sample. What is not looked at is as it was."""
        gauge, samples = self.gauge, self.samples
        before = (self.place - 1) % KEPT * _COLUMNS
        at = self.place * _COLUMNS
        cpu = gauge.cpu()
        moves = cpu != self.last or cpu < 0 or not self.taken
        self.pace = 0 if moves else min(2 * self.pace or 1, _LONGEST_PACE)
        if self.rests and not (moves or whole):
            samples[before] = ms
            return
        if at == len(samples):
            samples.extend(_ROW)
        samples[at], samples[at + 1] = ms, cpu
        if moves or whole:
            samples[at + 2], samples[at + 3] = gauge.memory(), gauge.tasks()
        else:
            samples[at + 2 : at + 4] = samples[before + 2 : before + 4]
        if (io and (moves or whole)) or not self.taken:
            samples[at + 4], samples[at + 5] = gauge.moved()
        else:
            samples[at + 4 : at + 6] = samples[before + 4 : before + 6]
        self.last = cpu
        self.place = (self.place + 1) % KEPT
        self.taken += 1
        self.rests = not (moves or whole)

    def newest(self, back: int = 0) -> array[int]:
        at = (self.place - 1 - back) % KEPT * _COLUMNS
        return self.samples[at : at + _COLUMNS]


class Sampler:
    """Implements `watchers.Watcher`. `interval` 0: only when somebody asks."""

    def __init__(
        self, world: World, gauges: Gauges, clock: Callable[[], float], interval: float = 1.0
    ) -> None:
        self._world, self._gauges, self._clock, self._interval = world, gauges, clock, interval
        self.rings: dict[str, Ring] = {}
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None
        self._watched_until = 0.0

    def attend(self, unit: Unit) -> None: ...

    def begun(self, unit: Unit) -> None:
        ring = self.rings.get(unit.name)
        if ring is not None:
            ring.pace = ring.due = 0
        elif (gauge := self._gauges.gauge(unit)) is not None:
            self.rings[unit.name] = Ring(gauge)
            self._wind()

    def ended(self, name: str, ended: Ended) -> None: ...

    def leave(self, name: str) -> None:
        ring = self.rings.pop(name, None)
        if ring is not None:
            ring.gauge.close()

    def resume(self) -> None:
        """Look after what an earlier manager has started."""
        for name, life in self._world.lives.items():
            unit = self._world.units.get(name)
            if unit is not None and unit.agent is not None and life.alive:
                self.begun(unit)

    def _wind(self) -> None:
        if self._timer is None and self._interval > 0 and self.rings:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.look()
        self._wind()

    def look(self) -> None:
        """One turn."""
        now = self._clock()
        ms, watched = int(now * 1000), now < self._watched_until
        self._turn = turn = self._turn + 1
        io = turn % _IO_EVERY == 0
        for ring in self.rings.values():
            if ring.due <= turn or watched:
                ring.take(ms, io=io, whole=watched)
                ring.due = turn + ring.pace

    def read(self, name: str) -> Reading | None:
        """What is known of a unit as of now; None of one that is not looked at."""
        ring = self.rings.get(name)
        if ring is None:
            return None
        now = self._clock()
        self._watched_until = now + _WATCHED_FOR
        if not ring.taken or now - ring.newest()[0] / 1000 > _FRESH:
            ring.take(int(now * 1000), io=True, whole=True)
        return _reading(ring, now)


def _reading(ring: Ring, now: float) -> Reading:
    ms, cpu, memory, tasks, read, written = ring.newest()
    before = ring.newest(1) if ring.taken > 1 else None
    return Reading(
        age=max(0.0, now - ms / 1000),
        cpu=cpu / 1e6 if cpu >= 0 else None,
        cpu_share=_rate(before, ring.newest(), 1, 1e6),
        memory=_known(memory),
        tasks=_known(tasks),
        read=_known(read),
        written=_known(written),
        read_rate=_io_rate(ring, 4),
        write_rate=_io_rate(ring, 5),
    )


def _known(value: int) -> int | None:
    return value if value >= 0 else None


def _rate(before: array[int] | None, after: array[int], column: int, unit: float) -> float | None:
    """Each second; None where that is not known, or its group was made anew between the two."""
    if before is None or before[column] < 0 or after[column] < before[column]:
        return None
    seconds = (after[0] - before[0]) / 1000
    return (after[column] - before[column]) / unit / seconds if seconds > 0 else None


def _io_rate(ring: Ring, column: int) -> float | None:
    """Over the last samples between which it was looked at."""
    back = min(ring.taken - 1, _IO_EVERY)
    return _rate(ring.newest(back), ring.newest(), column, 1.0) if back > 0 else None
