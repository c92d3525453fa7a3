"""What is said on control.sock.

A frame is a 4-byte big-endian length and that many bytes of msgpack: one map. The client sends `{v, id, do, …}`, the fields of a
request below beside them; `id` is its own, any string, and comes back in every frame of the answer:

    {id, more: {…}}      an item of a stream, or progress of a verb; any number of them
    {id, done: {…}}      the end, well
    {id, error: {…}}     the end, refused: an `ErrorView`

A connection carries any number of requests at the same time. A request with an `id` the manager has seen is the same request: a client
whose connection broke sends it again, and a verb is not carried out twice.

Versions: 1 (0.1.0) all of the below. Fields may be added; names and meanings stay.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

VERSION = 1
MAX_REQUEST = 1 << 20  # bytes of a frame from a client
MAX_REPLY = 16 << 20  # bytes of a frame from the server

# ------------------------------------------------------------------------------------------- requests


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing asked. `do` is the tag; each subclass is one route."""


class Hello(Request, tag_field="do", tag="hello"):
    """Who answers: version of the daemon and of the protocol, and the role the caller has."""


class Start(Request, tag_field="do", tag="start"):
    units: tuple[str, ...]  # names or globs
    wait: bool = True


class Stop(Request, tag_field="do", tag="stop"):
    units: tuple[str, ...]
    wait: bool = True


class Restart(Request, tag_field="do", tag="restart"):
    units: tuple[str, ...]
    wait: bool = True


class Reload(Request, tag_field="do", tag="reload"):
    units: tuple[str, ...]
    wait: bool = True


class Kill(Request, tag_field="do", tag="kill"):
    """Send a signal; changes no goal, so a policy may restart what it ends."""

    units: tuple[str, ...]
    signal: str = "TERM"
    whole: bool = True  # every process of the agent; False: the main process


class Enable(Request, tag_field="do", tag="enable"):
    units: tuple[str, ...]
    now: bool = False  # and start


class Disable(Request, tag_field="do", tag="disable"):
    units: tuple[str, ...]
    now: bool = False  # and stop


class Status(Request, tag_field="do", tag="status"):
    units: tuple[str, ...] = ()  # none: all that are loaded
    lines: int = 10  # of log, where units are named
    detail: bool = True  # processes and log lines; False: states only


class Show(Request, tag_field="do", tag="show"):
    units: tuple[str, ...]


class Cat(Request, tag_field="do", tag="cat"):
    units: tuple[str, ...]


class Logs(Request, tag_field="do", tag="logs"):
    units: tuple[str, ...]
    lines: int | None = 10  # the last n of each; None: all
    since: float | None = None  # seconds since 1970
    until: float | None = None
    grep: str | None = None
    cursors: dict[str, int] = {}  # unit -> offset to go on from
    follow: bool = False


class Events(Request, tag_field="do", tag="events"):
    units: tuple[str, ...] = ()
    cursor: int | None = None  # go on after this sequence number; None: from now on
    follow: bool = True
    lines: int = 0  # without a cursor: the last n first


class Audit(Request, tag_field="do", tag="audit"):
    lines: int = 20


class DaemonReload(Request, tag_field="do", tag="daemon-reload"):
    """Read the unit files again."""


class DaemonReexec(Request, tag_field="do", tag="daemon-reexec"):
    """Replace the code of keeper and manager; agents run on."""


class Shutdown(Request, tag_field="do", tag="shutdown"):
    keep_agents: bool = False  # False: stop every agent first, in order


AnyRequest = (
    Hello | Start | Stop | Restart | Reload | Kill | Enable | Disable | Status | Show | Cat | Logs | Events | Audit
    | DaemonReload | DaemonReexec | Shutdown
)

# ------------------------------------------------------------------------------------------- answers


class ErrorView(Struct, frozen=True, kw_only=True):
    code: str  # "no-such-unit", "not-allowed", "bad-request", "cycle", …: a key of cli.exits.EXITS, or new
    message: str
    hint: str = ""


class HelloView(Struct, frozen=True, kw_only=True):
    version: str
    protocol: int
    role: str
    root: str
    pid: int  # of the keeper
    started: float  # when this manager began, seconds since 1970
    notices: tuple[str, ...] = ()  # what an operator should know: store not writable, plugin set aside, units that do not load


class JobView(Struct, frozen=True, kw_only=True):
    id: int
    unit: str
    verb: str
    state: str  # running, done, failed, dependency, canceled
    words: str = ""


class VerbView(Struct, frozen=True, kw_only=True):
    """Answer to a verb: per unit a job, or an error. As `more` while waiting: the jobs still running, `words` saying what they wait for."""

    jobs: tuple[JobView, ...] = ()
    errors: dict[str, ErrorView] = {}
    changes: tuple[str, ...] = ()  # of enable and disable: links made and removed, in words


class LineView(Struct, frozen=True, kw_only=True):
    unit: str
    time: float  # seconds since 1970 when its chunk was written; 0 when unknown
    text: str
    cursor: int  # resume after this line


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
    load: str = "loaded"  # loaded, bad, missing (its file is gone, the agent runs on)
    problems: tuple[ProblemView, ...] = ()
    enabled: bool = False
    state: str = "inactive"  # coarse: inactive activating active deactivating failed waiting
    fine: str = "dead"
    goal: str = "down"
    since: float = 0.0
    cause: str = ""
    result: str = "success"
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
    dropped_lines: int = 0
    log_trouble: str = ""
    log_size: int = 0
    processes: tuple[ProcessView, ...] = ()
    log: tuple[LineView, ...] = ()


class StatusView(Struct, frozen=True, kw_only=True):
    units: tuple[UnitView, ...]
    errors: dict[str, ErrorView] = {}  # names and globs that match nothing
    notices: tuple[str, ...] = ()
    now: float = 0.0


class ShowView(Struct, frozen=True, kw_only=True):
    """Every option of a unit in canonical form, and where each that is not a default was set."""

    name: str
    options: dict[str, Any]
    origins: dict[str, str]  # "agent.restart.delay" -> "FILE:LINE:COLUMN"


class CatView(Struct, frozen=True, kw_only=True):
    name: str
    pieces: tuple[tuple[str, str], ...]  # (path, text)


class EventView(Struct, frozen=True, kw_only=True):
    seq: int  # the cursor
    time: float
    unit: str
    kind: str
    words: str
    state: str = ""
    agent: str = ""
    job: int = 0


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
    problems: tuple[ProblemView, ...] = ()
