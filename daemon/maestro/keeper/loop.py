"""Stage 2 of maestrod: the keeper itself. One loop, and one place where it waits."""

from __future__ import annotations

import os
import time
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_SEQPACKET, socketpair

from maestro.keeper import (
    agents,
    child,
    lock,
    pulse,
    ready,
    record,
    reexec,
    respawn,
    signals,
    steps,
    table,
    tree,
    wire,
)
from maestro.keeper.link import Link
from maestro.keeper.proc import Proc
from maestro.keeper.respawn import Respawn
from maestro.keeper.say import error_name, guarded, say
from maestro.keeper.spare import Spare
from maestro.keeper.trial import Trial
from maestro.keeper.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import Any

    from maestro.keeper.table import Entry
else:
    import _signal as signal

_ORDERS_AT_ONCE = 64  # before exits and the manager's life get their turn
_REAPED_AT_ONCE = 1000  # before orders, deadlines and signals get their turn: something may fork for ever
_REAPINGS = 16  # before an end is told: processes that start the next and end could keep us at it for ever
_BREATH = (
    0.003  # seconds until it is looked what has ended beside: by then the next process of that unit runs
)
_DOOR = "control"  # the socket that clients come in by: once it is held, they are answered
_TRY_AGAIN = 0.1  # seconds until what failed for want of memory or descriptors is tried again


class Keeper:
    def __init__(
        self, setting: reexec.Setting, known: table.Table, manager: Respawn, held: lock.Lock
    ) -> None:
        self.setting = setting
        self.table = known
        self.manager = manager
        self.lock = held
        self.pulse = pulse.Pulse(setting.heartbeat)
        self.link: Link | None = None
        self.tolds: list[str] = []  # for each new manager: what none was told of yet, and "terminate"
        self.exit_code: int | None = None
        self.spare = Spare()
        self.watch = Watch()
        self.ear = signals.Ear()
        self.proc = Proc(see_to=self.spare.see_to)
        self.tree = tree.Tree(self.proc, known, os.getpid())
        self.nest = child.Nest(self.spare, self.ear.not_default)
        self.trial = Trial(setting, self.nest, self.tree)
        self.record = record.Record(setting.directory, known)
        around = agents.Surroundings(self.watch, self.proc, self.record, self.tree, self.nest, self.tell)
        around.has_more = self._has_more
        self.store, self.gateways = around.store, around.gateways
        self.agents = agents.Agents(known, around)
        self._short_of_descriptors = False
        self._is_first = True  # what is being carried out, of a batch of orders
        self._reap_at: float | None = None  # monotonic: there may be more to reap
        self._orders = self._table_of_orders()
        self._keep: dict[str, Callable[..., None]] = {"hold": self._hold, "store": self.store.put}

    def _table_of_orders(self) -> dict[str, Callable[..., None]]:
        return {
            "hello": self._hello,
            "spawn": self.agents.spawn,
            "send": self.agents.send,
            "freeze": self.agents.freeze,
            "adopt": self.agents.adopt,
            "follow": self.agents.follow,
            "acknowledge": self.agents.acknowledge,
            "unstore": self.store.remove,
            "drop_store": self.store.drop,
            "release_stream": self.table.release_stream,
            "reexec": self.trial.begin,
            "retire": self.manager.retire,
        }

    # -------------------------------------------------------------------------------------------- the loop

    def run(self) -> int:
        self.watch.on(self.ear.fd, self._hear)
        self.agents.resume()
        self._reap()  # what ended while nobody listened
        while self.exit_code is None:
            self._start_manager_if_due()
            for fd in self.watch.wait(self._flush()):
                guarded(self.watch.handle, fd)
            if self._reap_at is not None and time.monotonic() >= self._reap_at:
                guarded(self._reap)
            guarded(self.agents.finish_orders)
            guarded(self._see_to_deadlines)
            if self.trial.fits:
                self._become_successor()
        self.agents.end_starters()
        return self.exit_code

    def _flush(self) -> float | None:
        """Send what is to be said; returns how long there is time to wait."""
        dues = (self.manager.due, self.manager.kill_at, self.pulse.due, self._reap_at, self.agents.sweep_at)
        until = [at for at in (*dues, self.gateways.due) if at is not None]
        if self.link is not None:
            self.watch.want_room(self.link.fd, self.link.flush())
            if self.link.short_of_room:
                until.append(time.monotonic() + _TRY_AGAIN)
        if self._short_of_descriptors:
            until.append(time.monotonic() + _TRY_AGAIN)
        return min(until) - time.monotonic() if until else None

    def _see_to_deadlines(self) -> None:
        self._short_of_descriptors = self.agents.look_again()
        self.agents.sweep()
        now = time.monotonic()
        if self.gateways.due is not None and now >= self.gateways.due:
            self.gateways.tell_all()
        if self.pulse.is_due(now):
            self._beat(now)
        if self.manager.kill_at is not None and now >= self.manager.kill_at:
            say(f"the manager (pid {self.manager.pid}) {self.manager.why_killed}: killing it")
            self.manager.kill_at = None
            os.kill(self.manager.pid, signal.SIGKILL)

    def tell(self, *message: object) -> None:
        if self.link is not None and self.manager.greeted:
            self.link.tell(*message)

    # ----------------------------------------------------------------------------------------- signals, exits

    def _hear(self) -> None:
        heard = self.ear.hear()
        self._take_in(heard)
        if signal.SIGCHLD in heard:
            self._reap(breathing=self._reap_at is None)

    def _take_in(self, heard: set[int]) -> None:
        for number in sorted(heard):
            what = signals.TOLD.get(number)
            if what is None:
                continue
            connected = self.link is not None and self.manager.greeted
            self.tell("told", what)
            if what not in self.tolds and (what == "terminate" or not connected):
                self.tolds.append(what)
                self.manager.short_lives = 0

    def _reap(self, *, breathing: bool = False) -> None:
        """Reap what has ended, and tell of it together, so that many who end at once cost one look for orphans.

        Of the first it is told at once. To find that there is no more takes the kernel as long as all else: where it
        is as good a moment later, after a breath.
        """
        ended: list[Entry] = []
        for reaped in range(1, _REAPED_AT_ONCE + 1):
            if not self._reap_one(ended):
                self._reap_at = None
                break
            if breathing and ended and (not self.agents.look_for_orphans(ended) or reaped > _REAPINGS):
                self._reap_at = time.monotonic() + _BREATH
                self.agents.settle(ended)
                self._flush()
                return
        else:
            self._reap_at = time.monotonic()  # once orders and deadlines have had their turn
        self.agents.look_for_orphans(ended)
        self.agents.settle(ended)

    def _reap_one(self, ended: list[Entry]) -> bool:
        """Whether there was one; an agent's main process is added to the list."""
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return False
        self.tree.reaped(pid)
        if pid == self.manager.pid:
            self._manager_ended(status)
        elif pid == self.trial.pid:
            self.trial.ended(status)
        elif entry := self.agents.reaped(pid, status, usage):
            ended.append(entry)
        return True

    # -------------------------------------------------------------------------------------------- the manager

    def _start_manager_if_due(self) -> None:
        if self.manager.due is None or time.monotonic() < self.manager.due:
            return
        if "terminate" in self.tolds and self.manager.hopeless():
            say(f"no manager lives long enough to end the agents: leaving {len(self.table.by_pid)} running")
            self.exit_code = 1
            return
        try:
            self.spare.see_to(self._start_manager)
        except OSError as error:
            say(self.manager.could_not_start(error_name(error), time.monotonic()))
        except Exception as error:  # not to be tried again at once, and not to end the keeper
            say(self.manager.could_not_start(repr(error), time.monotonic()))

    def _start_manager(self) -> None:
        ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK)
        try:
            os.set_inheritable(theirs.fileno(), True)
            environment = {**os.environ, wire.LINK_VARIABLE: str(theirs.fileno())}
            environment.pop(ready.VARIABLE, None)  # it is for us alone
            recipe = {"argv": self.setting.manager, "env": environment}
            pid = child.fork(child.Birth(recipe, self.nest), steps.MANAGER)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.tree.not_agents.add(pid)
        now = time.monotonic()
        self.manager.began(pid, now)
        self.pulse.begin(now)
        self._open_link(ours.detach())
        self.spare.see_to(lambda: lock.write(self.lock.fd, pid))

    def _open_link(self, fd: int) -> None:
        self.link = Link(fd, self.table)
        self.watch.on(fd, self._take_orders)

    def _close_link(self) -> None:
        if self.link is not None:
            self.watch.off(self.link.fd)
            self.link.close()
            self.link = None

    def _beat(self, now: float) -> None:
        """What is to be looked at now and then: our lock, and whether the manager answers."""
        if words := self.lock.see_to(self.manager.pid):
            say(words)
        self.record.see_to()
        asks = self.manager.answers_pings()
        if self.pulse.beat(now, asks):
            process = self.proc.look(self.manager.pid)
            state = process.state if process else ""
            say(pulse.describe(self.manager.pid, state))
            os.kill(self.manager.pid, signal.SIGABRT)  # it then says where it hangs
            self.manager.given_up(now, stopped=state in ("T", "t"))
        elif asks:
            self.tell("ping")

    def _manager_ended(self, status: int) -> None:
        self.pulse.end()
        while self._take_orders():
            pass  # what it said last
        self._close_link()
        words = self.manager.ended(status, time.monotonic())
        if words:
            say(words)
            ready.tell(words)
        if self.manager.retiring:
            self.exit_code = respawn.exit_code(status)

    # -------------------------------------------------------------------------------------------- orders

    def _has_more(self) -> bool:
        """Not asked for the first of a batch: a lone order, as a restart is, is not to wait for the answer."""
        return not self._is_first and self.link is not None and self.link.has_more()

    def _take_orders(self) -> bool:
        """Obey the next few; returns whether there may be more."""
        try:
            return self._take_some_orders()
        finally:
            guarded(self.agents.land)

    def _take_some_orders(self) -> bool:
        for number in range(_ORDERS_AT_ONCE):
            self._is_first = number == 0
            if self.link is None:
                return False
            try:
                data, fd, lost = self.link.receive()
            except BlockingIOError:
                return False
            except ConnectionError:
                data, fd, lost = b"", -1, False
            if not data:
                self._close_link()
                self.manager.link_lost(time.monotonic())
                return False
            if lost:
                say("a descriptor that the manager sent could not be taken: too many open files")
            self.pulse.answered()  # who says anything lives; a pong says no more
            guarded(self._obey, data, fd)
        return True

    def _obey(self, data: bytes, fd: int) -> None:
        try:
            kind, *fields = wire.decode(data, wire.ORDERS)
        except wire.Malformed as error:
            say(f"an order was not understood: {error}")
            kind, fields = "", []
        if fd >= 0 and kind in self._keep:
            self._keep[kind](*fields, fd)
            return
        if fd >= 0:
            os.close(fd)
        if kind != "spawn":
            self.agents.land()  # it may be about what has just been ordered to start
        if kind in self._orders:
            self._orders[kind](*fields)

    def _hello(self, version: int) -> None:
        """Give the table. What was not sent yet is in it."""
        assert self.link is not None
        self.manager.said_hello(version)
        self.link.give_table()
        if _DOOR in self.table.held:
            ready.tell()
        for what in self.tolds:
            self.tell("told", what)
        # A manager that dies of ending leaves it to the next: that word is not forgotten.
        self.tolds = [what for what in self.tolds if what == "terminate"]

    def _hold(self, name: str, fd: int) -> None:
        self.table.hold(name, fd)
        if name == _DOOR:
            ready.tell()

    # -------------------------------------------------------------------------------------------- re-exec

    def _become_successor(self) -> None:
        self.trial.fits = False
        self.agents.end_starters()
        self._take_in(self.ear.refuse())
        self.spare.release()
        try:
            reexec.become(self.setting, self._state(), self._descriptors())
        except OSError as error:
            say(f"cannot execute the new keeper: {error_name(error)}; going on with the old one")
        self.spare.refill()
        signals.unblock()
        self._reap()  # of the signals that were taken in, SIGCHLD was to be the successor's

    def _state(self) -> dict[str, Any]:
        return {
            "table": self.table.state(),
            "store": self.store.state(),
            "gateways": self.gateways.state(),
            "manager": self.manager.state(),
            "lock": self.lock.fd,
            "link": self.link.fd if self.link else -1,
            "queue": self.link.queue if self.link else [],
            "tree": self.tree.state(),
            "earlier": self.record.earlier,
            "tolds": self.tolds,
            "oom": self.nest.oom,
            "not_default": tuple(self.ear.not_default),
        }

    def _descriptors(self) -> list[int]:
        ours = [self.lock.fd, *([self.link.fd] if self.link else [])]
        kept = [*self.store.descriptors(), *self.gateways.descriptors()]
        return [*self.table.descriptors(), *kept, *ours]

    def take_over(self, state: dict[str, Any]) -> None:
        if state["link"] >= 0:
            self._open_link(state["link"])
            assert self.link is not None
            self.link.queue = state["queue"]
        if self.manager.pid:
            self.pulse.begin(time.monotonic())
        self.tree.not_agents.add(self.manager.pid)
        self.tree.remember(state.get("tree", {}))
        self.record.earlier = state.get("earlier", {})
        self.tolds = state["tolds"]
        self.store.restore(state.get("store", {}))
        self.gateways.restore(state.get("gateways", {}))
        self.nest.oom = state["oom"]
        self.nest.not_default |= set(state["not_default"])
        reexec.take_over(self._descriptors())
