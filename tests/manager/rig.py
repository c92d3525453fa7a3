"""A manager on fake ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from maestro.engine.events import Ended, Happening
from maestro.engine.world import World
from maestro.manager import tasks
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.happened import Hub
from maestro.manager.loop import Manager
from maestro.manager.recipe import House
from maestro.model.load import Settings
from maestro.model.specifiers import Specifiers
from maestro.model.unit import Unit
from maestro.testing.fakes import FakeFiles, FakeKeeper, FakeLogs, FakeStore
from maestro.testing.loop import LoopClock

HOUSE = House(
    notify="/run/notify", control="/run/control.sock", identity="boot:root", environ={"PATH": "/bin"}, uid=0
)
SETTINGS = Settings(Specifiers(host="host", uid=0, user="root", home="/root"), {})


class Rig:
    """All that a manager needs, in memory. `async with rig(...)` runs its committer."""

    def __init__(self, *units: Unit, files: FakeFiles | None = None) -> None:
        self.declared = {unit.name: unit for unit in units}
        self.store, self.keeper, self.logs = FakeStore(), FakeKeeper(), FakeLogs()
        self.hub = Hub(self.store)
        self.catalogue = Catalogue(files or FakeFiles(), SETTINGS)
        world = World(self._resolve, self.catalogue.masked_by)
        self.manager = Manager(world, self.store, LoopClock(), lambda: 0.0, self.hub)
        self.carrier = Carrier(self.manager, self.keeper, self.logs, HOUSE, self.catalogue)
        self.doomed: list[str] = []
        self.manager.employ(self.carrier.carry, self.doomed.append)
        self.told: list[str] = []
        self.hub.listen(lambda told: self.told.append(told.what.kind))
        for unit in units:
            self.manager.world.put(unit)

    def _resolve(self, name: str) -> Unit | None:
        return self.declared.get(name) or self.catalogue.resolve(name)

    def state(self, name: str) -> str:
        return self.manager.world.life(name).state.value

    def spawned(self, agent: str, pid: int = 100) -> None:
        self.keeper.family[pid] = agent
        self.carrier.spawned(agent, pid, 1)

    def ended(self, agent: str, code: int | None = 0, **facts: Any) -> None:
        self.carrier.ended(Ended(agent=agent, code=code, **facts))


@asynccontextmanager
async def rig(*units: Unit, files: FakeFiles | None = None) -> AsyncIterator[Rig]:
    one = Rig(*units, files=files)
    committer = tasks.spawn(one.manager.run(), "committer")
    try:
        yield one
        if committer.done():
            committer.result()
    finally:
        committer.cancel()


async def turns(number: int = 10) -> None:
    """Let all that is ready run."""
    for _ in range(number):
        rested = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(rested.set_result, None)
        await rested


async def rest(seconds: float) -> None:
    """Let time pass; on a loop that jumps it costs none."""
    rested = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, rested.set_result, None)
    await rested


def really(coroutine: Coroutine[Any, Any, Any], within: float = 20.0) -> Any:
    """Run on a loop with the real clock: where threads have a part."""
    return asyncio.run(asyncio.wait_for(coroutine, within))


async def until(question: Callable[[], object], within: float = 10.0) -> None:
    """Ask, in real time, until the answer is yes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not question():
        if loop.time() > deadline:
            pytest.fail(f"not within {within} s")
        await rest(0.002)


def happening(number: int) -> Happening:
    return Happening(unit="web", kind=f"kind{number}", words="")
