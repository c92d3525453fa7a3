"""The sections around the process: what a unit is and how it hangs together, how it is asked for its health, what is kept of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from maestro.model.option import Change, option
from maestro.model.order import Predecessor
from maestro.model.values import CommandLine, Pattern, Seconds, Size, UnitRef, Url


class UnitSection(Struct, frozen=True, kw_only=True):
    """What the unit is and how it hangs together with others."""

    description: str = option("", "One line for people, shown by `status` and `list`.", change=Change.LIVE)
    documentation: tuple[str, ...] = option((), "Where to read more: URLs or paths.", change=Change.LIVE)
    requires: tuple[UnitRef, ...] = option(
        (),
        "Units started with this one; while one of them is not up, this one waits. "
        "Stopping or restarting one of them does the same to this one.",
        change=Change.LIVE,
    )
    requisite: tuple[UnitRef, ...] = option(
        (),
        "As `requires`, but these are not started: a start is refused while one of them is not up.",
        change=Change.LIVE,
    )
    wants: tuple[UnitRef, ...] = option(
        (), "Units started with this one, whose failure does not matter to it.", change=Change.LIVE
    )
    binds_to: tuple[UnitRef, ...] = option(
        (),
        "As `requires`; and when one of these ends by itself or fails, this one is stopped, and comes back with it.",
        change=Change.LIVE,
    )
    part_of: tuple[UnitRef, ...] = option(
        (), "Stopping or restarting one of these does the same to this one.", change=Change.LIVE
    )
    upholds: tuple[UnitRef, ...] = option(
        (),
        "As `wants`; and while this one is up, these are started again whenever they are found down.",
        change=Change.LIVE,
    )
    milestone: tuple[UnitRef, ...] = option(
        (),
        "Units started with this one and needed for its start, but not to run on: their stop does not touch it.",
        change=Change.LIVE,
    )
    conflicts: tuple[UnitRef, ...] = option(
        (),
        "Units that never run beside this one: the start of either stops the other, and waits for its end.",
        change=Change.LIVE,
    )
    before: tuple[UnitRef, ...] = option(
        (), "Units that start only when this one is ready, and stop first.", change=Change.LIVE
    )
    after: tuple[Predecessor, ...] = option(
        (),
        "Units that this one waits for when both start, and that stop last. `db started` waits only until the main "
        "process of db has been executed, plain `db` until it is ready. Of a unit that is named twice the last counts; "
        "where its own `before` names this one, that has to be ready.",
        change=Change.LIVE,
    )
    propagates_stop_to: tuple[UnitRef, ...] = option(
        (), "Units that are stopped when this one stops or ends.", change=Change.LIVE
    )
    propagates_reload_to: tuple[UnitRef, ...] = option(
        (), "Units that are reloaded when this one is.", change=Change.LIVE
    )
    on_failure: tuple[UnitRef, ...] = option(
        (), "Units started when this one has failed and is not restarted.", change=Change.LIVE
    )
    on_success: tuple[UnitRef, ...] = option(
        (), "Units started when this one has ended well.", change=Change.LIVE
    )
    on_give_up: tuple[UnitRef, ...] = option(
        (), "Units started when this one has broken a start limit.", change=Change.LIVE
    )
    exclusive: tuple[str, ...] = option(
        (),
        "Names of things that only one unit at a time may hold, `gpu0` say: while another has one, this one waits.",
        change=Change.LIVE,
    )
    default_dependencies: bool = option(
        True, "Whether a target waits for the units that it names.", change=Change.LIVE
    )
    allow_isolate: bool = option(
        False, "Whether `maestroctl isolate` may be asked for it.", change=Change.LIVE
    )
    ignore_on_isolate: bool = option(
        False, "Whether it runs on when another unit is isolated.", change=Change.LIVE
    )
    collect_mode: Literal["inactive", "inactive-or-failed"] = option(
        "inactive",
        "When a unit made by `maestroctl run` is forgotten: when it has ended well, or also when it has failed. "
        "Otherwise it stays in sight until `reset-failed`.",
        change=Change.LIVE,
    )
    essential: bool = option(
        False,
        "When it fails for good or gives up, the daemon ends, with its exit code: for containers.",
        change=Change.LIVE,
    )


class ReadinessSection(Struct, frozen=True, kw_only=True):
    """A question asked until the answer is yes. Exactly one of exec, http, tcp, unix, log."""

    exec: CommandLine | None = option(None, "Ready when this command ends with 0.")
    http: Url | None = option(None, "Ready when a GET of this URL is answered with 200 to 399.")
    tcp: str | None = option(None, "Ready when HOST:PORT accepts a connection.")
    unix: str | None = option(None, "Ready when this Unix stream socket accepts a connection.")
    log: Pattern | None = option(None, "Ready when a line of output matches this regular expression.")
    interval: Seconds = option(
        Seconds(10), "Longest pause between two attempts; the first ones follow faster.", change=Change.LIVE
    )
    timeout: Seconds = option(Seconds(3), "How long one attempt may take.", change=Change.LIVE)
    successes: int = option(1, "Attempts in a row that must succeed.", at_least=1, change=Change.LIVE)
    initial_delay: Seconds = option(Seconds(0), "Pause before the first attempt.", change=Change.LIVE)


class HealthSection(Struct, frozen=True, kw_only=True):
    """How the agent's state is asked for."""

    readiness: ReadinessSection | None = None


class LogsSection(Struct, frozen=True, kw_only=True):
    """What is kept of the agent's output."""

    max_size: Size = option(
        Size(16 << 20), "Size of one log file before the next is begun.", at_least=4096, change=Change.LIVE
    )
    max_files: int = option(4, "How many log files are kept.", at_least=1, change=Change.LIVE)
    rate_limit_interval: Seconds = option(
        Seconds(1), "Time over which `rate_limit_burst` is counted; 0 for no limit.", change=Change.LIVE
    )
    rate_limit_burst: Size = option(
        Size(32 << 20),
        "Output kept per interval; what is more is dropped, counted, and said in the log.",
        change=Change.LIVE,
    )


class InstallSection(Struct, frozen=True, kw_only=True):
    """What `maestroctl enable` does."""

    wanted_by: tuple[UnitRef, ...] = option(
        (), "Targets that get a `wants` on this unit.", change=Change.LIVE
    )
    required_by: tuple[UnitRef, ...] = option(
        (), "Targets that get a `requires` on this unit.", change=Change.LIVE
    )
    default_instance: str | None = option(
        None, "Instance that is enabled when a template is enabled without one.", change=Change.LIVE
    )
    alias: tuple[UnitRef, ...] = option(
        (), "Further names, of the same kind: once it is enabled it answers to them too.", change=Change.LIVE
    )
    also: tuple[UnitRef, ...] = option(
        (), "Units that are enabled and disabled with this one.", change=Change.LIVE
    )
