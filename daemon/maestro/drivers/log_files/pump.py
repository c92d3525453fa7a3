"""The one thread that moves output. It hears of bytes from epoll, and of wishes through a queue."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from maestro.drivers.log_files.flow import Flow
from maestro.drivers.log_files.index import Pens
from maestro.drivers.log_files.pipes import waiting
from maestro.drivers.log_files.stream import MOST_NOTES, Stream
from maestro.drivers.log_files.watch import Watch
from maestro.ports import LogLimits

NOTE_WAIT = 0.2  # seconds that a note waits for a line to end before it cuts it
CRUMB = 8192  # bytes
# Seconds between two rounds while they find only crumbs: a fraction of the CPU time, and soon enough.
LULL = 0.0003
CLOSING = 1.0  # seconds that close() spends on what is still in the pipes

_log = logging.getLogger("maestro.logs")


class Pump:
    """`wish` and `close` are for the loop; all else runs in the pump's own thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pens: Pens) -> None:
        self._loop, self._pens = loop, pens
        self._flow = Flow()
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._wishes: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._streams: dict[int, Stream] = {}
        self._dues: list[tuple[float, int, Stream]] = []
        self._serial = itertools.count()
        self._moved = 0  # bytes, ever
        self._last_round = 0.0  # monotonic
        self._ended = False
        self._will_ring = False  # the loop's
        self._thread = threading.Thread(target=self._run, name="log-pump", daemon=True)
        self._thread.start()

    def wish(self, wish: Callable[[], None]) -> None:
        """Have it done in the pump's thread, in order: soon, together with what else the loop wishes in this round.

        A thread that is woken for each of a thousand streams takes the interpreter from the loop as often.
        """
        self._wishes.put(wish)
        if not self._loop.is_running():
            self._ring()
        elif not self._will_ring:
            self._will_ring = True
            self._loop.call_soon(self._ring)

    def close(self) -> None:
        """Wait, but not for a disk that hangs."""
        self._wishes.put(self._end)
        self._ring()
        self._thread.join(CLOSING * 2)
        if not self._thread.is_alive():
            # not in the thread: it may take the last wish before this one has rung for it
            bell, self._bell = self._bell, -1
            os.close(bell)

    def _ring(self) -> None:
        self._will_ring = False
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)

    # ------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            while not self._ended:
                self._once()
        except Exception:
            _log.exception("the log pump has ended: output stays in the pipes until the manager is restarted")
            raise

    def _once(self) -> None:
        before = self._moved
        ready = self._epoll.poll(self._pause(), 256)
        for fd, events in ready:
            if fd == self._bell:
                self._grant()
            elif stream := self._streams.get(fd):
                self._turn(stream, events)
        now = time.monotonic()
        while self._dues and self._dues[0][0] <= now:
            due, _, stream = heapq.heappop(self._dues)
            if stream.due == due:
                stream.due = float("inf")
                self._turn(stream, 0)
        if now - self._last_round < 2 * LULL and 0 < self._moved - before < CRUMB * len(ready):
            self._lull()
        self._last_round = now

    def _lull(self) -> None:
        """Let crumbs gather: a line at a time costs a wake-up for each. A wish ends it."""
        with contextlib.suppress(Empty):
            self._do(self._wishes.get(timeout=LULL))

    def _pause(self) -> float:
        return max(self._dues[0][0] - time.monotonic(), 0) if self._dues else -1

    def _grant(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        while not self._wishes.empty() and not self._ended:
            self._do(self._wishes.get())

    def _do(self, wish: Callable[[], None]) -> None:
        try:
            wish()
        except Exception:
            _log.exception("fault in the log pump: one order was not carried out")

    def _turn(self, stream: Stream, events: int) -> None:
        """One stream's failure, foreseen or not, is its own."""
        before = stream.tape.end
        now = time.monotonic()
        try:
            self._flow.turn(stream, now)
        except Exception as fault:
            _log.exception("%s: fault in the log pump, next try in 1 s", stream.name)
            stream.trouble, stream.retry_at = f"fault in the log pump: {fault}", now + 1
        if stream.tape.end != before:
            self._moved += stream.tape.end - before
            self._tell(stream)
        elif events & select.EPOLLHUP and not stream.quiet:
            self._unregister(stream)  # all writers are gone, and it is empty
        self._arm(stream, now)
        if stream.pipe < 0:  # written once in a while: hold nothing open
            stream.tape.close()
            stream.times.reset(stream.tape)

    def _arm(self, stream: Stream, now: float) -> None:
        """While bytes are left in the pipe on purpose, only news wakes us, not the bytes themselves."""
        wanted = select.EPOLLIN | (select.EPOLLET if stream.quiet else 0)
        if stream.pipe >= 0 and stream.polled and stream.polled != wanted:
            self._epoll.modify(stream.pipe, wanted)
            stream.polled = wanted
        due = stream.next_due(now)
        if due < stream.due:  # to look too early does no harm
            stream.due = due
            heapq.heappush(self._dues, (due, next(self._serial), stream))

    def _tell(self, stream: Stream) -> None:
        if stream.watches:
            self._look(stream)
        if stream.bells and not stream.ringing:
            stream.ringing = True
            self._call(stream.ring)

    def _look(self, stream: Stream) -> None:
        for watch in stream.watches:
            try:
                if watch.cancelled or watch.look(stream.shelf):
                    stream.unwatch(watch)
                    self._call(watch.report)
            except OSError:
                _log.warning(
                    "%s: cannot read back the log to look for a line; looked again at the next output",
                    stream.name,
                )

    def _call(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(call)

    # ------------------------------------------------------------------------------------------ wishes

    def take(self, stream: Stream, fd: int, limits: LogLimits) -> None:
        self._leave(stream)
        stream.limits, stream.pipe = limits, fd
        stream.tape.share(limits.readers)
        with contextlib.suppress(OSError):  # an unreadable directory shows at the first write
            stream.tape.find()
        try:
            self._epoll.register(fd, select.EPOLLIN)
        except OSError:
            _log.exception("%s: cannot watch the output pipe", stream.name)
            stream.pipe = -1
            return
        stream.polled = select.EPOLLIN
        self._streams[fd] = stream
        if stream.notes:
            self._turn(stream, 0)

    def relimit(self, stream: Stream, limits: LogLimits) -> None:
        stream.limits = limits
        with contextlib.suppress(OSError):
            stream.tape.prune(limits.max_files)
        stream.tape.share(limits.readers)

    def turn_over(self, stream: Stream) -> None:
        """Go on in a new file, so that this one may be removed."""
        try:
            stream.tape.ready(time.monotonic())
            if stream.tape.filled:
                stream.tape.rotate(stream.limits.max_files)
                stream.times.reset(stream.tape)
        except OSError as error:
            _log.warning("%s: cannot begin the next log file: %s", stream.name, error.strerror or error)
        if stream.pipe < 0:
            stream.tape.close()
            stream.times.reset(stream.tape)

    def drop(self, stream: Stream) -> None:
        self._leave(stream)
        stream.tape.close()
        stream.times.reset(stream.tape)

    def drained(self, stream: Stream, empty: Callable[[], None]) -> None:
        """Move what is in the pipe, if it has one, and call if that was all. On a disk that refuses it is not."""
        if stream.pipe < 0:
            self._call(empty)
            return
        before = stream.tape.end
        self._flow.drain(stream, time.monotonic(), last=False)
        if stream.tape.end != before:
            self._tell(stream)
        if not waiting(stream.pipe):
            self._call(empty)

    def note(self, stream: Stream, line: bytes) -> None:
        if stream.pipe >= 0 and not stream.trouble:
            self._turn(stream, 0)  # what was written before the note comes before it
        if not stream.notes:
            stream.notes_until = time.monotonic() + NOTE_WAIT
        if len(stream.notes) < MOST_NOTES:
            stream.notes += (line,)
        self._turn(stream, 0)

    def watch(self, stream: Stream, watch: Watch) -> None:
        if watch.at < 0:
            with contextlib.suppress(OSError):
                stream.tape.find()
            watch.at = max(stream.tape.end, 0)
        stream.watches += (watch,)
        self._look(stream)

    def unwatch(self, stream: Stream, watch: Watch) -> None:
        stream.unwatch(watch)

    def _leave(self, stream: Stream) -> None:
        """Empty the pipe and close it."""
        if stream.pipe < 0:
            return
        before = stream.tape.end
        self._flow.drain(stream, time.monotonic(), last=True)
        self._unregister(stream)
        self._streams.pop(stream.pipe, None)
        os.close(stream.pipe)
        stream.pipe, stream.due, stream.gap_open = -1, float("inf"), False
        if stream.tape.end != before:
            self._tell(stream)

    def _unregister(self, stream: Stream) -> None:
        if stream.polled:
            self._epoll.unregister(stream.pipe)
            stream.polled = 0

    def _end(self) -> None:
        """The pipes outlive us: what is not drained in time is our successor's."""
        deadline = time.monotonic() + CLOSING
        for stream in list(self._streams.values()):
            if (now := time.monotonic()) < deadline:
                self._flow.drain(stream, now, last=False)
            os.close(stream.pipe)
            stream.tape.close()
        self._streams.clear()
        self._dues.clear()
        self._pens.close()
        self._flow.close()
        self._epoll.close()
        self._ended = True
