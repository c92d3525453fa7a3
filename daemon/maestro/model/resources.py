"""The section `resources`: what the whole process tree of a unit may use, in the words of systemd.resource-control(5)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from maestro.model.amounts import (
    Bandwidths,
    CpuWeight,
    DeviceWeights,
    MemoryAmount,
    NumberSet,
    Operations,
    TaskAmount,
    Weight,
)
from maestro.model.option import Change, option
from maestro.model.slices import SliceRef
from maestro.model.values import Percentage, Seconds

_NONE_BANDWIDTH, _NONE_OPERATIONS = Bandwidths({}), Operations({})


class LimitsSection(Struct, frozen=True, kw_only=True):
    """What all that is in a slice may use together. Enforced by its control group; a change holds at once."""

    memory_min: MemoryAmount | None = option(
        None, "Memory that is never taken from it, whatever others need.", change=Change.LIVE
    )
    memory_low: MemoryAmount | None = option(
        None, "Memory that is taken from it only when others have nothing to spare.", change=Change.LIVE
    )
    memory_high: MemoryAmount | None = option(
        None, "Above this it is slowed down and its memory is reclaimed.", change=Change.LIVE
    )
    memory_max: MemoryAmount | None = option(
        None,
        "Above this a process of it is killed: see `oom_policy`. A number, a percentage of the host's memory, or "
        "infinity.",
        change=Change.LIVE,
    )
    memory_swap_max: MemoryAmount | None = option(
        None, "Swap space that it may use beside its memory.", change=Change.LIVE
    )
    cpu_weight: CpuWeight | None = option(
        None,
        "Its share of processor time beside others: 1 to 10000, 100 by default; or idle.",
        change=Change.LIVE,
    )
    cpu_max: Percentage | None = option(
        None,
        "Processor time that it may use: 100% is one processor, 150% one and a half.",
        change=Change.LIVE,
    )
    cpu_period: Seconds = option(
        Seconds(0.1), "Over which `cpu_max` is counted: 1 ms to 1 s.", change=Change.LIVE
    )
    allowed_cpus: NumberSet | None = option(None, "Processors that it may run on.", change=Change.LIVE)
    allowed_memory_nodes: NumberSet | None = option(
        None, "Memory nodes (NUMA) that it may use.", change=Change.LIVE
    )
    io_weight: Weight | None = option(
        None, "Its share of disk time beside others: 1 to 10000, 100 by default.", change=Change.LIVE
    )
    io_device_weight: DeviceWeights = option(
        DeviceWeights({}), "The same for single devices.", change=Change.LIVE
    )
    io_read_bandwidth_max: Bandwidths = option(
        _NONE_BANDWIDTH, "Bytes a second that it may read from a device.", change=Change.LIVE
    )
    io_write_bandwidth_max: Bandwidths = option(
        _NONE_BANDWIDTH, "Bytes a second that it may write to a device.", change=Change.LIVE
    )
    io_read_iops_max: Operations = option(
        _NONE_OPERATIONS, "Reads a second from a device.", change=Change.LIVE
    )
    io_write_iops_max: Operations = option(
        _NONE_OPERATIONS, "Writes a second to a device.", change=Change.LIVE
    )
    tasks_max: TaskAmount | None = option(
        None, "Processes and threads that it may have at a time.", change=Change.LIVE
    )


class ResourcesSection(LimitsSection, frozen=True, kw_only=True):
    """What the whole process tree of the unit may use. Enforced by its control group; a change holds at once."""

    memory_max: MemoryAmount | None = option(
        MemoryAmount("1G"),
        "Above this a process of it is killed: see `oom_policy`. A number, a percentage of the host's memory, or "
        "infinity.",
        change=Change.LIVE,
    )
    tasks_max: TaskAmount | None = option(
        TaskAmount("512"),
        "Processes and threads that it may have at a time, or infinity.",
        change=Change.LIVE,
    )
    oom_policy: Literal["continue", "stop", "kill"] = option(
        "stop",
        "When a process of it was killed for want of memory: it goes on without that one, it is stopped and counts "
        "as failed, or all of it is killed at once.",
        change=Change.LIVE,
    )
    priority: int = option(
        0,
        "How important it is: -1000 to 1000. What does not fit on the host or into its slice is started in this order, and "
        "when the host is short of memory, those of the lowest are frozen first.",
        change=Change.LIVE,
        at_least=-1000,
        at_most=1000,
    )
    on_pressure: Literal["freeze", "none"] = option(
        "freeze",
        "When the host is short of memory: it may be frozen until that is over, or it never is for that.",
        change=Change.LIVE,
    )
    slice: SliceRef | None = option(
        None,
        "The slice that it is part of: what the slice may use holds for all in it together. It is started with the "
        "slice it needs, and stopped, restarted and frozen with it.",
    )
