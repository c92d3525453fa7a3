"""What /proc says about processes. Shared with the manager's end of the link, which asks the same."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_ENDING = (1, 2, 3, 10, 12, 14, 15)  # HUP INT QUIT USR1 USR2 ALRM TERM: unless somebody handles them
_FORKED_ONLY = 0x40  # PF_FORKNOEXEC, among the flags: it has executed nothing since its birth
_ENVIRONMENT_READ = 1 << 20  # bytes of a process's environment that are searched


class Process:
    """One line of /proc/PID/stat."""

    __slots__ = ("executed", "memory", "name", "parent", "pid", "session", "start", "state")

    def __init__(self, pid: int, line: bytes) -> None:
        before, _, after = line.rpartition(b")")
        fields = after.split()
        self.pid = pid
        self.name = before.partition(b"(")[2].decode(errors="replace")
        self.state = fields[0].decode()
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.executed = not int(fields[6]) & _FORKED_ONLY
        self.start = int(fields[19])
        self.memory = int(fields[20])

    @property
    def lives(self) -> bool:
        """Not on its way out: its memory, with its environment, goes before its state says so."""
        return self.state not in ("Z", "X") and self.memory > 0

    def __str__(self) -> str:
        return f"{self.pid} ({self.name})"


class Proc:
    """Reads /proc. `see_to` lets a read have the keeper's spare descriptors."""

    def __init__(self, root: str = "/proc", see_to: Callable[[Callable[[], Any]], Any] | None = None) -> None:
        self._root = root
        self._see_to = see_to or (lambda act: act())
        self._has_children = os.path.exists(f"{root}/thread-self/children")

    def look(self, pid: int) -> Process | None:
        line = self._read(f"{pid}/stat")
        return Process(pid, line) if line else None

    def all(self) -> Iterator[Process]:
        for name in self._list("."):
            if name.isdigit() and (process := self.look(int(name))):
                yield process

    def children(self, pid: int) -> list[int]:
        if not self._has_children:  # a kernel without CONFIG_PROC_CHILDREN
            return [process.pid for process in self.all() if process.parent == pid]
        found: list[int] = []
        for thread in self._list(f"{pid}/task"):
            found.extend(map(int, self._read(f"{pid}/task/{thread}/children").split()))
        return found

    def other_children(self, pid: int, known: set[bytes]) -> list[int]:
        """The children of a process's first thread that are not known: the known need not be parsed, be it a thousand."""
        if not self._has_children:
            return [child for child in self.children(pid) if b"%d" % child not in known]
        numerals = set(self._read(f"{pid}/task/{pid}/children").split())
        return sorted(map(int, numerals - known))

    def invocation(self, pid: int) -> str:
        """INVOCATION_ID in the environment with which `pid` was started."""
        environment = b"\0" + self._read(f"{pid}/environ", _ENVIRONMENT_READ)
        return environment.partition(b"\0INVOCATION_ID=")[2].partition(b"\0")[0].decode(errors="replace")

    def groups(self, pid: int) -> bytes:
        """The control groups that it is in, a line for each hierarchy; also of one that has ended and is not reaped."""
        return self._read(f"{pid}/cgroup")

    def is_deaf_first(self, pid: int, number: int) -> bool:
        """Whether a process is the first of a pid namespace, and has nothing set for a signal that would end any other.

        The kernel drops it then. A stop has to end what does not listen, there as everywhere.
        """
        if number not in _ENDING:
            return False
        numbers: dict[bytes, list[bytes]] = {}
        for line in self._read(f"{pid}/status").splitlines():
            name, _, value = line.partition(b":")
            if name in (b"NSpid", b"SigIgn", b"SigCgt"):
                numbers[name] = value.split()
        spaces = numbers.get(b"NSpid", [])
        if len(spaces) < 2 or spaces[-1] != b"1":
            return False
        heard = int(numbers[b"SigIgn"][0], 16) | int(numbers[b"SigCgt"][0], 16)
        return not heard >> (number - 1) & 1

    def outputs(self, pid: int) -> set[int]:
        """Inodes of the pipes that its standard output and error go to."""
        found = set()
        for number in (1, 2):
            try:
                there = os.stat(f"{self._root}/{pid}/fd/{number}")
            except OSError:
                continue
            if stat.S_ISFIFO(there.st_mode):
                found.add(there.st_ino)
        return found

    def _list(self, path: str) -> list[str]:
        try:
            return self._see_to(lambda: os.listdir(f"{self._root}/{path}"))  # type: ignore[no-any-return]
        except OSError:
            return []

    def _read(self, path: str, limit: int = 1 << 16) -> bytes:
        """The file's bytes; none where the process is gone or not ours to look at."""
        try:
            fd = self._see_to(lambda: os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return b""
        try:
            return _to_the_end(fd, limit)
        except OSError:
            return b""
        finally:
            os.close(fd)


def _to_the_end(fd: int, limit: int) -> bytes:
    """procfs hands out a page at a time."""
    data = os.read(fd, limit)
    if not data:
        return data
    whole = data
    while data and len(whole) < limit:
        data = os.read(fd, limit)
        whole += data
    return whole
