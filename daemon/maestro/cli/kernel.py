"""All agents held, let go on or killed without a daemon: by the kernel, from what keeper and manager have left in their run directory."""

from __future__ import annotations

import os
import select
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.paths import Paths

_PATIENCE = 1.0  # seconds until all have to stand still
_ROUNDS = 20  # looks for processes that were born meanwhile


class CannotReach(Exception):
    """A sentence that says why nothing could be done."""


class Done:
    """What was done."""

    def __init__(self, agents: int, how: str, took: float, *, still: bool) -> None:
        self.agents, self.how, self.took, self.still = agents, how, took, still


def freeze(paths: Paths) -> Done:
    began = time.monotonic()
    group = _group(paths)
    if not group:
        _mark(paths.held, wanted=True)
        return Done(_signal_all(paths, signal.SIGSTOP), "signals", time.monotonic() - began, still=True)
    _hold(group, still=True)
    while not (still := _is_still(group)) and time.monotonic() - began < _PATIENCE:
        select.select([], [], [], 0.001)
    took = time.monotonic() - began
    return Done(_count(group), "group", took, still=still)


def thaw(paths: Paths) -> Done:
    began = time.monotonic()
    group = _group(paths)
    if not group:
        _mark(paths.held, wanted=False)
        return Done(_signal_all(paths, signal.SIGCONT), "signals", time.monotonic() - began, still=False)
    _hold(group, still=False)
    return Done(_count(group), "group", time.monotonic() - began, still=False)


def stop(paths: Paths) -> Done:
    """They end where they stand; a daemon that comes back may start some of them again, as their units say."""
    began = time.monotonic()
    group = _group(paths)
    if not group:
        done = _signal_all(paths, signal.SIGKILL)
        _mark(paths.held, wanted=False)
        return Done(done, "signals", time.monotonic() - began, still=False)
    agents = _count(group)
    if not _write(f"{group}/cgroup.kill", "1"):
        _hold(group, still=True)
        for pid in _members(group):
            _kill(pid, signal.SIGKILL)
    _hold(group, still=False)
    return Done(agents, "group", time.monotonic() - began, still=False)


# ------------------------------------------------------------------------------------------- by the group of all


def _group(paths: Paths) -> str:
    group = _read(paths.group).strip()
    return group if group and os.path.isdir(group) else ""


def _hold(group: str, *, still: bool) -> None:
    if _write(f"{group}/cgroup.freeze", "1" if still else "0"):
        return
    if not _write(f"{group}/freezer.state", "FROZEN" if still else "THAWED"):
        raise CannotReach(f"cannot write {group}/cgroup.freeze: {_why(f'{group}/cgroup.freeze')}")


def _is_still(group: str) -> bool:
    return (
        "frozen 1" in _read(f"{group}/cgroup.events") or _read(f"{group}/freezer.state").strip() == "FROZEN"
    )


def _count(group: str) -> int:
    """Groups of agents in which something is."""
    return len({inner for inner, _, _ in os.walk(group) if _read(f"{inner}/cgroup.procs")})


def _members(group: str) -> list[int]:
    return [int(pid) for inner, _, _ in os.walk(group) for pid in _read(f"{inner}/cgroup.procs").split()]


# ------------------------------------------------------------------------------------------- one by one


def _signal_all(paths: Paths, number: int) -> int:
    """To every process of every agent that the keeper has written down, again until none is found that is new."""
    agents = _recorded(paths)
    reached: set[tuple[int, int]] = set()
    for _ in range(_ROUNDS):
        before = len(reached)
        for pid, start in agents:
            _reach(pid, start, number, reached)
        if len(reached) == before:
            break
    return len(agents)


def _reach(pid: int, start: int, number: int, reached: set[tuple[int, int]]) -> None:
    """A process and all that comes from it, parents first."""
    todo = [(pid, start)]
    while todo:
        one = todo.pop()
        if one not in reached and _start(one[0]) == one[1]:
            reached.add(one)
            _kill(one[0], number)
        todo += [(child, began) for child in _children(one[0]) if (began := _start(child))]


def _recorded(paths: Paths) -> list[tuple[int, int]]:
    """Pid and start time of each main process that runs."""
    path = os.path.join(paths.run, "keeper.agents")
    boot, *lines = _read(path).split("\n")
    if not boot:
        raise CannotReach(f"cannot read {path}: {_why(path)}")
    if boot != _read("/proc/sys/kernel/random/boot_id").strip():
        return []
    words = (line.split(" ", 2) for line in lines)
    found = {(int(w[0]), int(w[1])) for w in words if len(w) == 3 and w[0].isdigit() and w[1].isdigit()}
    return sorted((pid, start) for pid, start in found if _start(pid) == start)


def _start(pid: int) -> int:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[0] != "Z" else 0


def _children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [int(child) for task in tasks for child in _read(f"/proc/{pid}/task/{task}/children").split()]


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise CannotReach(f"not allowed to send a signal to process {pid}: ask as root") from None


# ------------------------------------------------------------------------------------------- files


def _mark(path: str, *, wanted: bool) -> None:
    """For the next manager: the kernel does not say that all are held where there is no group."""
    try:
        if wanted:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        else:
            os.unlink(path)
    except OSError:
        return


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


def _why(path: str) -> str:
    """Why a file cannot be used, in words."""
    if not os.path.exists(path):
        return "it is not there; is this the right --root?"
    return "it can be written by root only: ask as root"
