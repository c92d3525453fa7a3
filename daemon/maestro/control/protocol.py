"""What is said on control.sock.

A frame is a 4-byte big-endian length and that many bytes of msgpack: one map. The client sends
`{v, id, do, …}`, the fields of a request below beside them; `id` is its own, any string of 1 to 128 printable
characters, and comes back in every frame of the answer:

    {id, more: {…}}      an item of a stream, or progress of a verb; any number of them
    {id, done: {…}}      the end, well
    {id, error: {…}}     the end, refused: an `ErrorView`

Progress of a verb is `VerbView`s, and `done` holds the last one again. What has several answers (show, cat,
audit) has them in `done: {items: […]}`. A stream begins with a mark: an item that says where it begins, so
that it can be resumed from its first moment. An error with the id "" is about the connection, which then
ends, or about a request whose id could not be read.

A connection carries up to 64 requests at the same time. A request with an `id` the manager has seen is the
same request: a client whose connection broke sends it again, and a verb is not carried out twice. Whoever
closes the sending side has hung up: what was not begun by then is not done.

Versions: 1 (0.1.0) all of the below. Fields may be added; names and meanings stay.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from maestro.control.bounds import MAX_REPLY as MAX_REPLY
from maestro.control.bounds import MAX_REQUEST as MAX_REQUEST
from maestro.control.bounds import VERSION as VERSION
from maestro.control.linking import Disable as Disable
from maestro.control.linking import Enable as Enable
from maestro.control.linking import EnablementView as EnablementView
from maestro.control.linking import IsEnabled as IsEnabled
from maestro.control.linking import Linking as Linking
from maestro.control.linking import Mask as Mask
from maestro.control.linking import Preset as Preset
from maestro.control.linking import Unmask as Unmask
from maestro.control.looks import Links as Links
from maestro.control.looks import LinksView as LinksView
from maestro.control.looks import LinkView as LinkView
from maestro.control.looks import NodeView as NodeView
from maestro.control.looks import OrderView as OrderView
from maestro.control.looks import ReasonView as ReasonView
from maestro.control.looks import Starts as Starts
from maestro.control.looks import StartsView as StartsView
from maestro.control.looks import StartView as StartView
from maestro.control.looks import Why as Why
from maestro.control.looks import WhyView as WhyView
from maestro.control.measuring import Usage as Usage
from maestro.control.measuring import UsagesView as UsagesView
from maestro.control.measuring import UsageView as UsageView
from maestro.control.request import ErrorView as ErrorView
from maestro.control.request import Name, Names, OneOrMore
from maestro.control.request import Request as Request
from maestro.control.running import JobView as JobView
from maestro.control.running import Run as Run
from maestro.control.running import RunView as RunView
from maestro.control.stopping import EmergencyStop as EmergencyStop

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Few = Annotated[int, Meta(ge=0, le=1000)]  # lines of log in one answer
Place = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]  # a cursor; sqlite and files know no greater number

# ------------------------------------------------------------------------------------------- requests


class Hello(Request, frozen=True, tag_field="do", tag="hello"):
    """Who answers: version of the daemon and of the protocol, and the role the caller has."""


class Verb(Request, frozen=True):
    """What makes jobs. Each is planned with all that it pulls in."""

    units: OneOrMore  # names or globs
    wait: bool = True
    mode: Literal["replace", "fail", "ignore-dependencies"] = "replace"
    dry_run: bool = False  # answer with the plan, and change nothing


class Start(Verb, frozen=True, tag_field="do", tag="start"):
    pass


class Stop(Verb, frozen=True, tag_field="do", tag="stop"):
    pass


class Restart(Verb, frozen=True, tag_field="do", tag="restart"):
    """Those that do not run are started."""


class TryRestart(Verb, frozen=True, tag_field="do", tag="try-restart"):
    """Those that do not run are left alone."""


class Reload(Verb, frozen=True, tag_field="do", tag="reload"):
    pass


class ReloadOrRestart(Verb, frozen=True, tag_field="do", tag="reload-or-restart"):
    """Those that cannot reload are restarted, those that do not run are started."""


class Isolate(Verb, frozen=True, tag_field="do", tag="isolate"):
    """Start these and stop all that they do not need."""


class ResetFailed(Request, frozen=True, tag_field="do", tag="reset-failed"):
    """Forget past failures, and what was counted of them."""

    units: Names = ()  # none: all that have failed


class Freeze(Request, frozen=True, tag_field="do", tag="freeze"):
    """Have the processes of agents stand still; they keep their memory."""

    units: OneOrMore


class Thaw(Request, frozen=True, tag_field="do", tag="thaw"):
    """Have the processes of frozen agents go on."""

    units: OneOrMore


class Jobs(Request, frozen=True, tag_field="do", tag="jobs"):
    """The jobs that are pending."""


class Cancel(Request, frozen=True, tag_field="do", tag="cancel"):
    """Take back what pending jobs asked for."""

    units: OneOrMore  # names, globs or numbers of jobs


class Kill(Request, frozen=True, tag_field="do", tag="kill"):
    """Send a signal; changes no goal, so a policy may restart what it ends."""

    units: OneOrMore
    signal: Annotated[str, Meta(min_length=1, max_length=20)] = "TERM"
    whole: bool = True  # every process of the agent; False: the main process


class Status(Request, frozen=True, tag_field="do", tag="status"):
    units: Names = ()  # none: all that are loaded
    lines: Few = 10  # of log, where units are named
    detail: bool = True  # processes and log lines; False: states only


class Show(Request, frozen=True, tag_field="do", tag="show"):
    units: OneOrMore


class Cat(Request, frozen=True, tag_field="do", tag="cat"):
    units: OneOrMore


class Logs(Request, frozen=True, tag_field="do", tag="logs"):
    units: OneOrMore
    lines: Count | None = 10  # the last n of each; None: all
    since: float | None = None  # seconds since 1970
    until: float | None = None
    cursors: dict[Name, Place] = {}  # noqa: RUF012  # unit -> offset to go on from; msgspec copies it
    follow: bool = False
    to_end: bool = (
        False  # follow until nothing of the units runs or will by itself; one that is gone counts as ended
    )

    def __post_init__(self) -> None:
        for field in ("since", "until"):
            value = getattr(self, field)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{field} is not a time")


class Events(Request, frozen=True, tag_field="do", tag="events"):
    units: Names = ()
    cursor: Place | None = None  # go on after this sequence number; None: from now on
    follow: bool = True
    lines: Count = 0  # without a cursor: the last n first


class Audit(Request, frozen=True, tag_field="do", tag="audit"):
    lines: Count = 20
    check: bool = False  # first, whether each entry of the log still follows from the one before


class DaemonReload(Request, frozen=True, tag_field="do", tag="daemon-reload"):
    """Read the unit files again."""


class DaemonReexec(Request, frozen=True, tag_field="do", tag="daemon-reexec"):
    """Replace the code of keeper and manager; agents run on."""


class Shutdown(Request, frozen=True, tag_field="do", tag="shutdown"):
    keep_agents: bool = False  # False: stop every agent first, in order


AnyRequest = (
    Hello
    | Start
    | Stop
    | Restart
    | TryRestart
    | Reload
    | ReloadOrRestart
    | Isolate
    | ResetFailed
    | Freeze
    | Thaw
    | EmergencyStop
    | Cancel
    | Jobs
    | Kill
    | Run
    | Enable
    | Disable
    | Mask
    | Unmask
    | Preset
    | IsEnabled
    | Status
    | Show
    | Cat
    | Logs
    | Events
    | Audit
    | Links
    | Starts
    | Why
    | Usage
    | DaemonReload
    | DaemonReexec
    | Shutdown
)

# ------------------------------------------------------------------------------------------- answers


class HelloView(Struct, frozen=True, kw_only=True):
    version: str
    protocol: int
    role: str
    root: str
    pid: int  # of the keeper
    started: float  # when this manager began, seconds since 1970
    notices: tuple[
        str, ...
    ] = ()  # what an operator should know: store not writable, plugin set aside, units that do not load


class PlannedView(Struct, frozen=True, kw_only=True):
    """One job of a plan."""

    unit: str
    verb: str
    asked: bool  # by name
    why: str = ""  # the dependency that pulled it in


class VerbView(Struct, frozen=True, kw_only=True):
    """Answer to a verb: per unit a job, or an error.

    As `more` while waiting: all its jobs, `words` of those still running saying what they wait for.
    """

    jobs: tuple[JobView, ...] = ()
    errors: dict[str, ErrorView] = {}
    changes: tuple[str, ...] = ()  # what was done without a job, and what needed not be done, in words
    plan: tuple[PlannedView, ...] = ()  # of a dry run
    left_out: dict[str, ErrorView] = {}  # of a dry run: what is only wanted, and cannot be started


class LineView(Struct, frozen=True, kw_only=True):
    unit: str
    time: float  # seconds since 1970 when its chunk was written; 0 when unknown
    text: str
    cursor: int  # resume after this line
    mark: bool = False  # not a line: says only where reading of this unit begins, so that it can be resumed


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
    kind: str  # agent, target
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
    hint: str = ""  # what a plugin found out about the last end
    requires: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    changed: bool = False  # the file changed after it was loaded
    outdated: dict[
        str, str
    ] = {}  # option that what runs has not yet as it was loaded -> what brings it: restart
    dropped_lines: int = 0
    log_trouble: str = ""
    log_size: int = 0
    usage: UsageView | None = None  # where it runs in a control group
    processes: tuple[ProcessView, ...] = ()
    log: tuple[LineView, ...] = ()


class StatusView(Struct, frozen=True, kw_only=True):
    units: tuple[UnitView, ...]
    errors: dict[str, ErrorView] = {}  # names and globs that match nothing
    notices: tuple[str, ...] = ()
    now: float = 0.0


class ShowView(Struct, frozen=True, kw_only=True):
    """Every option of a unit in canonical form, and where each that is not a default was set.

    Of one that does not load: its problems, and what is in force, if something runs of it.
    """

    name: str
    options: dict[str, Any]
    origins: dict[str, str]  # "agent.restart.delay" -> "FILE:LINE:COLUMN", several with ", " between
    problems: tuple[ProblemView, ...] = ()


class CatView(Struct, frozen=True, kw_only=True):
    name: str
    pieces: tuple[tuple[str, str], ...]  # (path, text)


class EventView(Struct, frozen=True, kw_only=True):
    seq: int  # the cursor
    time: float
    unit: str
    kind: str  # "mark": not an event: says only which is the last before those that follow
    words: str
    state: str = ""
    agent: str = ""
    job: int = 0
    exit: int | None = (
        None  # of an end for good: its exit status, or 128 and the signal; 1 for another failure
    )


class AuditView(Struct, frozen=True, kw_only=True):
    seq: int
    time: float
    uid: int
    pid: int
    who: str
    action: str
    result: str
    hash: str


class ReloadView(Struct, frozen=True, kw_only=True):
    """What daemon-reload found."""

    units: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    asked: dict[str, dict[str, str]] = {}  # unit that runs -> option that changed -> reload or restart
    problems: tuple[ProblemView, ...] = ()
    warnings: tuple[
        ProblemView, ...
    ] = ()  # what keeps units that load from being started: requirements that are missing, circles
