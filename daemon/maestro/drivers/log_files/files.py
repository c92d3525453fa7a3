"""The port `Logs`, on files: DIRECTORY/NAME/ holds one stream. The loop's side; the pump does the work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from maestro.drivers.log_files import quota
from maestro.drivers.log_files.index import Pens, Times, offset_from
from maestro.drivers.log_files.pump import Pump
from maestro.drivers.log_files.reader import View, last_lines
from maestro.drivers.log_files.segments import Shelf
from maestro.drivers.log_files.stream import Stream
from maestro.drivers.log_files.watch import OURS, Watch
from maestro.ports import LogLimits, LogLine, LogMark, LogQuery

LONGEST_NOTE = 4000  # bytes
T = TypeVar("T")


class LogFiles:
    """For the loop's thread. The pump carries orders out one after the other; only close() waits for it."""

    def __init__(self, directory: str, loop: asyncio.AbstractEventLoop, wall_ns: Callable[[], int]) -> None:
        self._directory, self._loop, self._wall_ns = directory, loop, wall_ns
        self._streams: dict[str, Stream] = {}
        self._wanted: set[str] = (
            set()
        )  # those that somebody writes, or is waited to write: others go with their last reader
        self._pens = Pens()
        self._pump = Pump(loop, self._pens)
        self._readers = ThreadPoolExecutor(2, "log-reader")
        self._closed = False

    def take(self, name: str, fd: int, limits: LogLimits) -> None:
        """Move what comes out of the pipe. The descriptor is ours now; its status flags are left alone."""
        self._wanted.add(name)
        self._wish(partial(self._pump.take, self._stream(name), fd, limits))

    def relimit(self, name: str, limits: LogLimits) -> None:
        self._wish(partial(self._pump.relimit, self._stream(name), limits))

    def drop(self, name: str) -> None:
        """Move what is in the pipe, then let go of it. The files stay."""
        self._wanted.discard(name)
        if stream := self._streams.pop(name, None):
            if stream.bells:
                self._stream(name).bells += stream.bells
            self._wish(partial(self._pump.drop, stream))

    def drained(self, name: str, empty: Callable[[], None]) -> None:
        """Move what is in the pipe, and call `empty` on the loop if that was all."""
        stream = self._streams.get(name) or self._new(name)  # of one that was dropped it is asked in its turn
        self._wish(partial(self._pump.drained, stream, empty))

    def mark(self, name: str) -> LogMark:
        stream = self._streams.get(name)
        return stream.mark() if stream else LogMark(size=self._shelf(name).end())

    def note(self, name: str, text: str) -> None:
        """Append a line of Maestro's own. Waits, 0.2 s at most, until the agent has ended its line."""
        line = " ".join(text.splitlines())
        if not line.startswith(OURS):
            line = f"{OURS}{line} --"
        self._wish(
            partial(self._pump.note, self._stream(name), line.encode(errors="replace")[:LONGEST_NOTE] + b"\n")
        )

    def await_line(
        self, name: str, pattern: str, seen: Callable[[], None], since_ns: int | None = None
    ) -> Callable[[], None]:
        """In what comes from now on, or came since a time. Raises re.error for a pattern that is none."""
        self._wanted.add(name)
        stream = self._stream(name)
        at = stream.tape.end
        if since_ns is not None and (found := offset_from(self._shelf(name), since_ns)) is not None:
            at = found
        watch = Watch(pattern, at, seen)
        self._wish(partial(self._pump.watch, stream, watch))

        def cancel() -> None:
            if not watch.cancelled:
                watch.cancelled = True
                self._wish(partial(self._pump.unwatch, stream, watch))

        return cancel

    def tail(self, name: str, lines: int) -> list[LogLine]:
        """The last lines; as a rule reads the end of the newest file only. None from an unreadable log."""
        try:
            return last_lines(self._shelf(name), lines)
        except OSError:
            return []

    def discard(self, name: str) -> None:
        """Delete the files of a stream that nothing writes to any more."""

        def remove() -> None:
            self._readers.submit(_remove_all, self._path(name))

        self.drop(name)
        self._wish(remove)  # in its turn: what is still to be written would make them again

    async def trim(self, names: Iterable[str], most: int) -> dict[str, int]:
        """Remove the oldest files of these streams until they take no more than that. Says how many bytes went of each."""
        cut = await self._read(partial(quota.trim, {name: self._path(name) for name in names}, most))
        for name in cut.too_long:  # gone on with in another file, the next time this one can go
            stream = self._streams.get(name) or self._new(name)
            self._wish(partial(self._pump.turn_over, stream))
        return cut.removed

    async def follow(self, name: str, query: LogQuery) -> AsyncIterator[LogLine]:
        """Raises re.error for a pattern that is none, OSError when the files cannot be read."""
        view = View(self._shelf(name), query)
        bell = asyncio.Event()
        if query.follow:
            self._stream(name).bells += (bell,)
        try:
            await self._read(partial(view.begin, self._wall_ns()))
            while not self._closed:
                bell.clear()
                lines = await self._read(view.more)
                for line in lines or ():
                    yield line
                if view.over or (lines is None and not await self._rung(bell, query)):
                    return
        finally:
            stream = self._streams.get(name)
            if stream is not None and bell in stream.bells:
                stream.mute(bell)
                if not stream.bells and name not in self._wanted:
                    self.drop(name)

    def close(self) -> None:
        """Move what the pipes hold, for at most 1 s, and close everything. Who follows, ends."""
        if self._closed:
            return
        self._pump.close()
        self._closed = True
        self._readers.shutdown(wait=True, cancel_futures=True)
        for stream in self._streams.values():
            stream.ring()

    # ------------------------------------------------------------------------------------------

    async def _read(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._readers, work)

    async def _rung(self, bell: asyncio.Event, query: LogQuery) -> bool:
        """Wait for more; False when the time is up till which lines are wanted."""
        pause = None if query.until_ns is None else max(query.until_ns - self._wall_ns(), 0) / 1e9
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await bell.wait()
        return bell.is_set()

    def _stream(self, name: str) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = self._new(name)
        return stream

    def _new(self, name: str) -> Stream:
        return Stream(name, self._directory, Times(self._pens, self._wall_ns))

    def _shelf(self, name: str) -> Shelf:
        return Shelf(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"

    def _wish(self, wish: Callable[[], None]) -> None:
        if not self._closed:
            self._pump.wish(wish)


def _remove_all(path: str) -> None:
    import shutil  # with what it imports it takes 0.5 MB, and only transient units discard their logs

    shutil.rmtree(path, ignore_errors=True)
