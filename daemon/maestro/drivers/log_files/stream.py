"""What is known of one stream. The pump owns it; the loop's thread reads the figures and owns `bells`."""

from __future__ import annotations

import asyncio

from maestro.drivers.log_files.index import Times
from maestro.drivers.log_files.limit import Window
from maestro.drivers.log_files.segments import Shelf, Tape
from maestro.drivers.log_files.watch import Watch
from maestro.ports import LogLimits, LogMark

GLANCE = 0.005  # seconds between two looks at a pipe that is being emptied by dropping
RESTLESS = 1.5  # seconds for which that goes on after the last drop: longer than the pause between two tries
MOST_NOTES = 256  # kept while the disk refuses
_DEFAULT = LogLimits()


_NEVER, _EVER = float("-inf"), float("inf")


class Loss:
    """What was dropped for one reason and is not told in the log yet."""

    __slots__ = ("bytes", "lines")

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0


_NOTHING: dict[str, Loss] = {}


class Stream:
    """One stream: its pipe, its files, and what stands between them.

    There are a thousand, and most have nothing to tell: what is empty is the same for all, and replaced instead of changed.
    """

    __slots__ = (
        "bells",
        "dropped_bytes",
        "dropped_lines",
        "due",
        "gap_open",
        "hitch",
        "limits",
        "lost",
        "name",
        "notes",
        "notes_until",
        "pipe",
        "polled",
        "retry_at",
        "ringing",
        "rotate_at",
        "shed_at",
        "tape",
        "times",
        "trouble",
        "watches",
        "window",
    )

    def __init__(self, name: str, directory: str, times: Times) -> None:
        self.name = name
        self.limits = _DEFAULT
        self.pipe = -1
        self.tape = Tape(directory, name)
        self.times = times
        self.window = Window()
        self.notes: tuple[bytes, ...] = ()
        self.notes_until = 0.0  # monotonic: how long notes wait for the line that is being written to end
        self.lost = _NOTHING  # reason, as the marker says it -> what
        self.shed_at = _NEVER  # monotonic: the last drop
        self.gap_open = False  # the last byte dropped did not end a line
        self.dropped_lines = 0
        self.dropped_bytes = 0
        self.trouble = ""  # why nothing can be written; bytes stay in the pipe
        self.retry_at = 0.0
        self.hitch = ""  # why the next segment cannot be begun; output goes on in the old one
        self.rotate_at = 0.0
        self.watches: tuple[Watch, ...] = ()
        self.bells: tuple[asyncio.Event, ...] = ()
        self.ringing = False
        self.polled = 0  # epoll's event mask, 0: not registered
        self.due = _EVER  # when the pump looks again, whatever epoll says

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.tape.path)

    def lose(self, reason: str, lines: int, count: int) -> None:
        """Note what was dropped."""
        if reason not in self.lost:
            self.lost = {**self.lost, reason: Loss()}
        self.lost[reason].lines += lines
        self.lost[reason].bytes += count
        self.dropped_lines += lines
        self.dropped_bytes += count

    def told(self, reason: str) -> None:
        """That stands in the log."""
        self.lost = {other: loss for other, loss in self.lost.items() if other != reason} or _NOTHING

    def unwatch(self, watch: Watch) -> None:
        self.watches = tuple(other for other in self.watches if other is not watch)

    def mute(self, bell: asyncio.Event) -> None:
        self.bells = tuple(other for other in self.bells if other is not bell)

    def ring(self) -> None:
        """Wake those who follow. On the loop."""
        self.ringing = False  # first: what is written from here on rings again
        for bell in self.bells:
            bell.set()

    def mark(self) -> LogMark:
        size = self.tape.end if self.tape.end >= 0 else self.shelf.end()
        unwritable = self.trouble or self.hitch
        return LogMark(
            size=size,
            dropped_lines=self.dropped_lines,
            dropped_bytes=self.dropped_bytes,
            unwritable=unwritable,
        )

    def next_due(self, now: float) -> float:
        """When something must be done though epoll is silent."""
        due = self.retry_at if self.trouble else self.notes_until if self.notes else _EVER
        if self.hitch:
            due = min(due, max(self.rotate_at, now + GLANCE))
        if self.window.over:
            due = min(due, self.window.ends(self.limits))
        # A writer that blocks in the midst of a large write wakes nobody when the pipe was not empty before.
        return min(due, now + GLANCE) if self.quiet and now - self.shed_at < RESTLESS else due

    @property
    def quiet(self) -> bool:
        """Bytes are left in the pipe on purpose."""
        return bool(self.trouble) or self.window.over or self.gap_open
