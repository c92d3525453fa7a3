"""Who asks agents whether they are ready, until they are, or until nobody wants to know any more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from maestro.engine.events import ProbeAnswered
from maestro.manager import credentials, probes, recipe
from maestro.manager.loop import Manager
from maestro.manager.recipe import CannotPrepare, House
from maestro.model.unit import Unit
from maestro.ports import Keeper, Logs

_OURS = "probe:"  # agent ids of exec probes: the engine never hears of them
_LOG_GRAIN = 20_000_000  # nanoseconds: times in the log's index are no finer


class Prober:
    def __init__(self, manager: Manager, keeper: Keeper, logs: Logs, house: House) -> None:
        self._manager, self._keeper, self._logs, self._house = manager, keeper, logs, house
        self._asked: dict[str, Callable[[], object]] = {}  # agent -> how to stop asking
        self._commands: dict[str, asyncio.Future[bool]] = {}  # exec probes that run
        self._number = 0

    def begin(self, unit: Unit, agent: str) -> None:
        section = unit.health.readiness
        if section is None or agent in self._asked:
            return

        def answered() -> None:
            self._asked.pop(agent, None)
            self._manager.feed(ProbeAnswered(agent))

        if section.log is not None:
            since = self._began_ns(unit.name)
            self._asked[agent] = self._logs.await_line(unit.name, str(section.log), answered, since)
        else:
            self._asked[agent] = probes.begin(
                section, unit.name, lambda *what: self._run(unit, agent, *what), answered
            ).cancel

    def stop(self, agent: str) -> None:
        self._asked.pop(agent, lambda: None)()

    def is_ours(self, agent: str) -> bool:
        return agent.startswith(_OURS)

    def command_ended(self, probe: str, good: bool) -> None:
        future = self._commands.get(probe)
        if future is not None and not future.done():
            future.set_result(good)
        self._keeper.acknowledge(probe)

    def sweep(self, probe: str) -> bool:
        """End a probe that an earlier manager had started; says whether this agent id is one."""
        if not self.is_ours(probe):
            return False
        self._keeper.send(probe, signal.SIGKILL, tree=True)
        self._keeper.acknowledge(probe)
        return True

    def _began_ns(self, name: str) -> int | None:
        """When an agent began that an earlier manager started: its line may have come since. None for one that begins now."""
        life, clock = self._manager.world.life(name), self._manager.clock
        if not life.pid:
            return None
        return int((clock.wall() - (clock.now() - life.began)) * 1e9) - _LOG_GRAIN

    async def _run(self, unit: Unit, agent: str, command: tuple[str, ...], limit: float) -> bool:
        """Run an exec probe by the keeper, like everything that runs; what takes too long is killed with its tree."""
        self._number += 1
        probe = f"{_OURS}{agent}:{os.getpid()}:{self._number}"
        try:
            prepared = recipe.make_probe(unit, probe, command, self._house)
            if unit.agent is not None:
                secrets = await credentials.read(unit.agent, self._house)
                prepared = credentials.furnish(prepared, unit, self._house, secrets)
        except CannotPrepare:
            return False
        self._keeper.spawn(probe, prepared)
        future = self._commands[probe] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(asyncio.shield(future), limit)
        except (TimeoutError, asyncio.CancelledError):
            self._keeper.send(probe, signal.SIGKILL, tree=True)
            raise
        finally:
            self._commands.pop(probe, None)
