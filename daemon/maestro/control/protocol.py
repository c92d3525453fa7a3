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

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from maestro.control.bounds import MAX_REPLY as MAX_REPLY
from maestro.control.bounds import MAX_REQUEST as MAX_REQUEST
from maestro.control.bounds import VERSION as VERSION
from maestro.control.budgeting import Budget as Budget
from maestro.control.budgeting import Grant as Grant
from maestro.control.budgeting import ResetBudget as ResetBudget
from maestro.control.configuring import GenerationDiff as GenerationDiff
from maestro.control.configuring import GenerationFiles as GenerationFiles
from maestro.control.configuring import Generations as Generations
from maestro.control.linking import Disable as Disable
from maestro.control.linking import Enable as Enable
from maestro.control.linking import EnablementView as EnablementView
from maestro.control.linking import IsEnabled as IsEnabled
from maestro.control.linking import Linking as Linking
from maestro.control.linking import Mask as Mask
from maestro.control.linking import Preset as Preset
from maestro.control.linking import Unmask as Unmask
from maestro.control.looks import Doctor as Doctor
from maestro.control.looks import FindingView as FindingView
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
from maestro.control.records import Audit as Audit
from maestro.control.records import AuditView as AuditView
from maestro.control.records import Count as Count
from maestro.control.records import Events as Events
from maestro.control.records import EventView as EventView
from maestro.control.records import Few as Few
from maestro.control.records import LineView as LineView
from maestro.control.records import Logs as Logs
from maestro.control.records import Place as Place
from maestro.control.request import ErrorView as ErrorView
from maestro.control.request import Names, OneOrMore
from maestro.control.request import Request as Request
from maestro.control.running import JobView as JobView
from maestro.control.running import Run as Run
from maestro.control.running import RunView as RunView
from maestro.control.stopping import EmergencyStop as EmergencyStop
from maestro.control.unit_view import ProblemView as ProblemView
from maestro.control.unit_view import ProcessView as ProcessView
from maestro.control.unit_view import UnitView as UnitView

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


Reason = Annotated[str, Meta(max_length=500)]


class DaemonReload(Request, frozen=True, tag_field="do", tag="daemon-reload"):
    """Read the unit files again."""

    reason: Reason = ""  # for those who look at the generation later


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
    | Grant
    | ResetBudget
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
    | Budget
    | Show
    | Cat
    | Logs
    | Events
    | Audit
    | Links
    | Starts
    | Doctor
    | Why
    | Usage
    | Generations
    | GenerationFiles
    | GenerationDiff
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
    tiers: tuple[str, ...] = ()  # what confines it on this host, strongest first


class CatView(Struct, frozen=True, kw_only=True):
    name: str
    pieces: tuple[tuple[str, str], ...]  # (path, text)


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
