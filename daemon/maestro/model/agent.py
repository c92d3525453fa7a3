"""The section `agent`: the process."""

from __future__ import annotations

from typing import Literal

from maestro.model.ends import RestartSection, StopSection
from maestro.model.option import Change, option
from maestro.model.scheduling import SchedulingOptions
from maestro.model.streams import StandardError, StandardInput, StandardOutput
from maestro.model.values import (
    Command,
    CommandLine,
    EnvironmentMap,
    ExitStatusSet,
    Seconds,
    SignalName,
    UserName,
)
from maestro.model.variables import Assignment, VariableName

INFINITY = Seconds("inf")

NotifyAccess = Literal["none", "main", "exec", "all"]
type_names = ("simple", "exec", "notify", "notify-reload", "forking", "oneshot")


class AgentSection(SchedulingOptions, frozen=True, kw_only=True):
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
    gateway_ports: tuple[int, ...] = option(
        (),
        "Makes it a gateway: of every agent with `network: gateway` it is handed the sockets that listen on these ports "
        "(`sandbox.listeners`) in that agent's network, by messages on a socket that it gets as LISTEN_FDNAMES says, named "
        "gateways. Who connects to one is that agent and nobody else.",
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
    exec_condition: tuple[Command, ...] = option(
        (),
        "Commands run one after the other before those of `exec_start_pre`, each within `start_timeout`. One that "
        "ends with a status from 1 to 254 has the start left out, which is no failure: nothing is restarted, and who "
        "requires the unit goes on. With 255 or by a signal it fails the start. Either way `exec_stop_post` runs.",
        change=Change.LIVE,
    )
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
