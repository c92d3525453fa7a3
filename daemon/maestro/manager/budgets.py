"""Reads what agents use while budgets are charged with it, each second, and tells the engine.

Time, starts and restarts the engine counts by itself; what only the kernel knows is read here, and only while something runs
that has a budget of it, or is in a slice that has one. The readings are committed every few seconds: a manager that dies in
between leaves a sum and the reading that it is the sum of, and the next one counts on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from maestro.engine.events import Used
from maestro.engine.state import Life
from maestro.manager.loop import Manager
from maestro.ports import Usage

PERIOD = 1.0  # seconds between two readings
KEPT_EVERY = 10  # of which so many are committed as one
_COUNTED = ("cpu_seconds", "bytes_written")


class Meter:
    """`usage` says what the group of a unit has used since its agent began; None where that is not known."""

    def __init__(self, manager: Manager, usage: Callable[[str, Life], Usage | None]) -> None:
        self._manager, self._world = manager, manager.world
        self._usage = usage
        self._timer: asyncio.TimerHandle | None = None
        self._readings = 0
        manager.on_accounts = self.wake

    def wake(self) -> None:
        """Begin to read, where there is something to be read."""
        if self._timer is None and any(map(self._is_read, self._world.ledger.metered())):
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._read)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _is_read(self, name: str) -> bool:
        life = self._world.life(name)
        if not life.agents or life.stands_still:
            return False
        ledger = self._world.ledger
        return any(
            one.resource in _COUNTED for payer in ledger.payers(name) for one in ledger.terms[payer].limits
        )

    def _read(self) -> None:
        self._timer = None
        self._readings += 1
        counters = {}
        for name in filter(self._is_read, self._world.ledger.metered()):
            life = self._world.life(name)
            usage = self._usage(name, life)
            if usage is not None:
                counters[life.agent] = _counters(usage)
        if counters:
            self._manager.feed(Used(counters=counters, keep=self._readings % KEPT_EVERY == 0))
        self.wake()


def _counters(usage: Usage) -> dict[str, float]:
    read = {"cpu_seconds": usage.cpu, "bytes_written": usage.written}
    return {resource: float(value) for resource, value in read.items() if value is not None}
