"""An asyncio loop whose time jumps: a day of timers in a millisecond."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, quiet: float) -> None:
        super().__init__()
        self.now, self._quiet = 0.0, quiet

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(self._quiet)  # real I/O in flight gets a moment first
        if not ready:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """Where nothing is left to do but to wait, the time waited for is there at once.

    `quiet` is how long real I/O may take, in real seconds, before the clock jumps past it; threads are not waited for.
    """

    def __init__(self, quiet: float = 0.0) -> None:
        self._jumping = _JumpingSelector(quiet)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class LoopClock:
    """`ports.Clock` on the running loop's time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now()


def play(coroutine: Coroutine[Any, Any, T], quiet: float = 0.0) -> T:
    """Run a coroutine to its end on a loop whose time jumps."""
    with asyncio.Runner(loop_factory=lambda: JumpingLoop(quiet)) as runner:
        return runner.run(coroutine)
