"""One manager from its first to its last moment: serving, and the three ways to end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from maestro.engine.events import Asked, Happening, Tick
from maestro.engine.state import ALIVE
from maestro.manager import tasks
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.loop import Manager
from maestro.manager.plugins import Plugins
from maestro.ports import Keeper, Logs, Store

_log = logging.getLogger("maestro")
_ENDINGS = {
    "shutdown": "maestrod stops every agent and ends",
    "leave": "maestrod ends, and the agents run on",
    "reexec": "maestrod makes room for new code",
}


class Server(Protocol):
    def serve(self) -> None: ...
    def close(self) -> None: ...


class Ear(Protocol):
    def drain(self) -> bool: ...
    def close(self) -> None: ...


class Closing(Struct, frozen=True):
    """What is closed at the end, in this order."""

    logs: Logs
    plugins: Plugins
    store: Store


class Session:
    """Runs until it is told to end; returns the manager's exit status."""

    def __init__(
        self,
        manager: Manager,
        carrier: Carrier,
        keeper: Keeper,
        closing: Closing,
        restart_code: int,
    ) -> None:
        self.manager, self.carrier, self.keeper, self._closing = manager, carrier, keeper, closing
        self.server: Server | None = None
        self.notify: Ear | None = None
        self.begin_with: Asked | None = None
        self.open_trouble = ""
        self.held_notice: Callable[[], str] = lambda: ""
        self.on_stop_all: Callable[[], None] = lambda: None
        self.on_reload: Callable[[], object] = lambda: None
        self._restart_code = restart_code
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ending = self._shutting_down = False
        self._exit_code = 0
        carrier.on_told = self.told
        carrier.on_lost = self._keeper_lost
        carrier.on_quit = self._quit

    async def run(self) -> int:
        committer = tasks.spawn(self.manager.run(), "committer")
        self._closing.plugins.begin()
        if self.notify is not None:
            self.notify.drain()  # what agents said while nobody listened comes before any timer
        if self.begin_with is not None:
            self.manager.feed(self.begin_with)
        self.manager.feed(Tick())
        if self.server is not None:
            self.server.serve()
        waited: set[asyncio.Future[Any]] = {committer, self._over}
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if committer in done:
            committer.result()  # raises what went wrong: a bug of ours; the keeper starts the next manager
        status = self._over.result()
        await self._close(committer)
        return status

    async def _close(self, committer: asyncio.Task[None]) -> None:
        if self.server is not None:
            self.server.close()
        self._stop_listening()
        await self.manager.caught_up()  # where the keeper is gone, nobody else knows what it told last
        committer.cancel()
        self._closing.logs.close()
        self._closing.plugins.close()
        await self._closing.store.close()
        self.keeper.close()

    # ------------------------------------------------------------------------------ ends

    @property
    def is_ending(self) -> bool:
        """Whether everything is being stopped for good. A renewal is none of that: what is asked meanwhile waits for the next manager."""
        return self._shutting_down

    def told(self, what: str) -> None:
        """The keeper got a signal for us."""
        if what == "terminate" and self._ending:
            _log.warning("told again to end: killing what is still there")
            self.carrier.kill_all()
        else:
            how = {"terminate": "shutdown", "reload": "reload", "reexec": "reexec"}.get(what, what)
            self.end(how, "a signal")

    def end(self, how: str, by: str = "") -> None:
        """`shutdown` stops every agent first, in order; `leave` lets them run on; `reexec` makes room for new code."""
        if how == "reload":
            self.on_reload()
        elif not self._ending:
            self._ending, self._shutting_down = True, how == "shutdown"
            if self._shutting_down:
                self.manager.note_fact("session", "ending")  # a manager that dies of it leaves it to the next
            words = f"{_ENDINGS.get(how, how)}, asked by {by}" if by else _ENDINGS.get(how, how)
            self.manager.tell(Happening(unit="", kind=how, words=words))
            tasks.spawn(self._end(how), how)

    def _quit(self, unit: str, code: int) -> None:
        """An essential unit is gone for good: the daemon ends with its exit code."""
        _log.error("%s is essential, and gone for good: ending with exit status %d", unit, code)
        self._exit_code = code
        self.end("shutdown", f"the end of {unit}, which is essential")

    async def _end(self, how: str) -> None:
        if how == "shutdown":
            await self._stop_all()
            self.manager.note_fact("session", "closed")
        self._stop_listening()  # what agents say from now on is for the next manager
        await self.manager.settle()
        if how == "reexec":
            self.keeper.reexec()
        else:
            self.keeper.retire()
        if not self._over.done():
            self._over.set_result(self._restart_code if how == "reexec" else self._exit_code)

    def _stop_listening(self) -> None:
        if self.notify is not None:
            self.notify.close()
            self.notify = None
            self.carrier.listen = lambda: False

    async def _stop_all(self) -> None:
        world = self.manager.world
        names = tuple(name for name in world.units if world.life(name).goal == "up")
        _log.info("stopping %d units", len(names))
        self.manager.feed(Asked("stop", names))
        self.on_stop_all()
        for name, life in world.lives.items():
            if life.alive and name not in world.units:  # its rules are lost: nobody could stop it otherwise
                _log.warning("%s: its unit is gone: SIGKILL", name)
                for agent in life.agents:
                    self.keeper.send(agent, signal.SIGKILL, tree=True)
        while any(life.state in ALIVE and name in world.units for name, life in world.lives.items()):
            changed = asyncio.Event()
            stop = self.manager.hub.listen(lambda told, changed=changed: changed.set())  # type: ignore[misc]
            try:
                await changed.wait()
            finally:
                stop()

    def _keeper_lost(self) -> None:
        """Without its keeper a manager can do nothing and must not stay: the next keeper brings its own."""
        _log.error("the keeper is gone: ending, so that the next one finds the field clear")
        if not self._over.done():
            self._over.set_result(1)

    # ------------------------------------------------------------------------------ what an operator should know

    def notices(self, catalogue: Catalogue) -> list[str]:
        found = [words for words in (self.open_trouble, self.held_notice()) if words]
        if self.manager.store_trouble:
            found.append(
                f"the store cannot be written: {self.manager.store_trouble}; states are kept in memory"
            )
        bad = sorted({problem.path for problem in catalogue.problems})
        if bad:
            found.append(
                f"{len(bad)} unit file{'s do' if len(bad) > 1 else ' does'} not load: maestroctl status shows why"
            )
        cycle = catalogue.cycle(self.manager.world)
        if cycle:
            found.append(f"the order of units runs in a circle: {cycle}")
        return found + list(self._closing.plugins.notices)
