"""What the keeper knows: an entry for each agent, the output streams, the descriptors that it holds."""

from __future__ import annotations

import errno
import os
import resource

from maestro.keeper.cgroup import Index

_ROOM_FOR_ALL_ELSE = 512  # descriptors: clients, the store, what the libraries open

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.proc import Process

    Ended = tuple[int | None, int | None, float, int, float]  # code, signal, cpu, max_rss, at


class Entry:
    """One agent: from its spawn until its exit is acknowledged and the last of its processes is gone."""

    __slots__ = (
        "acknowledged",
        "adopted",
        "agent",
        "cgroup",
        "doomed",
        "ended",
        "gate",
        "invocation",
        "left",
        "order",
        "pid",
        "ready",
        "ready_fd",
        "session",
        "slate",
        "start",
        "unconfirmed",
    )

    def __init__(self, agent: str, pid: int, start: int, invocation: str, cgroup: str = "") -> None:
        self.agent = agent
        self.cgroup = cgroup  # directory of its control group; empty where it has none
        self.pid = pid  # of the main process; 0 where it was never found
        self.session = pid  # that of the first main process, and so the number of the session
        self.start = start
        self.invocation = invocation  # INVOCATION_ID in the agent's environment
        self.unconfirmed = -1  # pipe on which the child reports a failed step, until its exec
        self.slate = -1  # memory in which it does so that may not write to pipes
        self.ready_fd = -1  # pipe on which it tells that it is ready, until it does
        self.gate = -1  # where its child hands out sockets that listen in its network, until its exec
        self.ready = False
        self.adopted = False  # not our child: another keeper started it
        self.ended: Ended | None = None
        self.left: tuple[str, ...] = ()
        self.order = 0  # number of the newest signal that was carried out
        self.acknowledged = False
        self.doomed = False  # all of it has been ordered to be killed


class Table:
    """Entries and descriptors, and the indexes to find an entry by."""

    def __init__(self, keeper: str) -> None:
        self.keeper = keeper
        self.entries: dict[str, Entry] = {}
        self.by_pid: dict[int, Entry] = {}  # main processes that run
        self.numerals: set[bytes] = set()  # the same pids as /proc writes them: to be compared, not parsed
        self.former: set[int] = (
            set()
        )  # main processes of before a hand-over: our children until they are reaped
        self.by_session: dict[int, str] = {}
        self.by_invocation: dict[str, str] = {}
        self.by_cgroup = Index()
        self.leaving: dict[str, Entry] = {}  # ended, with processes left
        self.streams: dict[str, int] = {}
        self.held: dict[str, int] = {}

    def add(self, entry: Entry) -> None:
        self.entries[entry.agent] = entry
        if entry.pid:
            self.by_session[entry.session] = entry.agent
            if entry.ended is None:
                self._appoint(entry)
        self.by_cgroup.add(entry.cgroup, entry.agent)
        if entry.invocation:
            self.by_invocation[entry.invocation] = entry.agent
        if entry.ended is not None and entry.left:
            self.leaving[entry.agent] = entry

    def end(self, entry: Entry, ended: Ended) -> None:
        """Note how the main process ended. What is left is the caller's to find out."""
        entry.ended = ended
        self._dismiss(entry)

    def _appoint(self, entry: Entry) -> None:
        self.by_pid[entry.pid] = entry
        self.numerals.add(b"%d" % entry.pid)

    def _dismiss(self, entry: Entry) -> None:
        if self.by_pid.get(entry.pid) is entry:
            del self.by_pid[entry.pid]
            self.numerals.discard(b"%d" % entry.pid)

    def follow(self, entry: Entry, process: Process) -> None:
        """Another process is the main one from now on; the end of the first means nothing any more."""
        self._dismiss(entry)
        if entry.pid == entry.session and entry.ended is None:
            self.former.add(entry.pid)
        entry.pid, entry.start, entry.ended, entry.acknowledged = process.pid, process.start, None, False
        self.leave(entry, ())
        self._appoint(entry)
        self.widen(entry, process)

    def widen(self, entry: Entry, process: Process) -> None:
        """A main process that made itself a session of its own: what is in that is the agent's, too."""
        self.by_session.setdefault(process.session, entry.agent)

    def leave(self, entry: Entry, left: tuple[str, ...]) -> None:
        entry.left = left
        if left:
            self.leaving[entry.agent] = entry
        else:
            self.leaving.pop(entry.agent, None)

    def drop(self, entry: Entry) -> None:
        self.entries.pop(entry.agent, None)
        self.leaving.pop(entry.agent, None)
        self._dismiss(entry)
        self.by_cgroup.drop(entry.cgroup, entry.agent)
        # A later agent may have got the same pid, or been given the same invocation.
        if self.by_session.get(entry.session) == entry.agent:
            del self.by_session[entry.session]
        if entry.pid != entry.session:
            for session in [one for one, agent in self.by_session.items() if agent == entry.agent]:
                del self.by_session[session]
        if self.by_invocation.get(entry.invocation) == entry.agent:
            del self.by_invocation[entry.invocation]

    def stream(self, name: str) -> tuple[int, bool]:
        """The pipe of that name, and whether it is new.

        One descriptor, open for reading and writing: while it is open, neither end of the pipe is closed.
        """
        if name in self.streams:
            return self.streams[name], False
        if len(self.streams) >= most_streams(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            self.streams[name] = open_again(f"/proc/self/fd/{read}")
        finally:
            os.close(read)
            os.close(write)
        return self.streams[name], True

    def writer_of(self, pipes: set[int]) -> str:
        """The newest agent of the unit whose stream is among these inodes; empty where none is."""
        if not pipes:
            return ""
        names = {name for name, fd in self.streams.items() if os.fstat(fd).st_ino in pipes}
        agents = (agent for agent in reversed(self.entries) if agent.partition("#")[0] in names)
        return next((agent for agent in agents if "/" not in agent.rpartition("#")[2]), "")

    def hold(self, name: str, fd: int) -> None:
        if name in self.held:
            os.close(self.held[name])
        self.held[name] = fd

    def release_stream(self, name: str) -> None:
        if name in self.streams:
            os.close(self.streams.pop(name))

    def descriptors(self) -> list[int]:
        pipes = [fd for e in self.entries.values() for fd in (e.unconfirmed, e.slate, e.ready_fd, e.gate)]
        return [*self.streams.values(), *self.held.values(), *(fd for fd in pipes if fd >= 0)]

    def state(self) -> dict[str, Any]:
        """All of it as plain data, by name: the successor may be of a later version."""
        entries = [{name: getattr(e, name) for name in Entry.__slots__} for e in self.entries.values()]
        return {"keeper": self.keeper, "streams": self.streams, "held": self.held, "entries": entries}


def most_streams(limit: int) -> int:
    """How many streams leave both us and the manager, who holds a pipe and a file for each, room for all else."""
    return max(1, (limit - min(_ROOM_FOR_ALL_ELSE, limit // 2)) // 2)


def restored(state: dict[str, Any]) -> Table:
    table = Table(state["keeper"])
    table.streams, table.held = state["streams"], state["held"]
    for fields in state["entries"]:
        entry = Entry(fields["agent"], fields["pid"], fields["start"], fields["invocation"])
        for name in Entry.__slots__:
            setattr(entry, name, fields.get(name, getattr(entry, name)))
        table.add(entry)
    return table


def open_again(path: str) -> int:
    """A fresh description of a pipe, both ends in one."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)
