"""What a unit file may say: one Struct per section, one typed field per option. All else follows from it.

An option is declared once, here: its type says how it is read and shown (values.py), `option` carries its
description, the version that brought it, and what a changed value asks of a running agent. Loader, schema,
manual page, `show` and completion are derived from the declarations.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from maestro.model.conditions import CheckSection
from maestro.model.ends import RestartSection as RestartSection
from maestro.model.ends import StopSection as StopSection
from maestro.model.option import Change, option
from maestro.model.order import Predecessor
from maestro.model.streams import StandardError, StandardInput, StandardOutput
from maestro.model.values import (
    Command,
    CommandLine,
    EnvironmentMap,
    ExitStatusSet,
    Pattern,
    Seconds,
    SignalName,
    Size,
    UnitRef,
    Url,
    UserName,
)
from maestro.model.variables import Assignment, VariableName

INFINITY = Seconds("inf")

NotifyAccess = Literal["none", "main", "exec", "all"]
type_names = ("simple", "exec", "notify", "notify-reload", "forking", "oneshot")


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


class AgentSection(Struct, frozen=True, kw_only=True):
    """The process."""

    exec: CommandLine = option(
        CommandLine(()), "The command: a list, or a string split as systemd splits command lines."
    )
    exec_more: tuple[Command, ...] = option(
        (),
        "With `type: oneshot`: commands started one after the other when `exec` has ended well, as further ExecStart= "
        "lines of systemd's are, each a main process like `exec` and within `start_timeout`. The end of the last is the "
        "end of the unit; one that fails fails it, unless `-` stands in front of the program. What one leaves running "
        "is killed before the next.",
    )
    type: Literal["simple", "exec", "notify", "notify-reload", "forking", "oneshot"] = option(
        "exec",
        "What counts as started: the process runs (simple, exec), it said READY=1 (notify, notify-reload), it "
        "ended well (oneshot), it ended well and another process goes on (forking): the one that `pid_file` names, or "
        "else the only one that is left. With a "
        "readiness probe, its success counts in addition. notify-reload also answers `reload_signal` with "
        "RELOADING=1 and MONOTONIC_USEC, and with READY=1 when it has reloaded.",
    )
    working_directory: str = option(
        "/",
        "Directory that the process starts in; `~` is the user's home. With `-` in front it starts in / "
        "where that fails.",
    )
    root_directory: str = option("", "What / is to the process, by chroot(2); only root may.")
    stdin: StandardInput = option(
        StandardInput("null"),
        "Standard input: nothing, a file, or a descriptor that an earlier process of the unit or one of "
        "`exec_start_pre` has left (`file_descriptor_store_max`): `socket` is the only socket among those, `fd:NAME` "
        "the one of that name, `fd` alone one named stdin. Without it the start fails.",
    )
    stdout: StandardOutput = option(
        StandardOutput("log"),
        "Standard output: the log, nothing, or a file, opened before the user changes; `file:` writes from its "
        "beginning. Or a descriptor that was left, as with `stdin`; or `inherit`: wherever `stdin` comes from, the log "
        "where that is null.",
    )
    stderr: StandardError = option(
        StandardError("inherit"), "Standard error; `inherit`: wherever `stdout` goes."
    )
    user: UserName | None = option(None, "User to run as; by default the daemon's own.")
    group: UserName | None = option(None, "Group to run as; by default the user's.")
    umask: str = option("0022", "File mode creation mask, in octal.", pattern="[0-7]{1,4}")
    environment: EnvironmentMap = option(EnvironmentMap({}), "Variables set for the process.")
    environment_file: tuple[str, ...] = option(
        (),
        "Files of NAME=VALUE lines, or patterns of such, which override `environment`; with `-` in front one that "
        "cannot be read is no error. Quotes, comments and backslashes are systemd's. A line that sets nothing is "
        "left out, and the log says which.",
    )
    pass_environment: tuple[VariableName, ...] = option(
        (), "Variables of Maestro's own environment that are passed on."
    )
    unset_environment: tuple[Assignment, ...] = option(
        (),
        "Variables that it does not get, wherever they come from, Maestro's own words to it aside; with =VALUE "
        "only where they have that value.",
    )
    notify_fd: int = option(
        0,
        "With `type: notify`: it is also ready when it writes a line to this descriptor, as s6 has it; 0: none.",
        at_least=0,
        at_most=1000,
    )
    file_descriptor_store_max: int = option(
        0,
        "How many descriptors it may leave (FDSTORE=1) for its next process, which gets them by LISTEN_FDS. So may "
        "the commands of `exec_start_pre` where `notify_access` is exec or all. They are closed when the unit is "
        "stopped for good.",
        at_least=0,
        at_most=1000,
        change=Change.LIVE,
    )
    start_timeout: Seconds = option(Seconds(90), "How long it may take to get ready.", change=Change.LIVE)
    watchdog: Seconds | None = option(None, "After it is ready, WATCHDOG=1 must come at least this often.")
    notify_access: NotifyAccess = option(
        "all",
        "Whose notifications count: nobody's; those of the main process; of all that Maestro starts for the unit; "
        "or of every process of the agent. It may change that for itself (NOTIFYACCESS=).",
        change=Change.LIVE,
    )
    success_exit_status: ExitStatusSet = option(
        ExitStatusSet(()),
        "Exit codes and signals that count as a clean end, besides 0, HUP, INT, TERM and PIPE.",
        change=Change.LIVE,
    )
    reload_signal: SignalName | None = option(
        None,
        "Signal that makes it read its configuration again; for type notify-reload by default HUP.",
        change=Change.LIVE,
    )
    restart: RestartSection = RestartSection()
    stop: StopSection = StopSection()
    exec_start_pre: tuple[Command, ...] = option(
        (),
        "Commands run one after the other before the process is started, each within `start_timeout`. One that "
        "fails fails the start. As with the other commands around the process: each is a list or a string as in "
        "`exec`; with `-` in front of the program its failure does not count, with `+` or `!` it runs as the "
        "daemon's own user, with `:` variables are not replaced; what it leaves running is killed.",
        change=Change.LIVE,
    )
    exec_start_post: tuple[Command, ...] = option(
        (),
        "Commands run when the process is ready, before the unit counts as started, each within `start_timeout`. "
        "One that fails fails the start. $MAINPID is the process.",
        change=Change.LIVE,
    )
    exec_reload: tuple[Command, ...] = option(
        (),
        "Commands that make the process read its configuration again, instead of `reload_signal`, each within "
        "`start_timeout`. One that fails fails the reload; the process runs on. $MAINPID is the process.",
        change=Change.LIVE,
    )
    exec_stop: tuple[Command, ...] = option(
        (),
        "Commands that ask the process to stop, run before the first signal, each for as long as the first step "
        "of `stop.sequence` waits. They also run when a started process ended by itself: $MAINPID is unset then.",
        change=Change.LIVE,
    )
    exec_stop_post: tuple[Command, ...] = option(
        (),
        "Commands run when nothing of the process is left, also where its start failed, each for as long as the "
        "first step of `stop.sequence` waits. $SERVICE_RESULT, $EXIT_CODE and $EXIT_STATUS say how it went.",
        change=Change.LIVE,
    )
    pid_file: str | None = option(
        None,
        "File that the first process of type forking writes the pid of the one that goes on to. It is removed when "
        "that has ended.",
    )
    remain_after_exit: bool = option(
        False, "Whether it counts as up when its process has ended well, until it is stopped."
    )
    runtime_max: Seconds = option(
        INFINITY, "How long it may be up; then it is stopped, and that counts as a time-out."
    )
    runtime_randomized_extra: Seconds = option(
        Seconds(0), "Up to this much is added to `runtime_max`, drawn once per start."
    )

    @property
    def lines(self) -> tuple[Command, ...]:
        """The commands that are its main process in turn."""
        return (Command(self.exec), *self.exec_more)


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


class AgentFile(Struct, frozen=True, kw_only=True):
    """NAME.agent.yaml, and NAME@.agent.yaml for a template."""

    unit: UnitSection = UnitSection()
    condition: CheckSection = CheckSection()
    assert_: CheckSection = field(default=CheckSection(), name="assert")
    agent: AgentSection
    health: HealthSection = HealthSection()
    logs: LogsSection = LogsSection()
    install: InstallSection = InstallSection()


class TargetFile(Struct, frozen=True, kw_only=True):
    """NAME.target.yaml: a name for a set of units."""

    unit: UnitSection = UnitSection()
    condition: CheckSection = CheckSection()
    assert_: CheckSection = field(default=CheckSection(), name="assert")
    install: InstallSection = InstallSection()


class Origin(Struct, frozen=True, kw_only=True):
    """Where an option was set."""

    path: str
    line: int
    column: int
    also: tuple[Origin, ...] = ()  # other pieces that added to the same list or mapping


class Unit(Struct, frozen=True, kw_only=True):
    """One unit, loaded: options with specifiers resolved, references by full name, and where each was set."""

    name: str  # "researcher", "worker@eu", "default.target"
    kind: Literal["agent", "target"]
    unit: UnitSection
    condition: CheckSection = CheckSection()
    assert_: CheckSection = field(default=CheckSection(), name="assert")
    agent: AgentSection | None = None
    health: HealthSection = HealthSection()
    logs: LogsSection = LogsSection()
    install: InstallSection = InstallSection()
    plugins: dict[str, Struct] = {}  # sections that plugins declared
    origins: dict[str, Origin] = {}  # "agent.restart.delay" -> where
    path: str = ""
