"""Which process belongs to which agent, as far as can be seen from the manager."""

from __future__ import annotations

import os
from collections.abc import Callable

from maestro.keeper.proc import Proc, Process
from maestro.keeper.spare import Spare
from maestro.ports import SOMEBODYS

_DEEPEST = 64  # parents of a process that are looked at


class Family:
    """Asks /proc, and remembers what the keeper has told."""

    def __init__(self, by_group: Callable[[bytes], str] = lambda text: "") -> None:
        self._by_group = by_group
        self._proc = Proc(see_to=Spare().see_to)  # without it nobody is anybody when descriptors run out
        self._own, self._keeper = os.getpid(), os.getppid()
        self._mains: dict[int, tuple[int, str]] = {}  # pid -> (start, agent)
        self._pids: dict[str, int] = {}
        self._invocations: dict[str, str] = {}
        self._invocation_of: dict[str, str] = {}
        self.streams: dict[int, str] = {}  # inode of a unit's pipe -> unit
        self._newest: dict[str, str] = {}  # unit -> its newest agent

    def invited(self, agent: str, invocation: str) -> None:
        unit, _, rest = agent.rpartition("#")
        if "/" not in rest:
            self._newest[unit] = agent
        if invocation:
            self._invocations[invocation] = agent
            self._invocation_of[agent] = invocation

    def lives(self, agent: str, pid: int, start: int) -> None:
        if pid:
            newest = self._newest.get(agent.rpartition("#")[0], agent)
            agent = newest if newest == agent else agent  # one text of two: the other is the message's
            self._mains[pid] = (start, agent)
            self._pids[agent] = pid

    def ended(self, agent: str, leaves_some: bool) -> None:
        """While some of its processes run, the main's pid is still the name of their session."""
        if leaves_some:
            return
        pid = self._pids.pop(agent, 0)
        if self._mains.get(pid, (0, ""))[1] == agent:
            del self._mains[pid]
        invocation = self._invocation_of.pop(agent, "")
        if self._invocations.get(invocation) == agent:
            del self._invocations[invocation]

    def whose(self, pid: int) -> str | None:
        """By its control group, which its parents and session may not contradict; in none of ours, by those, its first
        environment or its output.
        """
        process = self._proc.look(pid)
        if process is None:  # gone; what it said before may still be waiting
            return self._mains.get(pid, (0, SOMEBODYS))[1]
        told = self._by_group(self._proc.groups(pid))
        agent, below_keeper = self._by_parents(process)
        agent = agent or self._by_session(process.session)
        if told:  # unless it says another than whose child it is: one that runs as root can move itself
            return told if agent in (None, told) else SOMEBODYS
        if agent is None:
            agent = self._invocations.get(self._proc.invocation(pid) or "-") or self._by_output(pid)
        return agent or (SOMEBODYS if below_keeper else None)

    def _by_parents(self, process: Process | None) -> tuple[str | None, bool]:
        """The agent that a line of parents leads to, and whether it leads to the keeper by any other way than through us."""
        for _ in range(_DEEPEST):
            if process is None or process.pid <= 1 or process.pid == self._own:
                return None, False
            start, agent = self._mains.get(process.pid, (-1, ""))
            if start == process.start:
                return agent, True
            if process.parent == self._keeper:
                return None, process.pid != self._own
            process = self._proc.look(process.parent)
        return None, True

    def _by_output(self, pid: int) -> str | None:
        """Many a daemon that puts itself into the background writes a title over its environment."""
        units = [unit for inode in self._proc.outputs(pid) if (unit := self.streams.get(inode))]
        return self._newest.get(units[0]) if units else None

    def _by_session(self, session: int) -> str | None:
        start, agent = self._mains.get(session, (-1, ""))
        if not agent:
            return None
        # A session keeps its number while it has members: unless its leader lives, it is the old one.
        leader = self._proc.look(session)
        return agent if leader is None or leader.start == start else None
