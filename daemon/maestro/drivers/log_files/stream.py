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


class Loss:
    """What was dropped for one reason and is not told in the log yet."""

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0


class Stream:
    """One stream: its pipe, its files, and what stands between them."""

    def __init__(self, name: str, path: str, times: Times) -> None:
        self.name = name
        self.limits = LogLimits()
        self.pipe = -1
        self.tape = Tape(path)
        self.shelf = Shelf(path)
        self.times = times
        self.window = Window()
        self.notes: list[bytes] = []  # an empty deque takes ten times the memory of an empty list
        self.notes_until = 0.0  # monotonic: how long notes wait for the line that is being written to end
        self.lost: dict[str, Loss] = {}  # reason, as the marker says it -> what
        self.shed_at = float("-inf")  # monotonic: the last drop
        self.gap_open = False  # the last byte dropped did not end a line
        self.dropped_lines = 0
        self.dropped_bytes = 0
        self.trouble = ""  # why nothing can be written; bytes stay in the pipe
        self.retry_at = 0.0
        self.hitch = ""  # why the next segment cannot be begun; output goes on in the old one
        self.rotate_at = 0.0
        self.watches: list[Watch] = []
        self.bells: list[asyncio.Event] = []
        self.ringing = False
        self.polled = 0  # epoll's event mask, 0: not registered
        self.due = float("inf")  # when the pump looks again, whatever epoll says

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
        due = self.retry_at if self.trouble else self.notes_until if self.notes else float("inf")
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
