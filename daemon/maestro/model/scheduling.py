"""Options of the process: its priorities, on which CPUs it runs, and its limits. `AgentSection` is made from these."""

from __future__ import annotations

from typing import ClassVar, Literal

from maestro.model import timespan
from maestro.model.amounts import NumberSet
from maestro.model.directories import DirectoryOptions
from maestro.model.limits import LimitsSection
from maestro.model.option import option
from maestro.model.plain import Given, Mistake, Plain, kind_of, shorten
from maestro.model.values import UserName

REALTIME = ("fifo", "rr")
IO_CLASSES = ("none", "realtime", "best-effort", "idle")  # by number
IoClass = Literal["none", "realtime", "best-effort", "idle"]
CpuPolicy = Literal["other", "batch", "idle", "fifo", "rr"]
NumaPolicy = Literal["default", "preferred", "bind", "interleave", "local"]
WITH_NODES = ("preferred", "bind", "interleave")
Personality = Literal[
    "x86",
    "x86-64",
    "arm",
    "arm64",
    "ppc",
    "ppc-le",
    "ppc64",
    "ppc64-le",
    "s390",
    "s390x",
    "riscv64",
    "loongarch64",
]
_LONGEST_SLACK = (1 << 63) - 1


class Nanoseconds(int):
    """A short duration; a number alone counts nanoseconds."""

    expected: ClassVar[str] = "a duration such as 50us; a number alone counts nanoseconds"

    def __new__(cls, value: int | str) -> Nanoseconds:
        length = timespan.nanoseconds(value) if isinstance(value, str) else value
        if length is None or not 0 <= length <= _LONGEST_SLACK:
            raise Mistake(f"{shorten(str(value))} is too long", "write it as 50us, 1ms or 100ns")
        return super().__new__(cls, length)

    @classmethod
    def read(cls, given: Given) -> Nanoseconds:
        if isinstance(given.plain, bool) or not isinstance(given.plain, str | int | float):
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}")
        return cls(given.text())

    def show(self) -> Plain:
        return str(self)

    def __str__(self) -> str:
        whole, rest = divmod(int(self), 1000)
        parts = [timespan.show(whole)] if whole else []
        return " ".join([*parts, f"{rest}ns"] if rest else parts) or "0"

    def __repr__(self) -> str:
        return f"Nanoseconds({str(self)!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": ["string", "number"], "minimum": 0, "examples": ["50us", "1ms", "100ns"]}


CORE_FILTER = (  # by bit of /proc/PID/coredump_filter
    "private-anonymous", "shared-anonymous", "private-file-backed", "shared-file-backed", "elf-headers",
    "private-huge", "shared-huge", "private-dax", "shared-dax",
)  # fmt: skip
CoreContent = Literal[
    "private-anonymous", "shared-anonymous", "private-file-backed", "shared-file-backed", "elf-headers",
    "private-huge", "shared-huge", "private-dax", "shared-dax",
]  # fmt: skip


class SchedulingOptions(DirectoryOptions, frozen=True, kw_only=True):
    """What the process is to the scheduler, and what it may use. A Struct has one base, so the mix-ins are a chain."""

    supplementary_groups: tuple[UserName, ...] = option(
        (),
        "Groups that it is in besides those of its user. Without `user` these are all that it is in besides its own.",
    )
    exec_search_path: tuple[str, ...] = option(
        (),
        "Directories in which programs without a slash are looked for, and its $PATH where nothing else sets that. By "
        "default those of Maestro's own $PATH.",
    )
    nice: int | None = option(
        None,
        "Nice level, -20 (gets most) to 19 (gets least). Below the daemon's own only root may.",
        at_least=-20,
        at_most=19,
    )
    cpu_scheduling_policy: CpuPolicy | None = option(
        None,
        "How it shares the processors: other is the usual; batch and idle give way; fifo and rr are real-time and "
        "come before all else.",
    )
    cpu_scheduling_priority: int | None = option(
        None, "Real-time priority, 1 (lowest) to 99, for fifo and rr; by default 1.", at_least=1, at_most=99
    )
    cpu_scheduling_reset_on_fork: bool = option(
        False, "Whether its children go back to the usual policy and nice level."
    )
    cpu_affinity: tuple[NumberSet, ...] = option(
        (), "The CPUs that it runs on, by number: 0-3 5. By default all of the daemon's."
    )
    numa_policy: NumaPolicy | None = option(
        None,
        "Where its memory comes from on a machine of several nodes, by set_mempolicy(2): preferred, bind and "
        "interleave with `numa_mask`; local is the node that it runs on.",
    )
    numa_mask: tuple[NumberSet, ...] = option((), "The nodes that `numa_policy` is about, by number.")
    io_scheduling_class: IoClass | None = option(
        None,
        "How it shares the disks, where their scheduler looks at it: idle gets what is left, best-effort by priority, "
        "realtime comes first and only root may; none goes by the nice level.",
    )
    io_scheduling_priority: int | None = option(
        None,
        "Priority in its class, 0 (gets most) to 7; by default 4. Without `io_scheduling_class` that is best-effort.",
        at_least=0,
        at_most=7,
    )
    oom_score_adjust: int | None = option(
        None,
        "Added to its badness when memory is out: -1000 (never killed) to 1000 (first). Lower than the daemon's own "
        "was only root may.",
        at_least=-1000,
        at_most=1000,
    )
    timer_slack: Nanoseconds | None = option(
        None,
        "How late its timers may be, so that the processor wakes up less often. A number alone counts nanoseconds.",
    )
    personality: Personality | None = option(
        None, "Architecture that uname(2) tells it: the machine's own, or its 32-bit sibling."
    )
    ignore_sigpipe: bool = option(
        False,
        "Whether it begins with SIGPIPE ignored. False, unlike in systemd: shell pipelines and most programs count "
        "on being ended by it, and what writes to the log never gets one.",
    )
    keyring_mode: Literal["inherit", "private", "shared"] = option(
        "inherit",
        "Which keys of the kernel it possesses, by its session keyring: those of whoever started Maestro (inherit), none "
        "(private), or those of its user (shared). systemd's default for services is private.",
    )
    coredump_filter: tuple[CoreContent, ...] = option(
        (), "What a core file of it contains. By default the kernel's choice."
    )
    limits: LimitsSection = LimitsSection()
