"""What a unit uses, as the client sees it."""

from __future__ import annotations

from msgspec import Struct

from maestro.model.unit import Unit
from maestro.ports import Usage


class UsageView(Struct, frozen=True, kw_only=True):
    """What its control group counts; of a slice, for all in it together. None: this host does not say, or there is no limit."""

    cpu: float | None = None  # seconds
    memory: int | None = None  # bytes
    memory_peak: int | None = None
    memory_max: str | None = None  # as the unit says it
    tasks: int | None = None
    tasks_max: str | None = None
    oom_kills: int = 0


def usage_view(unit: Unit, usage: Usage) -> UsageView:
    limits = unit.resources
    return UsageView(
        cpu=usage.cpu,
        memory=usage.memory,
        memory_peak=usage.memory_peak,
        memory_max=str(limits.memory_max) if limits.memory_max is not None else None,
        tasks=usage.tasks,
        tasks_max=str(limits.tasks_max) if limits.tasks_max is not None else None,
        oom_kills=usage.oom_kills,
    )
