"""Carries deeds out, and turns what the outside says into events."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from maestro.engine import errands, events
from maestro.engine.events import Deed, Ended
from maestro.engine.state import ALIVE, State
from maestro.engine.words import signal_name
from maestro.manager import conditions, credentials, dynamic_users, fdstore, pid_file, recipe
from maestro.manager.catalogue import Catalogue, Changes
from maestro.manager.credentials import Secrets, Vault
from maestro.manager.foresight import Foresight
from maestro.manager.given import checked
from maestro.manager.held import Held
from maestro.manager.hidden import failure
from maestro.manager.log_keeping import log_limits, relimit
from maestro.manager.loop import Manager
from maestro.manager.prober import Prober
from maestro.manager.recipe import CannotPrepare, House
from maestro.manager.remains import Remains
from maestro.manager.watchers import Watchers
from maestro.model.status import signal_number
from maestro.model.unit import Unit
from maestro.ports import SOMEBODYS, Keeper, Logs

_log = logging.getLogger("maestro")
_MOST_UNCLAIMED = 64  # senders whose notifications are kept until it is known whose they are
_MOST_BATCHES = 16  # of notifications, before a timer rings: a flood must not hold it up for ever
_FOR_A_LIFE = (
    events.Spawn,
    events.Probe,
    events.FindMain,
)  # of no use once another, or none, is in its place


class Carrier:
    """The manager's hands and ears. Implements `ports.KeeperNews`."""

    def __init__(
        self, manager: Manager, keeper: Keeper, logs: Logs, house: House, catalogue: Catalogue
    ) -> None:
        self._manager, self._keeper, self._logs, self._house = manager, keeper, logs, house
        self._world, self._catalogue = manager.world, catalogue
        self.watchers, self.held = Watchers(), Held(manager.world)
        self.prober = Prober(manager, keeper, logs, house)
        self.vault, self.remains = Vault(house, logs.note), Remains(house, self._going)
        self._sought: set[str] = set()  # agents whose pid file is being looked at
        self._unclaimed: dict[int, list[dict[str, str]]] = {}  # notifications by the pid of their sender
        self._following: set[str] = set()  # agents that named another main process, until the keeper answers
        self._early: dict[str, Ended] = {}  # ends that came before that answer
        self.listen: Callable[[], bool] = lambda: False  # to the notify socket; whether there may be more
        manager.hear, manager.foresee = self._hear, Foresight(manager, house, catalogue)
        self._hands = self._table_of_hands()
        self.on_told: Callable[[str], None] = lambda what: None
        self.on_quit: Callable[[str, int], None] = lambda unit, code: None
        self.on_rest: Callable[[str], None] = lambda unit: None  # nothing of it runs, or will by itself
        self.on_lost: Callable[[], None] = lambda: None

    # ---------------------------------------------------------------------------------- deeds

    def carry(self, deed: Deed) -> None:
        if isinstance(deed, _FOR_A_LIFE) and self._world.owner(deed.agent) is None:
            return  # that was stopped, and its unit perhaps forgotten, while the deed was committed
        if not self.held.keeps(deed):
            self._hands[type(deed)](deed)

    def hold(self, still: bool) -> None:
        """Start nothing, or go on with that."""
        self.held.on = still
        for deed in () if still else self.held.take():
            self.carry(deed)

    def _table_of_hands(self) -> dict[type[Deed], Callable[[Any], object]]:
        keeper = self._keeper
        return {
            events.Spawn: self._spawn,
            events.Send: self._send,
            events.Freeze: lambda deed: keeper.freeze(deed.agent, still=deed.still),
            events.Throttle: self._throttle,
            events.Acknowledge: lambda deed: keeper.acknowledge(deed.agent),
            events.Release: lambda deed: self._give_back(deed.unit),
            events.Adopt: self._adopt,
            events.Probe: lambda deed: self.prober.begin(self._world.units[deed.unit], deed.agent),
            events.Unprobe: lambda deed: self.prober.stop(deed.agent),
            events.FindMain: self._find_main,
            events.RemovePidFile: lambda deed: pid_file.remove(deed.path),
            events.Forsake: lambda deed: self.remains.clear(self._world.units.get(deed.unit), deed),
            events.Quit: lambda deed: self.on_quit(deed.unit, deed.code),
        }

    def _send(self, deed: events.Send) -> None:
        number = signal_number(deed.signal) or signal.SIGTERM
        send = partial(self._keeper.send, deed.agent, number, tree=deed.tree, order=deed.order)
        unit = self._world.units.get(self._world.owner(deed.agent) or "")
        if unit is not None and credentials.are_reloaded_by(unit, deed.signal):
            self.vault.refresh(unit, self._world.life(unit.name).pid, send)
        else:
            send()

    def _adopt(self, deed: events.Adopt) -> None:
        unit = self._world.units.get(self._world.owner(deed.agent) or "")
        group = self._house.groups.where(unit, deed.agent) if unit is not None else ""
        if unit is not None:
            self._house.groups.limit(unit)  # what gave a new keeper its place may have taken the limits away
        self._keeper.adopt(
            deed.agent, deed.pid, deed.start, recipe.invocation(self._house, deed.agent), group
        )

    def _throttle(self, deed: events.Throttle) -> None:
        unit = self._world.units.get(self._world.owner(deed.agent) or "")
        if unit is not None:
            self._house.groups.throttle(unit, deed.on)

    def _give_back(self, unit: str) -> None:
        """What was kept for its next process, and its stream once that is empty."""
        if self._is_at_rest(unit):
            self._keeper.drop_store(unit)
            self.watchers.leave(unit)
            self._house.drafts.drop(unit)
            if (section := self._world.units.get(unit)) is not None:
                self._house.groups.clear(section)
            self.on_rest(unit)
        self._logs.drained(unit, partial(self._release, unit))

    def _release(self, unit: str) -> None:
        """Give the stream's descriptors back, ours and the keeper's, unless it was started again meanwhile."""
        if self._is_at_rest(unit):
            self._logs.drop(unit)
            self._keeper.release_stream(unit)

    def _is_at_rest(self, unit: str) -> bool:
        return self._world.life(unit).state in (State.DEAD, State.FAILED)

    def _spawn(self, deed: events.Spawn) -> None:
        unit, life = self._world.units[deed.unit], self._world.life(deed.unit)
        if self._leaves_out(deed):
            return
        if unit.agent is None:
            self._manager.feed(events.Spawned(deed.agent, 0, 0))
            return
        read = partial(self.vault.open, unit, partial(self._begin, deed, unit))
        is_reload = deed.errand is not None and deed.errand.option == "exec_reload"
        self.vault.refresh(unit, life.pid, read) if is_reload else read()

    def _begin(self, deed: events.Spawn, unit: Unit, secrets: Secrets | CannotPrepare) -> None:
        """Start it, with credentials that may have taken a while to read."""
        life = self._world.life(deed.unit)
        if self._world.owner(deed.agent) is None or self.held.keeps(deed):
            return
        try:
            if isinstance(secrets, CannotPrepare):
                raise secrets
            if secrets and life.state is State.STOPPING:
                raise CannotPrepare("it was stopped before it was started")
            if deed.errand is not None:
                prepared = recipe.make_errand(unit, deed.errand, self._house)
            else:
                note = partial(self._logs.note, deed.unit)
                prepared = recipe.make(unit, deed.agent, self._house, life.trigger, life.line, note)
            prepared = credentials.furnish(prepared, unit, self._house, secrets)
        except CannotPrepare as why:
            self._manager.feed(events.CannotSpawn(deed.agent, str(why)))
            return
        self.watchers.attend(unit, prepared.cgroup)
        try:
            self._keeper.spawn(deed.agent, prepared)
        except ValueError as why:  # larger than a message to the keeper may be
            self._manager.feed(events.CannotSpawn(deed.agent, f"cannot be started: {why}"))

    def _find_main(self, deed: events.FindMain) -> None:
        """Follow the process that the pid file names, once it names one of the agent's own; without one, the only one that is left."""
        section, ended = self._world.units[deed.unit].agent, self._world.life(deed.unit).ended
        if section is None or ended is None or deed.agent in self._sought:
            return
        if section.pid_file is None:
            self._following.add(deed.agent)
            self._early[deed.agent] = ended
            self._keeper.follow(deed.agent, 0)
            return

        def take(pid: int, fault: str) -> bool:
            life = self._world.life(deed.unit)
            if life.agent != deed.agent or "pid" not in life.awaits or life.ended is None:
                self._sought.discard(deed.agent)
                return True
            if deed.agent not in self._following and self._follow(deed.agent, pid, SOMEBODYS):
                self._early[deed.agent] = life.ended  # known already: if that is the answer, it is no other
            if fault and self._keeper.whose(pid) != deed.agent and fault != life.pid_fault:
                self._manager.feed(events.NoMain(deed.agent, fault))
            return False

        self._sought.add(deed.agent)
        pid_file.seek(section.pid_file, take)

    def _follow(self, agent: str, pid: int, *also: str) -> bool:
        """Make a process the main one of an agent, which may name one of its own only: the keeper has the last word on that."""
        if not pid or self._keeper.whose(pid) not in (agent, *also):
            return False
        self._following.add(agent)
        self._keeper.follow(agent, pid)
        return True

    def _leaves_out(self, deed: events.Spawn) -> bool:
        """Whether a condition or an assert of the unit keeps it from being started."""
        if not errands.begins(deed, self._world.units[deed.unit], self._world.life(deed.unit).line):
            return False
        unit, environ = self._world.units[deed.unit], self._house.environ
        why = conditions.unmet(unit.condition, "condition", environ)
        refusal = "" if why else conditions.unmet(unit.assert_, "assert", environ)
        if not why and not refusal:
            return False
        # An earlier manager may have ordered it while all held, and died before it knew.
        self._keeper.send(deed.agent, signal.SIGKILL, tree=True)
        self._manager.feed(
            events.Skipped(deed.agent.partition("/")[0], why or refusal, refused=bool(refusal))
        )
        return True

    # ---------------------------------------------------------------------------------- news

    def spawned(self, agent: str, pid: int, start: int) -> None:
        self._following.discard(agent)
        self._early.pop(agent, None)  # the end of a main process that had handed over
        if not self.prober.is_ours(agent):
            self._manager.feed(events.Spawned(agent, pid, start))
            if (unit := self._world.units.get(self._world.owner(agent) or "")) is not None:
                self.watchers.begun(unit)
        for fields in self._unclaimed.pop(pid, ()):
            self.notified(pid, agent, fields)

    def cannot_spawn(self, agent: str, stage: str, errno: int) -> None:
        if self.prober.is_ours(agent):
            self.prober.command_ended(agent, good=False)
        else:
            unit = self._world.units.get(self._world.owner(agent) or "")
            self._manager.feed(events.CannotSpawn(agent, failure(unit, stage, errno, self._house)))

    def _hear(self) -> None:
        """Take all that agents have said by now: before a time-out is held against one."""
        for _ in range(_MOST_BATCHES):
            if not self.listen():
                return

    def ended(self, ended: Ended) -> None:
        if self.prober.is_ours(ended.agent):
            if ended.left:
                self._keeper.send(ended.agent, signal.SIGKILL, tree=True)
            self.prober.command_ended(ended.agent, good=ended.code == 0)
            return
        if self._may_have_spoken(ended.agent):
            self.listen()  # what it said before it ended comes first: that it is ready, that another goes on for it
        if ended.agent in self._following and ended.agent not in self._early:
            self._early[ended.agent] = ended  # the keeper's answer says whether another goes on
            return
        self._following.discard(ended.agent)
        refused = self._early.pop(ended.agent, None) is not None
        if not self.settle_past(ended.agent):
            self.watchers.ended(self._world.owner(ended.agent) or "", ended)
            self._manager.feed(ended)  # what follows is committed before the keeper forgets the record
            name = self._world.owner(ended.agent)
            section = self._world.units[name].agent if refused and name is not None else None
            if section is not None and section.pid_file is None:
                self._manager.feed(events.NoMain(ended.agent, pid_file.cannot_guess(ended.left)))

    def _may_have_spoken(self, agent: str) -> bool:
        unit = self._world.units.get(agent.rpartition("#")[0])
        return unit is None or unit.agent is None or recipe.is_heard(unit.agent)

    def settle_past(self, agent: str) -> bool:
        """Let the keeper forget the end of a past agent, or of one set aside: nobody waits for it."""
        name = self._world.owner(agent)
        if name is not None and self._world.life(name).state in ALIVE:
            return False
        self._keeper.acknowledge(agent)
        return True

    def emptied(self, agent: str) -> None:
        self._manager.feed(events.Emptied(agent))

    def ready(self, agent: str) -> None:
        self._manager.feed(events.Notified(agent, {"READY": "1"}))

    def stream(self, name: str, fd: int) -> None:
        self._logs.take(name, fd, log_limits(name, self._world.units))

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
        if self._speaks_for(pid, agent) is None:
            return
        fields = checked(fields)
        main = int(fields.pop("MAINPID", "0"))
        self._follow(agent, main)
        self._manager.feed(events.Notified(agent, fields))

    def stored(self, pid: int, agent: str, fields: dict[str, str], fds: list[int]) -> None:
        """A datagram about descriptors to keep, which are ours until we return."""
        name = self._speaks_for(pid, agent)
        if name is not None:
            fdstore.take(self._keeper, self._world.units[name], fields, fds)

    def _speaks_for(self, pid: int, agent: str) -> str | None:
        """The unit that this process may speak for."""
        name = self._world.owner(agent)
        section = self._world.units[name].agent if name is not None else None
        if name is None or section is None:
            return None
        access = self._world.life(name).access or section.notify_access
        # Of what Maestro starts for a unit, the main process is all that has this agent's id.
        return name if access == "all" or (access != "none" and self._is_main(pid, name)) else None

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

    def reread(self) -> Changes:
        """Read the unit files again, and let what changed take effect where it can at once."""
        changes = self._catalogue.reload(self._world)
        relimit(self._logs, changes, self._world.units)
        for name in (
            *changes.added,
            *changes.changed,
        ):  # also where only its groups are there: until a next start
            for words in self._house.groups.limit(self._world.units[name]):
                _log.warning("%s: %s", name, words)
        self._manager.feed(events.Reread(changes.removed))
        return changes

    def _going(self) -> list[Unit]:
        """The units of which something runs."""
        lives = self._world.lives
        return [unit for name, unit in self._world.units.items() if name in lives and lives[name].alive]

    def take_up_users(self, kept: str) -> None:
        """Go on from what an earlier manager has given away."""
        self._house.users.take_up(kept)
        self._house.users.on_change(partial(self._manager.note_fact, dynamic_users.FACT))

    def clear_remains(self) -> None:
        """What an earlier manager may have had no time for."""
        lives, units = self._world.lives, self._world.units
        ended = [name for name in lives if lives[name].spawns and self._is_at_rest(name)]
        self.remains.clear_all(units[name] for name in ended if name in units)

    def kill_all(self) -> None:
        """The operator lost patience: SIGKILL to every agent."""
        for name, life in self._world.lives.items():
            if life.alive and life.state is not State.SPAWNING:
                _log.warning("%s: %s", name, signal_name(signal.SIGKILL))
                for agent in life.agents:
                    self._keeper.send(agent, signal.SIGKILL, tree=True)
