"""Which processes belong to which agent."""

from __future__ import annotations

import os
import time

from maestro.keeper import cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.proc import Proc, Process
    from maestro.keeper.table import Entry, Table

_MOST = 10_000  # processes of one agent that are looked at
_HANDS_OVER = (
    0.1  # seconds after its end in which the child of a main process has forked once more, as many daemons do
)


class Tree:
    """The processes of each agent: descendants of its main process, and the orphans that came to the keeper.

    `refresh` reads the list of the keeper's own children, which holds every orphan, once; the other questions
    are answered from that. So a thousand exits at once cost one reading and not a thousand.
    """

    def __init__(self, proc: Proc, table: Table, keeper: int) -> None:
        self._proc = proc
        self._table = table
        self._keeper = keeper
        self._owner: dict[int, str] = {}  # orphan that is our child -> agent
        self._orphans: dict[str, list[Process]] = {}
        self.not_agents: set[int] = set()  # children that are of no agent: the manager
        self.unclaimed: list[Process] = []  # orphans that ended before it could be seen whose they were
        self._untied: list[Process] = []  # orphans that live, and nothing says whose they are
        self._remembered: dict[int, tuple[int, str]] = {}  # descendant seen once -> (start, agent)

    def refresh(self) -> bool:
        """Look for orphans among the keeper's children; returns whether one has ended and is to be reaped.

        Where one has, its own children may have become ours just after the list was read: only after its
        reaping can it be said that an agent has left nothing.
        """
        # The list is the first thread's (cradle.py): a former main process is in that of the other.
        pids = {*self._proc.other_children(self._keeper, self._table.numerals), *self._table.former}
        orphans = [p for pid in sorted(pids - self.not_agents) if (p := self._proc.look(pid))]
        self._orphans, self.unclaimed, self._untied = {}, [], []
        for process in orphans:
            agent = self._owner.get(process.pid) or self._attribute(process)
            if agent:
                self._owner[process.pid] = agent
                self._orphans.setdefault(agent, []).append(process)
            elif now := self._proc.look(process.pid):
                # it had an environment a moment ago
                (self._untied if now.lives else self.unclaimed).append(now)
        return not all(process.lives for process in orphans)

    def reaped(self, pid: int) -> None:
        """The pid may be another's from now on."""
        self.not_agents.discard(pid)
        self._table.former.discard(pid)
        self._owner.pop(pid, None)
        self._remembered.pop(pid, None)

    def forget(self, agent: str) -> None:
        for pid in [p for p, (_, whose) in self._remembered.items() if whose == agent]:
            del self._remembered[pid]

    def state(self) -> dict[str, Any]:
        """What cannot be found out again: whose the processes are that nothing else ties to their agent."""
        return {"owner": self._owner, "remembered": self._remembered}

    def remember(self, state: dict[str, Any]) -> None:
        """Go on from a predecessor's state; from one of an older version there is none."""
        self._owner.update(state.get("owner", {}))
        self._remembered.update(state.get("remembered", {}))

    def members(self, entry: Entry) -> list[Process]:
        """The living processes of an agent, main process first."""
        known = self.descendants(entry) + self.orphans(entry)
        found = {process.pid: process for process in known + self._in_group(entry)}
        return [process for process in found.values() if process.lives]

    def descendants(self, entry: Entry) -> list[Process]:
        """The main process and what comes from it, as of now."""
        return self._descend([entry.pid], entry.agent) if entry.ended is None and entry.pid else []

    def orphans(self, entry: Entry) -> list[Process]:
        """What lost its parent, as of the last refresh, and what comes from that.

        Also what has ended since: its own children are ours by now, which the next refresh will show.
        """
        roots = self._orphans.get(entry.agent, [])
        if entry.adopted:  # its orphans are not our children: they have to be looked for
            roots = self._strangers(entry)
        found = self._descend([process.pid for process in roots], entry.agent) if roots else []
        living = {process.pid for process in found}
        if entry.ended is not None:
            found += [process for process in self._in_group(entry) if process.pid not in living]
            living.update(process.pid for process in found)
        return found + [process for process in roots if process.pid not in living]

    def only_orphan(self, entry: Entry) -> int:
        """What the main process has left, if that is one process and what comes from it; 0 where it is not. As of the last refresh.

        A daemon may have left its session and overwritten its environment before anybody looked: then it is an
        orphan that nothing ties to any agent, and that began while the main process ran.
        """
        if entry.ended is None:
            return 0
        known = self._orphans.get(entry.agent, [])
        last = _ticks(entry.ended[-1] + _HANDS_OVER)
        between = [process for process in self._untied if entry.start <= process.start <= last]
        living = [process.pid for process in known or between if process.lives]
        return living[0] if len(living) == 1 else 0

    def nobodys(self, pid: int) -> Process | None:
        """An orphan that some agent has left, and nothing says which: one that left its session, and overwrote its environment."""
        process = self._proc.look(pid)
        ours = process is not None and process.lives and process.parent == self._keeper
        if process is None or not ours or pid in self.not_agents or pid in self._table.by_pid:
            return None
        return None if self._owner.get(pid) or self._attribute(process) else process

    def _in_group(self, entry: Entry) -> list[Process]:
        """What lives in its control group, whatever else ties it to the agent or does not."""
        if not entry.cgroup or cgroup.is_empty(entry.cgroup):
            return []
        found = [process for pid in cgroup.pids(entry.cgroup) if (process := self._proc.look(pid))]
        return [process for process in found if process.lives]

    def leader(self, group: str) -> Process | None:
        """The oldest session leader of a control group: its main process, or who stands in for that."""
        found = [process for pid in cgroup.pids(group) if (process := self._proc.look(pid))] if group else []
        leaders = [process for process in found if process.session == process.pid and process.lives]
        return min(leaders, key=lambda process: process.start, default=None)

    def find(self, invocation: str) -> Process | None:
        """The oldest session leader that was started under `invocation`."""
        if not invocation:
            return None
        leaders = [
            process
            for process in self._proc.all()
            if process.session == process.pid
            and process.lives
            and self._proc.invocation(process.pid) == invocation
        ]
        return min(leaders, key=lambda process: process.start, default=None)

    def _descend(self, roots: list[int], agent: str) -> list[Process]:
        seen: dict[int, Process] = {}
        todo = list(reversed(roots))
        while todo and len(seen) < _MOST:
            pid = todo.pop()
            process = None if pid in seen else self._proc.look(pid)
            if process is None:
                continue
            seen[pid] = process
            if pid not in self._table.by_pid:
                self._remembered[pid] = (process.start, agent)
            todo.extend(child for child in self._proc.children(pid) if child not in seen)
        return [process for process in seen.values() if process.lives]

    def _attribute(self, process: Process) -> str:
        """Whose orphan: by its control group, its session, where it was seen before, its environment, or where its output goes.

        The last two come last: they are what a process can change. Many write a title over their environment.
        """
        if told := self._table.by_cgroup.whose(self._proc.groups(process.pid)):
            return told
        if told := self._table.by_session.get(process.session, ""):
            return told
        start, agent = self._remembered.get(process.pid, (0, ""))
        if agent and start == process.start:
            return agent
        if agent := self._table.by_invocation.get(self._proc.invocation(process.pid) or "-", ""):
            return agent
        return self._table.writer_of(self._proc.outputs(process.pid))

    def _strangers(self, entry: Entry) -> list[Process]:
        """Processes of an adopted agent, wherever they are."""
        leader = self._proc.look(entry.pid) if entry.pid else None
        # A session keeps its number while it has members: where another process has the pid now, it is another's.
        lent = leader is not None and leader.start != entry.start
        return [
            process
            for process in self._proc.all()
            if process.pid != entry.pid
            and process.lives
            and not (lent and process.session == entry.session)
            and self._attribute(process) == entry.agent
        ]


def _ticks(monotonic: float) -> float:
    """A moment as /proc counts the starts of processes: by a clock that goes on while the host sleeps."""
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return (monotonic + slept) * os.sysconf("SC_CLK_TCK")
