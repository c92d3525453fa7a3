"""Steps of a new process that few agents ask for: its priorities, where it runs, and how it looks to itself."""

from __future__ import annotations

import os

from maestro.keeper import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PR_SET_TIMERSLACK = 29
_IOPRIO_SET = {"x86_64": 251}
_SET_MEMPOLICY = {"x86_64": 238}
_KEYCTL = {"x86_64": 250}
_ELSEWHERE = 30, 237, 219  # the numbers of these on all machines that came after x86
_JOIN_SESSION_KEYRING, _LINK = 1, 8
_SESSION_KEYRING, _USER_KEYRING = -3, -4
_PROCESS, _CLASS_SHIFT = 1, 13
_BITS = 64

_IO_CLASSES = ("none", "realtime", "best-effort", "idle")
_POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle"}
_NUMA = ("default", "preferred", "bind", "interleave", "local")
_PERSONALITIES = {0: "linux", 8: "linux32"}


def _nice(level: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, level)


def _io_priority(value: tuple[int, int]) -> None:
    number = _IOPRIO_SET.get(os.uname().machine, _ELSEWHERE[0])
    kernel.call("syscall", number, _PROCESS, 0, value[0] << _CLASS_SHIFT | value[1])


def _cpu_scheduling(value: tuple[int, int]) -> None:
    os.sched_setscheduler(0, value[0], os.sched_param(value[1]))


def _cpu_affinity(cpus: tuple[int, ...]) -> None:
    os.sched_setaffinity(0, cpus)


def _numa(value: tuple[int, tuple[int, ...]]) -> None:
    """The mask is an array of longs, of which the kernel reads one bit less than it is told."""
    mode, nodes = value
    number = _SET_MEMPOLICY.get(os.uname().machine, _ELSEWHERE[1])
    size = (max(nodes, default=0) // _BITS + 1) * _BITS
    mask = sum(1 << node for node in nodes).to_bytes(size // 8, "little")
    kernel.call("syscall", number, mode, mask if nodes else None, size + 1 if nodes else 0)


def _timer_slack(nanoseconds: int) -> None:
    kernel.call("prctl", _PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0)


def _personality(value: int) -> None:
    kernel.call("personality", value)


def _coredump_filter(mask: int) -> None:
    fd = os.open("/proc/self/coredump_filter", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"0x%x" % mask)
    finally:
        os.close(fd)


def _keyring(mode: str) -> None:
    """As the user that it is by now: the keyring is made for that one."""
    number = _KEYCTL.get(os.uname().machine, _ELSEWHERE[2])
    kernel.call("syscall", number, _JOIN_SESSION_KEYRING, None)
    if mode == "shared":
        kernel.call("syscall", number, _LINK, _USER_KEYRING, _SESSION_KEYRING)


STEPS: dict[str, Callable[[Any], None]] = {
    "nice": _nice,
    "io_priority": _io_priority,
    "cpu_scheduling": _cpu_scheduling,
    "cpu_affinity": _cpu_affinity,
    "numa": _numa,
    "timer_slack": _timer_slack,
    "personality": _personality,
    "coredump_filter": _coredump_filter,
    "keyring": _keyring,
}


def words(step: str, value: Any) -> str:
    """What the step was to set, for a message."""
    if step == "io_priority":
        return f"{_IO_CLASSES[value[0]]} {value[1]}"
    if step == "cpu_scheduling":
        return f"{_POLICIES.get(value[0] & 0xFF, value[0])} {value[1]}"
    if step == "cpu_affinity":
        return ",".join(map(str, value))
    if step == "numa":
        return " ".join((_NUMA[value[0]], *map(str, value[1])))
    if step == "timer_slack":
        return f"{value} ns"
    if step == "personality":
        return _PERSONALITIES.get(value, str(value))
    return f"{value:#x}" if step == "coredump_filter" else str(value)
