"""Which file of a control group each option of `resources` is written to, and how: a table for each version of cgroups."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from msgspec import Struct

from maestro.model.amounts import Amount
from maestro.model.unit import LimitsSection, ResourcesSection, Unit

_NO_LIMIT_V1 = "-1"
_LEAST_QUOTA = 1000  # microseconds: the kernel takes no less
_PERIODS = (1000, 1_000_000)  # microseconds


class Setting(Struct, frozen=True):
    """One file: what it is set to for a section. `resets` says what it is without any of its options."""

    controller: str
    file: str
    options: tuple[str, ...]  # that it follows from
    lines: Callable[[LimitsSection], tuple[str, ...]]  # each written by itself; () as `resets`
    resets: tuple[str, ...]
    lifts: str = ""  # where a line is for a device, by its number: what takes that one back

    def wanted(self, section: LimitsSection) -> tuple[str, ...]:
        return self.lines(section) or self.resets

    def is_set(self, section: LimitsSection) -> bool:
        return bool(self.lines(section))

    def is_asked_by(self, unit: Unit) -> bool:
        """Whether it sets any of these options to what is not the default."""
        try:
            return self.is_set(unit.resources)
        except OSError:
            return True  # of a device that is not there

    def taken_back(self, section: LimitsSection, found: str) -> tuple[str, ...]:
        """Lines for the devices that the file has and the section does not name any more."""
        named = {line.split()[0] for line in self.lines(section)}
        there = (line.split()[0] for line in found.splitlines() if ":" in line)
        return tuple(f"{device} {self.lifts}" for device in there if device not in named)


@cache
def host_memory() -> int:
    """Bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@cache
def host_tasks() -> int:
    """How many the kernel allows in all."""
    limits = []
    for path in ("/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"):
        try:
            with open(path, encoding="ascii") as file:
                limits.append(int(file.read()))
        except (OSError, ValueError):
            continue
    return min(limits, default=32768)


def _amount(
    option: str, total: Callable[[], int], without: str = "max"
) -> Callable[[LimitsSection], tuple[str, ...]]:
    def lines(section: LimitsSection) -> tuple[str, ...]:
        given: Amount | None = getattr(section, option)
        if given is None:
            return ()
        number = given.of(total())
        return (without if number is None else str(number),)

    return lines


def _memory(file: str, option: str, reset: str = "max") -> Setting:
    return Setting("memory", file, (option,), _amount(option, host_memory), (reset,))


def _quota(section: LimitsSection) -> tuple[int, int]:
    """Microseconds of processor time, and the period over which they are counted."""
    assert section.cpu_max is not None
    period = min(max(int(float(section.cpu_period) * 1e6), _PERIODS[0]), _PERIODS[1])
    quota = int(period * section.cpu_max.fraction)
    if quota < _LEAST_QUOTA:  # a longer period, so that the share is the same
        period = min(int(_LEAST_QUOTA / max(section.cpu_max.fraction, 0.001)), _PERIODS[1])
        quota = _LEAST_QUOTA
    return quota, period


def _cpu_max(section: LimitsSection) -> tuple[str, ...]:
    return ("{} {}".format(*_quota(section)),) if section.cpu_max is not None else ()


def _cpu_weight(section: LimitsSection) -> tuple[str, ...]:
    weight = section.cpu_weight
    return () if weight is None or weight == "idle" else (str(weight.number),)


def _cpu_idle(section: LimitsSection) -> tuple[str, ...]:
    return ("1",) if section.cpu_weight == "idle" else ()


def _set_of(option: str) -> Callable[[LimitsSection], tuple[str, ...]]:
    def lines(section: LimitsSection) -> tuple[str, ...]:
        given = getattr(section, option)
        return () if given is None else (str(given),)

    return lines


def _io_weight(section: LimitsSection) -> tuple[str, ...]:
    if section.io_weight is None and not section.io_device_weight:
        return ()
    usual = section.io_weight.number if section.io_weight is not None else 100
    each = (f"{number} {weight}" for number, weight in devices(section.io_device_weight))
    return (f"default {usual}", *each)


_IO_KEYS = {
    "io_read_bandwidth_max": "rbps",
    "io_write_bandwidth_max": "wbps",
    "io_read_iops_max": "riops",
    "io_write_iops_max": "wiops",
}


def _io_max(section: LimitsSection) -> tuple[str, ...]:
    limits: dict[str, dict[str, int]] = {}
    for option, key in _IO_KEYS.items():
        for number, value in devices(getattr(section, option)):
            limits.setdefault(number, dict.fromkeys(_IO_KEYS.values(), -1))[key] = value
    return tuple(
        f"{number} " + " ".join(f"{key}={'max' if value < 0 else value}" for key, value in keys.items())
        for number, keys in limits.items()
    )


def devices(given: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Block devices by number, "8:0", and what was given for each: a device's node, or the device that a file is on."""
    for path, value in given.items():
        there = os.stat(path)
        number = there.st_rdev if (there.st_mode & 0o170000) == 0o060000 else there.st_dev
        yield f"{os.major(number)}:{os.minor(number)}", value


def _oom_group(section: LimitsSection) -> tuple[str, ...]:
    return ("1",) if isinstance(section, ResourcesSection) and section.oom_policy == "kill" else ()


V2: tuple[Setting, ...] = (
    _memory("memory.min", "memory_min", "0"),
    _memory("memory.low", "memory_low", "0"),
    _memory("memory.high", "memory_high"),
    _memory("memory.max", "memory_max"),
    _memory("memory.swap.max", "memory_swap_max"),
    Setting("memory", "memory.oom.group", ("oom_policy",), _oom_group, ("0",)),
    Setting("cpu", "cpu.idle", ("cpu_weight",), _cpu_idle, ("0",)),
    Setting("cpu", "cpu.weight", ("cpu_weight",), _cpu_weight, ("100",)),
    Setting("cpu", "cpu.max", ("cpu_max", "cpu_period"), _cpu_max, ("max 100000",)),
    Setting("cpuset", "cpuset.cpus", ("allowed_cpus",), _set_of("allowed_cpus"), ("",)),
    Setting("cpuset", "cpuset.mems", ("allowed_memory_nodes",), _set_of("allowed_memory_nodes"), ("",)),
    Setting("io", "io.weight", ("io_weight", "io_device_weight"), _io_weight, ("default 100",), "default"),
    Setting("io", "io.max", tuple(_IO_KEYS), _io_max, (), "rbps=max wbps=max riops=max wiops=max"),
    Setting("pids", "pids.max", ("tasks_max",), _amount("tasks_max", host_tasks), ("max",)),
)


def _v1_quota(section: LimitsSection) -> tuple[str, ...]:
    return (str(_quota(section)[0]),) if section.cpu_max is not None else ()


def _v1_period(section: LimitsSection) -> tuple[str, ...]:
    return (str(_quota(section)[1]),) if section.cpu_max is not None else ()


def _shares(section: LimitsSection) -> tuple[str, ...]:
    weight = section.cpu_weight
    return () if weight is None or weight == "idle" else (str(max(2, weight.number * 1024 // 100)),)


def _v1_throttle(file: str, option: str) -> Setting:
    def lines(section: LimitsSection) -> tuple[str, ...]:
        return tuple(f"{number} {value}" for number, value in devices(getattr(section, option)))

    return Setting("blkio", f"blkio.throttle.{file}_device", (option,), lines, (), "0")


def _with_swap(section: LimitsSection) -> tuple[str, ...]:
    """v1 counts memory and swap together."""
    swap, memory = section.memory_swap_max, section.memory_max
    if swap is None or memory is None:
        return ()
    most, beside = memory.of(host_memory()), swap.of(host_memory())
    return (_NO_LIMIT_V1 if most is None or beside is None else str(most + beside),)


V1: tuple[Setting, ...] = (
    Setting(
        "memory",
        "memory.soft_limit_in_bytes",
        ("memory_low",),
        _amount("memory_low", host_memory, _NO_LIMIT_V1),
        (_NO_LIMIT_V1,),
    ),
    Setting(
        "memory",
        "memory.limit_in_bytes",
        ("memory_max",),
        _amount("memory_max", host_memory, _NO_LIMIT_V1),
        (_NO_LIMIT_V1,),
    ),
    Setting("memory", "memory.memsw.limit_in_bytes", ("memory_swap_max",), _with_swap, (_NO_LIMIT_V1,)),
    Setting("cpu", "cpu.idle", ("cpu_weight",), _cpu_idle, ("0",)),
    Setting("cpu", "cpu.shares", ("cpu_weight",), _shares, ("1024",)),
    Setting("cpu", "cpu.cfs_period_us", ("cpu_period",), _v1_period, ("100000",)),
    Setting("cpu", "cpu.cfs_quota_us", ("cpu_max",), _v1_quota, (_NO_LIMIT_V1,)),
    Setting("cpuset", "cpuset.cpus", ("allowed_cpus",), _set_of("allowed_cpus"), ()),
    Setting("cpuset", "cpuset.mems", ("allowed_memory_nodes",), _set_of("allowed_memory_nodes"), ()),
    _v1_throttle("read_bps", "io_read_bandwidth_max"),
    _v1_throttle("write_bps", "io_write_bandwidth_max"),
    _v1_throttle("read_iops", "io_read_iops_max"),
    _v1_throttle("write_iops", "io_write_iops_max"),
    Setting("pids", "pids.max", ("tasks_max",), _amount("tasks_max", host_tasks), ("max",)),
)
