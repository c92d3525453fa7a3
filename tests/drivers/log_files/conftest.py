"""A LogFiles with its own loop, and pipes as the keeper makes them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from maestro.drivers.log_files import LogFiles
from maestro.ports import LogLimits, LogLine, LogQuery

T = TypeVar("T")


class Rig:
    """What a test of the log files needs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.loop = asyncio.new_event_loop()
        self.now_ns: int | None = None
        self.logs = self.open()
        self._ends: list[int] = []

    def open(self) -> LogFiles:
        return LogFiles(str(self.directory), self.loop, lambda: self.now_ns or time.time_ns())

    def pipe(self) -> tuple[int, int]:
        """Both ends; the first can be written, too, so that there is never an end of file."""
        out, into = os.pipe()
        both = os.open(f"/proc/self/fd/{out}", os.O_RDWR | os.O_CLOEXEC)
        os.close(out)
        self._ends.append(into)
        return both, into

    def take(self, name: str, **limits: Any) -> int:
        both, into = self.pipe()
        self.logs.take(name, both, LogLimits(**limits))
        return into

    def until(self, happened: Callable[[], bool], within: float = 10.0) -> None:
        """Wait for what another thread brings about."""
        deadline, never = time.monotonic() + within, threading.Event()
        while not happened():
            assert time.monotonic() < deadline, "did not happen in time"
            never.wait(0.001)

    def settled(self) -> None:
        """All orders so far have been carried out."""
        done = threading.Event()
        self.logs._pump.wish(done.set)
        assert done.wait(10)

    def run(self, work: Awaitable[T]) -> T:
        async def bounded() -> T:
            return await asyncio.wait_for(work, 20)

        return self.loop.run_until_complete(bounded())

    def read(self, name: str, **query: Any) -> list[LogLine]:
        async def all_of_it() -> list[LogLine]:
            return [line async for line in self.logs.follow(name, LogQuery(**query))]

        return self.run(all_of_it())

    def texts(self, name: str, **query: Any) -> list[str]:
        return [line.text for line in self.read(name, **{"lines": None, **query})]

    def kept(self, name: str) -> bytes:
        """All bytes, checked against the names of the files."""
        whole = b""
        for path in sorted((self.directory / name).glob("*.log")):
            assert not whole or int(path.stem) == self._first(name) + len(whole)
            whole += path.read_bytes()
        return whole

    def _first(self, name: str) -> int:
        return min(int(path.stem) for path in (self.directory / name).glob("*.log"))

    def close(self) -> None:
        self.logs.close()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        for end in self._ends:
            os.close(end)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "logs")
    yield made
    made.close()
