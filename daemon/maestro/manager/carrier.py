"""Carries deeds out, and turns what the outside says into events."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from functools import partial

from maestro.engine import events
from maestro.engine.events import Deed, Ended
from maestro.engine.state import ALIVE, State
from maestro.engine.words import signal_name
from maestro.manager import probes, recipe
from maestro.manager.catalogue import Catalogue, Changes
from maestro.manager.loop import Manager
from maestro.manager.recipe import CannotPrepare, House
from maestro.model.status import signal_number
from maestro.model.unit import Unit
from maestro.ports import SOMEBODYS, Keeper, LogLimits, Logs

_log = logging.getLogger("maestro")
_LOG_GRAIN = 20_000_000  # nanoseconds: times in the log's index are no finer
_MOST_UNCLAIMED = 64  # senders whose notifications are kept until it is known whose they are
_PROBE = "probe:"  # agent ids of exec probes: the engine never hears of them


class Carrier:
    """The manager's hands and ears. Implements `ports.KeeperNews`."""

    def __init__(
        self, manager: Manager, keeper: Keeper, logs: Logs, house: House, catalogue: Catalogue
    ) -> None:
        self._manager, self._keeper, self._logs, self._house = manager, keeper, logs, house
        self._world, self._catalogue = manager.world, catalogue
        self._probes: dict[str, Callable[[], object]] = {}  # agent -> how to stop asking
        self._commands: dict[str, asyncio.Future[bool]] = {}  # exec probes that run
        self._probe_number = 0
        self._unclaimed: dict[int, list[dict[str, str]]] = {}  # notifications by the pid of their sender
        self._following: set[str] = set()  # agents that named another main process, until the keeper answers
        self._early: dict[str, Ended] = {}  # ends that came before that answer
        self.listen: Callable[[], None] = lambda: None  # takes what waits at the notify socket
        self.on_told: Callable[[str], None] = lambda what: None
        self.on_quit: Callable[[str, int], None] = lambda unit, code: None
        self.on_lost: Callable[[], None] = lambda: None

    # ---------------------------------------------------------------------------------- deeds

    def carry(self, deed: Deed) -> None:
        match deed:
            case events.Spawn():
                self._spawn(deed)
            case events.Send():
                self._keeper.send(
                    deed.agent, signal_number(deed.signal) or signal.SIGTERM, tree=deed.tree, order=deed.order
                )
            case events.Acknowledge():
                self._keeper.acknowledge(deed.agent)
            case events.Release():
                self._logs.drained(deed.unit, partial(self._release, deed.unit))
            case events.Adopt():
                self._keeper.adopt(
                    deed.agent, deed.pid, deed.start, recipe.invocation(self._house, deed.agent)
                )
            case events.Probe():
                self._probe(deed)
            case events.Quit():
                self.on_quit(deed.unit, deed.code)
            case events.Unprobe():
                stop = self._probes.pop(deed.agent, None)
                if stop is not None:
                    stop()

    def _release(self, unit: str) -> None:
        """Give the stream's descriptors back, ours and the keeper's, unless it was started again meanwhile."""
        if self._world.life(unit).state in (State.DEAD, State.FAILED):
            self._logs.drop(unit)
            self._keeper.release_stream(unit)

    def _spawn(self, deed: events.Spawn) -> None:
        definition = self._catalogue.definition(deed.unit)
        if definition is not None:
            self._manager.note_definition(deed.unit, definition)
        try:
            prepared = recipe.make(self._world.units[deed.unit], deed.agent, self._house)
        except CannotPrepare as why:
            self._manager.feed(events.CannotSpawn(deed.agent, str(why)))
            return
        try:
            self._keeper.spawn(deed.agent, prepared)
        except ValueError as why:  # larger than a message to the keeper may be
            self._manager.feed(events.CannotSpawn(deed.agent, f"cannot be started: {why}"))

    # ---------------------------------------------------------------------------------- probes

    def _probe(self, deed: events.Probe) -> None:
        unit, agent = self._world.units[deed.unit], deed.agent
        section = unit.health.readiness
        if section is None or agent in self._probes:
            return

        def answered() -> None:
            self._probes.pop(agent, None)
            self._manager.feed(events.ProbeAnswered(agent))

        if section.log is not None:
            since = self._began_ns(unit.name)
            self._probes[agent] = self._logs.await_line(unit.name, str(section.log), answered, since)
        else:
            self._probes[agent] = probes.begin(
                section, unit.name, lambda *what: self._run(unit, agent, *what), answered
            ).cancel

    def _began_ns(self, name: str) -> int | None:
        """When an agent began that an earlier manager started: its line may have come since. None for one that begins now."""
        life, clock = self._world.life(name), self._manager.clock
        if not life.pid:
            return None
        return int((clock.wall() - (clock.now() - life.began)) * 1e9) - _LOG_GRAIN

    async def _run(self, unit: Unit, agent: str, command: tuple[str, ...], limit: float) -> bool:
        """Run an exec probe by the keeper, like everything that runs; what takes too long is killed with its tree."""
        self._probe_number += 1
        probe = f"{_PROBE}{agent}:{os.getpid()}:{self._probe_number}"
        try:
            prepared = recipe.make_probe(unit, probe, command, self._house)
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

    def _command_ended(self, probe: str, good: bool) -> None:
        future = self._commands.get(probe)
        if future is not None and not future.done():
            future.set_result(good)
        self._keeper.acknowledge(probe)

    def sweep_probe(self, probe: str) -> bool:
        """End a probe that an earlier manager had started; says whether this agent id is one."""
        if not probe.startswith(_PROBE):
            return False
        self._keeper.send(probe, signal.SIGKILL, tree=True)
        self._keeper.acknowledge(probe)
        return True

    # ---------------------------------------------------------------------------------- news

    def spawned(self, agent: str, pid: int, start: int) -> None:
        self._following.discard(agent)
        self._early.pop(agent, None)  # the end of a main process that had handed over
        if not agent.startswith(_PROBE):
            self._manager.feed(events.Spawned(agent, pid, start))
        for fields in self._unclaimed.pop(pid, ()):
            self.notified(pid, agent, fields)

    def cannot_spawn(self, agent: str, stage: str, errno: int) -> None:
        if agent.startswith(_PROBE):
            self._command_ended(agent, good=False)
        else:
            self._manager.feed(events.CannotSpawn(agent, f"cannot {stage}: {os.strerror(errno).lower()}"))

    def ended(self, ended: Ended) -> None:
        if ended.agent.startswith(_PROBE):
            if ended.left:
                self._keeper.send(ended.agent, signal.SIGKILL, tree=True)
            self._command_ended(ended.agent, good=ended.code == 0)
            return
        self.listen()  # what it said before it ended comes first: that it is ready, that another goes on for it
        if ended.agent in self._following and ended.agent not in self._early:
            self._early[ended.agent] = ended  # the keeper's answer says whether another goes on
            return
        self._following.discard(ended.agent)
        self._early.pop(ended.agent, None)
        if not self.settle_past(ended.agent):
            self._manager.feed(ended)  # what follows is committed before the keeper forgets the record

    def settle_past(self, agent: str) -> bool:
        """Let the keeper forget the end of a past agent, or of one set aside: nobody waits for it."""
        name = self._world.owner(agent)
        if name is not None and self._world.life(name).state in ALIVE:
            return False
        self._keeper.acknowledge(agent)
        return True

    def emptied(self, agent: str) -> None:
        self._manager.feed(events.Emptied(agent))

    def stream(self, name: str, fd: int) -> None:
        self._logs.take(name, fd, self.limits(name))

    def told(self, signal: str) -> None:
        self.on_told(signal)

    def lost(self) -> None:
        self.on_lost()

    def notified(self, pid: int, agent: str, fields: dict[str, str]) -> None:
        """An sd_notify datagram from a process that was an agent's when it was heard."""
        if agent == SOMEBODYS:
            agent = self._keeper.whose(pid) or SOMEBODYS
        if agent == SOMEBODYS:  # gone already: the keeper's word that it began may still be on its way
            self._unclaimed.setdefault(pid, []).append(fields)
            while len(self._unclaimed) > _MOST_UNCLAIMED:
                del self._unclaimed[next(iter(self._unclaimed))]
            return
        name = self._world.owner(agent)
        if name is None:
            return
        section = self._world.units[name].agent
        if section is not None and section.notify_access == "main" and not self._is_main(pid, name):
            return
        fields = _checked(fields)
        main = int(fields.pop("MAINPID", "0"))
        if main and self._keeper.whose(main) == agent:  # an agent may name a process of its own only
            self._following.add(agent)
            self._keeper.follow(agent, main)
        self._manager.feed(events.Notified(agent, fields))

    def owes(self) -> bool:
        """Whether a notification waits for the keeper's word on whose it is."""
        lives = self._world.lives.values()
        return bool(self._unclaimed) and (
            bool(self._following) or any(life.state is State.SPAWNING for life in lives)
        )

    def _is_main(self, pid: int, name: str) -> bool:
        """Its word may come before the keeper's that it runs: then it is known by leading a session of its own."""
        main = self._world.life(name).pid
        if main:
            return pid == main
        try:
            return os.getsid(pid) == pid
        except ProcessLookupError:
            return False

    def hands_over(self, ended: Ended) -> bool:
        """Whether an end from the keeper's table may be one that another process goes on after: then the keeper's answer is awaited."""
        if ended.agent in self._following:
            self._early[ended.agent] = ended
        return ended.agent in self._following

    def limits(self, name: str) -> LogLimits:
        unit = self._world.units.get(name)
        if unit is None:
            return LogLimits()
        section = unit.logs
        return LogLimits(
            max_size=int(section.max_size),
            max_files=section.max_files,
            rate_interval=float(section.rate_limit_interval),
            rate_burst=int(section.rate_limit_burst),
        )

    def reread(self) -> Changes:
        """Read the unit files again, and let what changed take effect where it can at once."""
        changes = self._catalogue.reload(self._world)
        for name in (*changes.added, *changes.changed):
            self._logs.relimit(name, self.limits(name))
        self._manager.feed(events.Reread(changes.removed))
        return changes

    def kill_all(self) -> None:
        """The operator lost patience: SIGKILL to every agent."""
        for name, life in self._world.lives.items():
            if life.alive and life.state is not State.SPAWNING:
                _log.warning("%s: %s", name, signal_name(signal.SIGKILL))
                self._keeper.send(life.agent, signal.SIGKILL, tree=True)


def _checked(fields: dict[str, str]) -> dict[str, str]:
    """Only numbers where numbers belong: what an agent says is not to be trusted."""
    numeric = ("MAINPID", "EXTEND_TIMEOUT_USEC", "WATCHDOG_USEC")
    return {
        key: value
        for key, value in fields.items()
        if key not in numeric or (value.isascii() and value.isdigit() and len(value) < 16)
    }
