"""An agent's control group as the keeper uses it: who is in it, the end of all of them, their standing still.

The manager names its directory in the recipe, and has made it, or says what is to be made; a child is born in it. Then it
is a place in which to find processes, also those that changed their session, their parent and their name.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Making = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # as ports.Place has it

_KILL = "cgroup.kill"  # cgroup v2, Linux 5.14
_FREEZE = "cgroup.freeze"  # cgroup v2, Linux 5.2
_V1_FREEZE = "freezer.state"
_PROCESSES = "cgroup.procs"
_MOST_READ = 1 << 20  # bytes of a list of pids


def pids(directory: str) -> list[int]:
    """Of all processes in the group, and in groups that the agent made below it."""
    found = [int(word) for word in read(f"{directory}/{_PROCESSES}").split()]
    for inner in _inner(directory):
        found.extend(pids(inner))
    return found


def make(directory: str) -> bool:
    """Whether it was not there yet."""
    try:
        os.mkdir(directory)
    except FileExistsError:
        return False
    return True


def make_last(groups: Making) -> None:
    """As all of them, in less time: those above the last are mostly there, from the process before."""
    try:
        make(groups[-1][0])
    except FileNotFoundError:
        make_all(groups)


def make_all(groups: Making) -> None:
    """Groups that may be there, each with its limits. Raises OSError, whose `filename` is what could not be made or written."""
    for directory, limits in groups:
        if make(directory):
            try:
                for name, text in limits:
                    put(f"{directory}/{name}", text.encode())
            except OSError:
                os.rmdir(directory)  # whoever finds it has nothing more to write
                raise


def is_empty(directory: str) -> bool:
    """Whether no process is in it, as far as can be seen."""
    events = read(f"{directory}/cgroup.events")
    if events:
        return b"populated 0" in events
    return not pids(directory)


def kill(directory: str) -> bool:
    """SIGKILL to all at once; False where this kernel cannot."""
    thaw_v1(directory)  # SIGKILL does nothing to what that holds
    return write(f"{directory}/{_KILL}", b"1")


def freeze(directory: str, still: bool) -> bool:
    """Hold all of it, also what is only born in a moment, or let it go on; False where this kernel cannot."""
    if write(f"{directory}/{_FREEZE}", b"1" if still else b"0"):
        return True
    return write(f"{directory}/{_V1_FREEZE}", b"FROZEN" if still else b"THAWED")


def thaw_v1(directory: str) -> None:
    if os.path.exists(f"{directory}/{_V1_FREEZE}"):
        freeze(directory, False)


def is_v1(recipe: dict[str, Any]) -> bool:
    """Whether its group is in a hierarchy of cgroup v1, which is entered as those of the limits are."""
    return f"{recipe.get('cgroup')}/tasks" in recipe.get("tasks", ())


def enter(files: tuple[str, ...]) -> None:
    """The calling process, which has one thread, enters the groups whose files these are."""
    for path in files:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)


def remove(directory: str) -> None:
    """The group and what the agent made below it; left where something is still in it."""
    for inner in _inner(directory):
        remove(inner)
    try:  # noqa: SIM105 (contextlib costs the keeper memory)
        os.rmdir(directory)
    except OSError:
        pass  # it is gone, or somebody is in it: the manager sweeps when the unit rests


class Index:
    """Groups by the path that /proc/PID/cgroup has for them."""

    def __init__(self) -> None:
        self._agents: dict[str, tuple[str, str]] = {}  # the last two names of its path -> (directory, agent)

    def add(self, directory: str, agent: str) -> None:
        if directory:
            self._agents[_key(directory)] = (directory, agent)

    def drop(self, directory: str, agent: str) -> None:
        if directory and self._agents.get(_key(directory)) == (directory, agent):
            del self._agents[_key(directory)]

    def whose(self, groups: bytes) -> str:
        """The agent in whose group a process is, by the text of its /proc/PID/cgroup; empty: in none of ours."""
        for line in groups.decode(errors="replace").splitlines() if self._agents else ():
            path = line.split(":", 2)[-1]
            while path.count("/") > 1:
                directory, agent = self._agents.get(_key(path), ("", ""))
                if agent and directory.endswith(path):
                    return agent
                path = path.rpartition("/")[0]
        return ""


def _key(path: str) -> str:
    return "/".join(path.rsplit("/", 2)[1:])


def _inner(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def read(path: str) -> bytes:
    """A file of a group, or of /proc; empty where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        whole = b""
        while (data := os.read(fd, 1 << 16)) and len(whole) < _MOST_READ:
            whole += data
        return whole
    except OSError:
        return b""  # removed meanwhile
    finally:
        os.close(fd)


def write(path: str, text: bytes) -> bool:
    """Whether it could be written."""
    try:
        put(path, text)
    except OSError:
        return False
    return True


def put(path: str, text: bytes) -> None:
    """Raises OSError, whose `filename` is the path."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)
