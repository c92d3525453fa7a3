"""What the keeper does with agents: start, signal, reap, and tell what became of them."""

from __future__ import annotations

import os
import time

from maestro.keeper import adoption, cgroup, kernel
from maestro.keeper.births import Births
from maestro.keeper.followers import Followers
from maestro.keeper.gateways import Gateways
from maestro.keeper.spare import OUT_OF_DESCRIPTORS
from maestro.keeper.store import Store
from maestro.keeper.table import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from resource import struct_rusage
    from typing import Any

    from maestro.keeper.child import Nest
    from maestro.keeper.proc import Proc, Process
    from maestro.keeper.record import Record
    from maestro.keeper.table import Ended, Table
    from maestro.keeper.tree import Tree
    from maestro.keeper.watch import Watch
else:
    import _signal as signal

_MOST_NAMED = 64  # of the processes that are left, in a message
_LATER = 0.01  # seconds
_ROUNDS = 16  # of looking for new processes at one kill; what escapes is killed when its parent is reaped


class Surroundings:
    """What Agents needs from the rest of the keeper."""

    __slots__ = ("gateways", "has_more", "nest", "proc", "record", "store", "tell", "tree", "watch")

    def __init__(
        self,
        watch: Watch,
        proc: Proc,
        record: Record,
        tree: Tree,
        nest: Nest,
        tell: Callable[..., None],
    ) -> None:
        self.watch = watch
        self.proc = proc
        self.record = record
        self.tree = tree
        self.nest = nest
        self.tell = tell
        self.has_more: Callable[[], bool] = lambda: False  # orders than the one that is being carried out
        self.store = Store(watch)
        self.gateways = Gateways(watch)


class Agents:
    def __init__(self, table: Table, around: Surroundings) -> None:
        self._table = table
        self._around = around
        self._tell = around.tell
        self._to_kill: set[str] = set()  # agents that are to be killed at the end of this batch of orders
        self._to_still: set[str] = set()  # and those that are to stand still
        self._killed: dict[str, set[tuple[int, int]]] = {}  # doomed agent -> (pid, start) of what was killed
        self._watched: dict[str, int] = {}  # adopted agent -> pidfd of one of its processes
        self._unwatched: set[str] = set()  # adopted agents that there is no descriptor for
        self._births = Births(table, around, self._forget)
        self.land, self.end_starters = self._births.land, self._births.end_starters
        self._followers = Followers(table, around, self._lost)
        self._fresh = False  # the tree has been refreshed for this batch of orders
        self._empty: list[str] = []  # groups that are to be removed
        self.sweep_at: float | None = None  # monotonic

    def resume(self) -> None:
        """After a re-exec: wait again for what the predecessor waited for."""
        for entry in list(self._table.entries.values()):
            self._births.resume(entry)
            if entry.unconfirmed >= 0:
                pass  # it is not known yet to be anything else
            elif entry.adopted:
                self._look_after(entry)
            elif entry.ended is None and entry.pid != entry.session:
                self._followers.resume(entry)
            if entry.doomed:
                self._to_kill.add(entry.agent)
        self.finish_orders()

    # -------------------------------------------------------------------------------------------- spawn

    def spawn(self, agent: str, recipe: dict[str, Any]) -> None:
        known = self._table.entries.get(agent)
        if known is not None:
            self._answer(known)
        elif self._around.record.knows(agent, self._around.proc):
            # The order was carried out by a keeper that was killed before anybody committed that it had been given.
            self.adopt(agent, 0, 0, recipe.get("env", {}).get("INVOCATION_ID", ""), recipe.get("cgroup", ""))
        else:
            self._births.spawn(agent, recipe)

    def _answer(self, entry: Entry) -> None:
        """Say again what became of an agent that has been ordered before."""
        if entry.ended is not None:
            self._tell("ended", entry.agent, *entry.ended, entry.left)
        elif entry.unconfirmed < 0:
            self._births.tell_begun(entry)

    # -------------------------------------------------------------------------------------------- signals

    def send(self, agent: str, number: int, tree: bool, order: int = 0) -> None:
        entry = self._table.entries.get(agent)
        if entry is None or not 0 < number < signal.NSIG or 0 < order <= entry.order:
            return
        entry.order = max(entry.order, order)
        if entry.ended is not None and not entry.left:
            return  # its pid may be another's by now
        # What was stopped cannot hear what we ask of it. What an operator sends has no number, and comes alone.
        numbers = (number, signal.SIGCONT) if order else (number,)
        if order and entry.ended is None and self._around.proc.is_deaf_first(entry.pid, number):
            numbers = (signal.SIGKILL,)
        if not tree:
            if entry.ended is None:
                for one in numbers:
                    self._signal_main(entry, one)
            return
        if number == signal.SIGKILL:
            # The whole of it is to end: also what is only found, or only born, in a moment.
            entry.doomed = True
            self._to_kill.add(agent)
            return
        self._refresh()
        for process in self._around.tree.members(entry):
            for one in numbers:
                self._signal(process, one)

    def freeze(self, agent: str, still: bool) -> None:
        """Have the whole of it stand still, also what is only found, or only born, in a moment; or have it go on."""
        entry = self._table.entries.get(agent)
        if entry is None or entry.doomed or (entry.cgroup and cgroup.freeze(entry.cgroup, still)):
            return
        if still:
            self._to_still.add(agent)
            return
        self._to_still.discard(agent)
        self._refresh()
        for process in self._around.tree.members(entry):
            self._signal(process, signal.SIGCONT)

    def finish_orders(self) -> None:
        """After a batch of orders: kill what is to be killed, all of it together, and hold what is to stand still."""
        self._fresh = False
        for agent in self._to_kill:
            if (entry := self._table.entries.get(agent)) is not None and entry.cgroup:
                cgroup.kill(entry.cgroup)  # and then what has left its group
        self._reach_all(self._to_still, signal.SIGSTOP, {})
        self._reach_all(self._to_kill, signal.SIGKILL, self._killed)

    def _reach_all(self, agents: set[str], number: int, reached: dict[str, set[tuple[int, int]]]) -> None:
        entries = [e for a in agents if (e := self._table.entries.get(a)) is not None]
        agents.clear()
        for _ in range(_ROUNDS if entries else 0):
            if not self._round(entries, number, reached):
                return  # each of them has its signal: none of them will fork again

    def _round(self, entries: list[Entry], number: int, reached: dict[str, set[tuple[int, int]]]) -> bool:
        """Signal each process of the agents that has not been yet; returns whether there was any."""
        # The mains before the orphans: who loses its parent while we look at the first is among the second.
        tree = self._around.tree
        some = [self._signal_new(entry, tree.descendants(entry), number, reached) for entry in entries]
        tree.refresh()
        some += [self._signal_new(entry, tree.orphans(entry), number, reached) for entry in entries]
        return any(some)

    def _signal_new(
        self, entry: Entry, processes: list[Process], number: int, reached: dict[str, set[tuple[int, int]]]
    ) -> bool:
        known = reached.setdefault(entry.agent, set())
        new = [process for process in processes if (process.pid, process.start) not in known]
        for process in new:
            known.add((process.pid, process.start))
            self._signal(process, number)
        return bool(new)

    def _refresh(self) -> None:
        if not self._fresh:
            self._around.tree.refresh()
            self._fresh = True

    def _signal_main(self, entry: Entry, number: int) -> None:
        fd = self._watched.get(entry.agent, self._followers.pidfd(entry))
        if fd >= 0:
            kernel.send_by_pidfd(fd, number)
        elif not entry.adopted and entry.pid == entry.session:
            _kill(entry.pid, number)
        elif (process := self._around.proc.look(entry.pid)) and process.start == entry.start:
            self._signal(process, number)

    def _signal(self, process: Process, number: int) -> None:
        if process.parent == self._around.nest.keeper:
            _kill(process.pid, number)  # only we reap it, so the pid is still its own
            return
        fd = self._open(process.pid, process.start)
        if fd >= 0:
            kernel.send_by_pidfd(fd, number)
            os.close(fd)

    def _open(self, pid: int, start: int) -> int:
        """A pidfd of the process that started then; -1: gone. Raises OSError for want of descriptors."""
        return self._around.nest.spare.see_to(lambda: adoption.open_process(self._around.proc, pid, start))

    # -------------------------------------------------------------------------------------------- the end

    def reaped(self, pid: int, status: int, usage: struct_rusage) -> Entry | None:
        """Note the end of a child; returns the agent's entry if it was a main process."""
        entry = self._table.by_pid.get(pid)
        if entry is None:
            self._births.reaped(pid)
            return None
        if entry.unconfirmed >= 0:
            self._births.confirm(entry)  # the pipe is at its end: nobody has it any more
            if self._table.entries.get(entry.agent) is not entry:
                return None  # it was never the agent
        if entry.ready_fd >= 0:
            self._births.hear_ready(entry)  # what it said before it ended comes first
        signalled = os.WIFSIGNALED(status)
        code = None if signalled else os.WEXITSTATUS(status)
        number = os.WTERMSIG(status) if signalled else None
        cpu, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
        self._table.end(entry, (code, number, cpu, memory, time.monotonic()))
        return entry

    def look_for_orphans(self, ended: list[Entry]) -> bool:
        """After a batch of exits, where it matters; returns whether there is another to be reaped first."""
        return bool(ended or self._table.leaving) and self._around.tree.refresh()

    def settle(self, ended: list[Entry]) -> None:
        """After a batch of exits, and a look for orphans: tell what ended, and what it left."""
        before = [entry for entry in self._table.leaving.values() if not entry.adopted]
        unclaimed = self._around.tree.unclaimed if ended or before else []
        for entry in ended:
            self._tell_end(entry, self._around.tree.orphans(entry) + unclaimed)
        for entry in before:
            self._recheck(entry, self._around.tree.orphans(entry) + unclaimed)

    def _tell_end(self, entry: Entry, left: list[Process]) -> None:
        assert entry.ended is not None
        self._leave(entry, left)
        self._tell("ended", entry.agent, *entry.ended, entry.left)

    def _recheck(self, entry: Entry, left: list[Process]) -> None:
        self._leave(entry, left)
        if not left:
            self._tell("emptied", entry.agent)
            self._drop_if_done(entry)

    def _leave(self, entry: Entry, left: list[Process]) -> None:
        """Note what is left of an agent; and what of a killed one comes to light only now is killed now."""
        self._table.leave(entry, _names(left))
        if entry.doomed and left:
            self._signal_new(entry, left, signal.SIGKILL, self._killed)
        if not left:
            self._killed.pop(entry.agent, None)

    def follow(self, agent: str, pid: int) -> None:
        """The agent has named another of its processes as its main one."""
        entry = self._table.entries.get(agent)
        if entry is None:
            return
        if entry.unconfirmed < 0 and not entry.adopted and self._followers.follow(entry, pid):
            self._around.record.note(entry)
        self._answer(entry)

    def _lost(self, entry: Entry) -> None:
        self._around.tree.refresh()
        self._tell_end(entry, self._around.tree.orphans(entry))

    def acknowledge(self, agent: str) -> None:
        entry = self._table.entries.get(agent)
        if entry is not None and entry.ended is not None:
            entry.acknowledged = True
            self._drop_if_done(entry)

    def _drop_if_done(self, entry: Entry) -> None:
        if entry.acknowledged and entry.ended is not None and not entry.left:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        self._followers.forget(entry)
        self._births.forget(entry)
        self._around.gateways.forget(entry.agent)
        self._table.drop(entry)
        self._killed.pop(entry.agent, None)
        self._around.tree.forget(entry.agent)
        if entry.cgroup:
            self._empty.append(entry.cgroup)
            self.sweep_at = time.monotonic() + _LATER

    def sweep(self) -> None:
        """Remove the groups of agents that were forgotten: not before the next of the unit was born, for that is waited for."""
        if self.sweep_at is not None and time.monotonic() >= self.sweep_at:
            self.sweep_at = None
            while self._empty:
                cgroup.remove(self._empty.pop())

    # -------------------------------------------------------------------------------------------- adoption

    def adopt(self, agent: str, pid: int, start: int, invocation: str, group: str) -> None:
        """Take over an agent of a keeper that was killed."""
        known = self._table.entries.get(agent)
        if known is not None:
            self._answer(known)
            return
        entry = Entry(agent, pid, start, invocation, group)
        entry.adopted = True
        tree, proc = self._around.tree, self._around.proc
        if not pid and (
            found := self._around.record.find(agent, proc) or tree.leader(group) or tree.find(invocation)
        ):
            entry.pid, entry.start = found.pid, found.start
        process = self._around.proc.look(entry.pid)
        if entry.pid in self._table.by_pid or (process is not None and process.start != entry.start):
            entry.pid = 0  # by now it is another's
        elif process is not None:
            entry.session = process.session  # not its pid, where it is not the first main process
        self._table.add(entry)
        self._look_after(entry)
        if entry.ended is None:
            self._take_stream(entry)
            self._tell("spawned", agent, entry.pid, entry.start)

    def _take_stream(self, entry: Entry) -> None:
        name = entry.agent.partition("#")[0]
        if name not in self._table.streams:
            fd = self._around.nest.spare.see_to(lambda: adoption.open_stream(entry.pid))
            if fd >= 0:
                self._table.streams[name] = fd
                self._tell("stream", name)

    def look_again(self) -> bool:
        """Try again to watch what there was no descriptor for; returns whether there is more to try."""
        for agent in list(self._unwatched):
            self._unwatched.discard(agent)
            if entry := self._table.entries.get(agent):
                self._look_after(entry)
        return bool(self._unwatched)

    def _look_after(self, entry: Entry) -> None:
        """Wait for the end of an adopted agent's main process, then of each that it left, one at a time."""
        self._stop_watching(entry)
        try:
            if entry.ended is None and self._watch(entry, entry.pid, entry.start):
                return
            left = [p for p in self._around.tree.members(entry) if p.pid != entry.pid]
            watched = any(self._watch(entry, p.pid, p.start) for p in left)
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            self._unwatched.add(entry.agent)
            return
        self._adopted_changed(entry, left if watched else [])

    def _adopted_changed(self, entry: Entry, left: list[Process]) -> None:
        if entry.ended is None:
            lost: Ended = (None, None, 0.0, 0, time.monotonic())
            self._table.end(entry, lost)
            self._tell_end(entry, left)
        else:
            self._recheck(entry, left)

    def _watch(self, entry: Entry, pid: int, start: int) -> bool:
        fd = self._open(pid, start) if pid else -1
        if fd < 0:
            return False
        self._watched[entry.agent] = fd
        self._around.watch.on(fd, lambda: self._look_after(entry))
        return True

    def _stop_watching(self, entry: Entry) -> None:
        fd = self._watched.pop(entry.agent, -1)
        if fd >= 0:
            self._around.watch.off(fd)
            os.close(fd)


def _kill(pid: int, number: int) -> None:
    try:  # noqa: SIM105 (contextlib costs the keeper memory)
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # a set-uid program of an unprivileged user's, or a race with its end


def _names(processes: list[Process]) -> tuple[str, ...]:
    return tuple(str(process) for process in processes[:_MOST_NAMED])
