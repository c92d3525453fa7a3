"""One unit as the client sees it."""

from __future__ import annotations

from msgspec import Struct

from maestro.control.measuring import UsageView
from maestro.control.records import LineView


class ProcessView(Struct, frozen=True, kw_only=True):
    pid: int
    parent: int
    command: str


class ProblemView(Struct, frozen=True, kw_only=True):
    path: str
    line: int
    column: int
    option: str
    message: str
    hint: str = ""


class UnitView(Struct, frozen=True, kw_only=True):
    """One unit as `status` and `list` show it. Times are seconds since 1970; spans are seconds."""

    name: str
    kind: str  # agent, target, slice
    description: str = ""
    path: str = ""
    load: str = "loaded"  # loaded, bad, masked, missing (its file is gone, the agent runs on)
    problems: tuple[ProblemView, ...] = ()
    documentation: tuple[str, ...] = ()
    enabled: bool = False
    state: str = "inactive"  # coarse: inactive activating active reloading deactivating failed waiting
    fine: str = "dead"
    goal: str = "down"
    since: float = 0.0
    cause: str = ""
    result: str = "success"  # how its last activation went; empty where it makes no unit, and nothing runs
    pid: int = 0
    agent: str = ""  # agent id
    restarts: int = 0
    next: str = ""  # what comes by itself: "restart", "cooldown is over", "start time-out", "KILL"
    next_in: float | None = None
    blocked_by: tuple[str, ...] = ()
    status: str = ""  # as the agent said it
    budget: str = ""  # the one of which most is used: "61% of cpu_seconds of today are used (2h 26min of 4h)"
    hint: str = ""  # what a plugin found out about the last end
    requires: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    members: tuple[str, ...] = ()  # of a slice: what is directly in it
    usage: UsageView | None = None  # in detail, where its group is there
    changed: bool = False  # the file changed after it was loaded
    outdated: dict[
        str, str
    ] = {}  # option that what runs has not yet as it was loaded -> what brings it: restart
    dropped_lines: int = 0
    log_trouble: str = ""
    log_size: int = 0
    tiers: tuple[str, ...] = ()  # what confines it on this host, strongest first
    processes: tuple[ProcessView, ...] = ()
    log: tuple[LineView, ...] = ()
