"""Which process is which agent, in a file of the run directory: for the keeper after one that was killed.

The manager commits what it is told, but later; and a program may overwrite its environment, by which it would be
found otherwise. The line is written when the process is made: one that is forked cannot outlive the keeper yet then.
"""

from __future__ import annotations

import os

from maestro.keeper import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.keeper.proc import Proc, Process
    from maestro.keeper.table import Entry, Table

_MORE_LINES = 1000  # than there were when the file was written anew, until it is so again


class Record:
    """Lines are appended; what is no more goes when the file is written anew. `earlier`: agents of the keeper before."""

    def __init__(self, directory: str, table: Table) -> None:
        self.earlier: dict[str, tuple[int, int]] = {}  # agent -> (pid, start)
        self._path = _path(directory)
        self._table = table
        self._fd = -1
        self._room = 0

    def note(self, entry: Entry) -> None:
        """To be called when it is in the table."""
        try:
            if self._fd < 0 or self._room == 0:
                self._write_anew()
                return
            self._room -= 1
            os.write(self._fd, _line(entry.agent, entry.pid, entry.start))
        except OSError:
            pass  # a full disk: its environment will have to do

    def find(self, agent: str, proc: Proc) -> Process | None:
        """The main process that an earlier keeper started as `agent`, if it runs."""
        return _living(*self.earlier.pop(agent, (0, 0)), proc)

    def knows(self, agent: str, proc: Proc) -> bool:
        """Whether it would be found."""
        return agent in self.earlier and _living(*self.earlier[agent], proc) is not None

    def see_to(self) -> None:
        """Write the file anew where it has been deleted."""
        try:
            if self._fd >= 0 and not lock.is_at(self._path, self._fd):
                self._write_anew()
        except OSError:
            pass  # tried again at the next note

    def _write_anew(self) -> None:
        now = {e.agent: (e.pid, e.start) for e in self._table.entries.values() if e.ended is None and e.pid}
        known = {**self.earlier, **now}
        text = lock.boot().encode() + b"\n" + b"".join(_line(agent, *known[agent]) for agent in known)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        fresh = f"{self._path}.new"
        self._fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(self._fd, text)
        os.rename(fresh, self._path)
        self._room = len(known) + _MORE_LINES


def load(directory: str, proc: Proc) -> dict[str, tuple[int, int]]:
    """What the keeper before wrote, as far as it still runs."""
    try:
        with open(_path(directory), "rb") as file:
            boot, *lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return {}
    found: dict[str, tuple[int, int]] = {}
    for line in lines if boot == lock.boot() else ():
        pid, _, rest = line.partition(" ")
        start, _, agent = rest.partition(" ")
        if agent and pid.isdigit() and start.isdigit():
            found[agent] = int(pid), int(start)
    return {
        a: (pid, start) for a, (pid, start) in found.items() if (p := proc.look(pid)) and p.start == start
    }


def _living(pid: int, start: int, proc: Proc) -> Process | None:
    process = proc.look(pid) if pid else None
    return process if process is not None and process.lives and process.start == start else None


def _path(directory: str) -> str:
    return os.path.join(directory, "keeper.agents")


def _line(agent: str, pid: int, start: int) -> bytes:
    return f"{pid} {start} {agent}\n".encode(errors="replace")
