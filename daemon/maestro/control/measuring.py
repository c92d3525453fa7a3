"""What units use: the request and its answer."""

from __future__ import annotations

from msgspec import Struct

from maestro.control.request import ErrorView, Names, Request


class Usage(Request, frozen=True, tag_field="do", tag="usage"):
    """What the processes of units use just now."""

    units: Names = ()  # none: all of which something runs


class UsageView(Struct, frozen=True, kw_only=True):
    """Of one unit; of a slice, for all in it together. None: this host does not say, or there is no limit."""

    name: str
    state: str = ""  # coarse
    fine: str = ""
    pid: int = 0
    cpu: float | None = None  # seconds of processor time since its control group was made
    cpu_share: float | None = None  # 1: one processor
    memory: int | None = None  # bytes
    memory_peak: int | None = None
    memory_max: int | None = None
    tasks: int | None = None
    tasks_max: int | None = None
    read: int | None = None  # bytes from devices
    written: int | None = None
    read_rate: float | None = None  # bytes a second
    write_rate: float | None = None
    oom_kills: int = 0
    forks_refused: int = 0  # by tasks_max
    held_back: float = 0.0  # seconds for which cpu_max kept it from a processor
    crowded: str = ""  # a process that can open next to nothing more, in words


class UsagesView(Struct, frozen=True, kw_only=True):
    units: tuple[UsageView, ...]
    errors: dict[str, ErrorView] = {}
    now: float = 0.0  # seconds since 1970
    processors: int = 1
