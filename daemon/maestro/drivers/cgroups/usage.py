"""What a unit's group uses, how much it may, and how often the kernel told it that this was all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from msgspec.structs import replace

from maestro.drivers.cgroups import files
from maestro.ports import Usage

_CROWDED = 0.95  # part of its limit on descriptors from which a process is named


def used(group: str, v1: dict[str, str], pids: Iterable[int]) -> Usage:
    """`v1`: where limits are the business of cgroup v1, the unit's group in each hierarchy, by controller."""
    usec = files.pairs(files.read(f"{group}/cpu.stat")).get("usage_usec")
    found = _of_v1(v1) if v1 else _of_v2(group)
    return replace(found, cpu=None if usec is None else usec / 1e6, crowded=_crowded(pids))


def _of_v2(group: str) -> Usage:
    moved = files.read(f"{group}/io.stat")
    return Usage(
        memory=files.number(f"{group}/memory.current"),
        memory_peak=files.number(f"{group}/memory.peak"),
        tasks=files.number(f"{group}/pids.current"),
        read=files.moved(moved, "rbytes"),
        written=files.moved(moved, "wbytes"),
        oom_kills=files.pairs(files.read(f"{group}/memory.events")).get("oom_kill", 0),
        memory_max=files.number(f"{group}/memory.max"),
        tasks_max=files.number(f"{group}/pids.max"),
        forks_refused=_refused(group),
        held_back=files.pairs(files.read(f"{group}/cpu.stat")).get("throttled_usec", 0) / 1e6,
    )


def _of_v1(v1: dict[str, str]) -> Usage:
    memory, pids, cpu = (v1.get(one, "") for one in ("memory", "pids", "cpu"))
    return Usage(
        memory=files.number(f"{memory}/memory.usage_in_bytes"),
        memory_peak=files.number(f"{memory}/memory.max_usage_in_bytes"),
        tasks=files.number(f"{pids}/pids.current"),
        oom_kills=files.pairs(files.read(f"{memory}/memory.oom_control")).get("oom_kill", 0),
        memory_max=files.limit_v1(files.number(f"{memory}/memory.limit_in_bytes")),
        tasks_max=files.number(f"{pids}/pids.max"),
        forks_refused=_refused(pids),
        held_back=files.pairs(files.read(f"{cpu}/cpu.stat")).get("throttled_time", 0) / 1e9,
    )


def _refused(group: str) -> int:
    """Kernels before 6.12, and v1, count in the group that the process is in, which may be below the one with the limit."""
    own = files.pairs(files.read(f"{group}/pids.events")).get("max", 0)
    return own or sum(
        files.pairs(files.read(f"{one}/pids.events")).get("max", 0) for one in files.below(group)
    )


def _crowded(pids: Iterable[int]) -> str:
    """The process that is nearest to its limit on descriptors, where that is near; the kernel counts no refusals of these."""
    part, words = _CROWDED, ""
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            most, count = _limit(pid), _open(pid)
            if count >= part * most:
                part = count / most
                words = f"{count} of {most} descriptors are open in pid {pid} (agent.limits.nofile)"
    return words


def _limit(pid: int) -> int:
    """The soft one, which is what it meets."""
    return int(files.read(f"/proc/{pid}/limits").partition("Max open files")[2].split()[0])


def _open(pid: int) -> int:
    """Since Linux 6.2 the size of the directory says it."""
    folder = f"/proc/{pid}/fd"
    return os.stat(folder).st_size or len(os.listdir(folder))
