"""When which byte came: 16-byte records (wall clock in ns, offset; little-endian) in a file by each segment.

A record says: from this offset on, until the next record's, bytes came at about this time.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from maestro.drivers.log_files.segments import Shelf, Tape, index_path

RECORD = struct.Struct("<QQ")
EVERY = 0.01  # seconds between two records of a stream
SLOW = 1.0  # the same for one that writes so little at a time that its index would outgrow its log
MOST_AT_ONCE = 65_536  # records read in one go


class Pens:
    """A bounded number of open index files, the least recently used closed first."""

    def __init__(self, most: int = 128) -> None:
        self._most = most
        self._open: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def get(self, tape: Tape) -> int:
        """Descriptor of the current segment's index. Raises OSError."""
        path = index_path(tape.path, tape.start)
        held = self._open.get(tape.path)
        if held is not None and held[0] == path:
            self._open.move_to_end(tape.path)
            return held[1]
        self.forget(tape.path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._open[tape.path] = (path, fd)
        if len(self._open) > self._most:
            os.close(self._open.popitem(last=False)[1][1])
        return fd

    def forget(self, path: str) -> None:
        if held := self._open.pop(path, None):
            os.close(held[1])

    def close(self) -> None:
        for path in list(self._open):
            self.forget(path)


class Times:
    """Writes the records of one stream.

    A record is written just *before* its bytes: were it after them, a manager killed in between would leave
    bytes that seem to have come with the record before, perhaps hours ago. If none follow, the next record
    takes its place.
    """

    __slots__ = ("_at", "_due", "_last", "_pens", "_start", "_wall_ns")

    def __init__(self, pens: Pens, wall_ns: Callable[[], int]) -> None:
        self._pens, self._wall_ns = pens, wall_ns
        self._start = -1  # the segment that `_at` belongs to
        self._at = 0  # where in the file the next record goes
        self._last = -1  # offset in the last record
        self._due = 0.0  # monotonic seconds

    def mark(self, tape: Tape, now: float) -> None:
        if now < self._due and tape.start == self._start:
            return
        try:
            self._write(tape)
        except OSError:  # a missing time must not stop the output; the next record makes good
            self.reset(tape)
        lavish = self._at > 4096 + tape.filled // 2
        self._due = now + (SLOW if lavish else EVERY)

    def _write(self, tape: Tape) -> None:
        fd = self._pens.get(tape)
        if tape.start != self._start:
            size = os.fstat(fd).st_size
            self._start, self._at, self._last = tape.start, size - size % RECORD.size, -1
        at = self._at - RECORD.size if tape.end == self._last else self._at
        os.pwrite(fd, RECORD.pack(self._wall_ns(), tape.end), at)
        self._at, self._last = at + RECORD.size, tape.end

    def reset(self, tape: Tape) -> None:
        """Open and look anew: the files may be others."""
        self._start = -1
        self._pens.forget(tape.path)


class Clock:
    """Tells when the lines of a stretch of a stream came."""

    def __init__(self, shelf: Shelf | None, low: int, high: int) -> None:
        self._offsets: list[int] = []
        self._times: list[int] = []
        if shelf is None:
            return
        starts = shelf.starts()
        for number, start in enumerate(starts):
            following = starts[number + 1] if number + 1 < len(starts) else high
            if start < high and following > low:
                self._load(index_path(shelf.path, start), max(low, start), min(high, following))

    def _load(self, path: str, low: int, high: int) -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            first = max(_first(fd, lambda time, offset: offset > low) - 1, 0)
            data = os.pread(fd, MOST_AT_ONCE * RECORD.size, first * RECORD.size)
        finally:
            os.close(fd)
        for time, offset in RECORD.iter_unpack(data[: len(data) - len(data) % RECORD.size]):
            if offset >= high:
                break
            self._offsets.append(offset)
            self._times.append(time)

    def at(self, offset: int) -> int:
        """Wall clock in ns; 0 when unknown."""
        place = bisect_right(self._offsets, offset)
        return self._times[place - 1] if place else 0


def _first(fd: int, wanted: Callable[[int, int], bool]) -> int:
    """Number of the first record that is wanted, where all after it are; the number of records if none is."""
    low, high = 0, os.fstat(fd).st_size // RECORD.size
    while low < high:
        middle = (low + high) // 2
        record = os.pread(fd, RECORD.size, middle * RECORD.size)
        if len(record) < RECORD.size or wanted(*RECORD.unpack(record)):
            high = middle
        else:
            low = middle + 1
    return low


def offset_from(shelf: Shelf, time_ns: int) -> int | None:
    """Offset of the first record at or after a time; None if there is none. Trusts the clock to go on."""
    found: int | None = None
    for start in reversed(shelf.starts()):
        try:
            fd = os.open(index_path(shelf.path, start), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            place = _first(fd, lambda time, offset: time >= time_ns)
            record = os.pread(fd, RECORD.size, place * RECORD.size)
        finally:
            os.close(fd)
        if len(record) == RECORD.size:
            found = RECORD.unpack(record)[1]
        if place:  # older records than the time: nothing wanted lies further back
            return found
    return found
