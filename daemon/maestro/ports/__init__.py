"""What the manager needs from outside: frozen records and one Protocol per outside thing. Nothing here does anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from maestro.engine.events import Ended as Ended  # crosses the keeper port as it is
from maestro.ports.confining import (
    Abilities as Abilities,
)
from maestro.ports.confining import (
    Alarm as Alarm,
)
from maestro.ports.confining import (
    Brake as Brake,
)
from maestro.ports.confining import (
    CannotConfine as CannotConfine,
)
from maestro.ports.confining import (
    Gauge as Gauge,
)
from maestro.ports.confining import (
    Gauges as Gauges,
)
from maestro.ports.confining import (
    Groups as Groups,
)
from maestro.ports.confining import (
    NoSeccomp as NoSeccomp,
)
from maestro.ports.confining import (
    Place as Place,
)
from maestro.ports.confining import (
    Process as Process,
)
from maestro.ports.confining import (
    Seccomp as Seccomp,
)
from maestro.ports.confining import (
    SeccompPrograms as SeccompPrograms,
)
from maestro.ports.confining import (
    Usage as Usage,
)

# ------------------------------------------------------------------------------------------------ keeper


class Recipe(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the keeper must know to start one process. Finished: nothing in it is looked up later."""

    argv: tuple[str, ...]  # argv[0] is looked for in PATH of `env` when it has no slash
    env: dict[str, str]
    cwd: str = "/"
    cwd_may_fail: bool = False  # then it is /
    root: str = ""  # what / is to it; empty: the same as to us
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    rlimits: tuple[tuple[int, int, int], ...] = ()  # (RLIMIT_x, soft, hard); -1: no limit
    nice: int | None = None
    io_priority: tuple[int, int] | None = None  # class and level
    cpu_scheduling: tuple[int, int] | None = None  # SCHED_x and priority
    cpu_affinity: tuple[int, ...] = ()
    numa: tuple[int, tuple[int, ...]] | None = None  # MPOL_x and the nodes
    oom_score_adjust: int | None = None
    timer_slack: int | None = None  # nanoseconds
    personality: int | None = None  # PER_x
    coredump_filter: int | None = None
    keyring: str | None = None  # "private": a session keyring of its own; "shared": with its user's in it
    ignore_sigpipe: bool = False
    search_path: str = ""  # where argv[0] is looked for; empty: in PATH
    # kind and path of stdin, stdout, stderr; () for null, log, inherit
    stdio: tuple[tuple[str, str], ...] = ()
    notify_fd: int = 0  # number of a pipe on which it tells that it is ready; 0: none
    stream: str | None = None  # name of the output stream; None: /dev/null
    cgroup: str = ""  # directory of the control group that it is born in; empty: the keeper's own
    tasks: tuple[str, ...] = ()  # files of cgroup v1 by which it enters further groups
    make: tuple[
        str, ...
    ] = ()  # groups that are made first where they are missing, the outer ones before the inner
    store: str = ""  # unit whose stored descriptors it gets
    gateways: tuple[int, ...] = ()  # ports whose listeners in the networks of agents it gets
    title: str = ""  # the unit's name, for messages
    # (what, base, name, mode, uid, gid, whether below `private`, links) of directories that are made for it
    directories: tuple[tuple[str, str, str, int, int | None, int | None, bool, tuple[str, ...]], ...] = ()
    # path, uid, gid, whether they are mounted there, and files: name -> content. Told to nobody.
    credentials: dict[str, Any] = {}
    # what confines it: namespaces, mounts, capabilities … as keeper/sandbox.py reads them
    sandbox: dict[str, Any] = {}


class Entry(Struct, frozen=True, kw_only=True):
    """One agent as the keeper's table has it."""

    agent: str  # agent id: "researcher#17", one per started process
    pid: int
    start: int  # start time in clock ticks since boot, /proc/PID/stat field 22
    ended: Ended | None = None


class KeeperNews(Protocol):
    """What the keeper tells the manager; called on the manager's loop, in the order in which it happened."""

    def spawned(self, agent: str, pid: int, start: int) -> None: ...
    def cannot_spawn(self, agent: str, stage: str, errno: int) -> None: ...
    def ended(self, ended: Ended) -> None: ...
    def emptied(self, agent: str) -> None: ...
    def ready(self, agent: str) -> None: ...  # said on its descriptor; told again to a new manager
    def stream(self, name: str, fd: int) -> None: ...
    def told(
        self, signal: str
    ) -> None: ...  # the keeper was told "terminate", "reload" or "reexec" by a signal
    def lost(self) -> None: ...  # the keeper is gone


class Table(Struct, frozen=True, kw_only=True):
    """What a new manager is given by the keeper."""

    keeper: str  # identity of this keeper's table: a new one after the keeper itself died
    entries: tuple[Entry, ...]
    streams: Mapping[str, int]  # output stream -> read end, owned by the caller
    held: Mapping[str, int]  # named descriptors: "control", "notify", …


SOMEBODYS = "#0"  # the agent id of a process of some agent that nobody can name any more: it has no rights


class Keeper(Protocol):
    """The parent of every agent. Every order may be repeated: orders carry the agent id."""

    async def hello(self, news: KeeperNews) -> Table: ...
    def spawn(self, agent: str, recipe: Recipe) -> None: ...
    def send(self, agent: str, signal: int, *, tree: bool, order: int = 0) -> None: ...
    def freeze(self, agent: str, *, still: bool) -> None: ...
    def adopt(self, agent: str, pid: int, start: int, invocation: str, cgroup: str = "") -> None: ...
    def follow(self, agent: str, pid: int) -> None: ...
    def acknowledge(self, agent: str) -> None: ...
    def hold(self, name: str, fd: int) -> None: ...
    def release_stream(self, name: str) -> None: ...
    def store(self, unit: str, name: str, fd: int, *, polled: bool, most: int) -> None: ...
    def unstore(self, unit: str, name: str) -> None: ...
    def drop_store(self, unit: str) -> None: ...
    def whose(self, pid: int) -> str | None: ...  # None: surely no agent's; SOMEBODYS: an agent's, or gone
    def reexec(self) -> None: ...
    def close(self) -> None: ...  # says what is still to be said first
    def retire(self) -> None: ...  # end with me, start no further manager


# ------------------------------------------------------------------------------------------------ logs


class LogMark(Struct, frozen=True, kw_only=True):
    """What a stream's log is: for status."""

    size: int  # bytes ever written: the offset of the next byte
    dropped_lines: int = 0
    dropped_bytes: int = 0
    unwritable: str = ""  # why nothing can be written just now; empty when all is well


class LogLimits(Struct, frozen=True, kw_only=True):
    max_size: int = 16 << 20  # bytes of one segment
    max_files: int = 4
    rate_interval: float = 1.0  # seconds
    rate_burst: int = 32 << 20  # bytes each interval; more is dropped and counted
    readers: tuple[tuple[str, int], ...] = ()  # who may read the files: ("user", 1001), ("group", 2000)


class LogLine(Struct, frozen=True, kw_only=True):
    time_ns: int  # wall clock of the chunk that held the line; 0 when unknown
    offset: int  # where the line begins in the stream
    end: int  # where the next line begins: the cursor to resume from
    text: str


class Logs(Protocol):
    """Takes agents' output to files, and reads it back."""

    def take(self, name: str, fd: int, limits: LogLimits) -> None: ...
    def relimit(self, name: str, limits: LogLimits) -> None: ...
    def drop(self, name: str) -> None: ...
    def drained(self, name: str, empty: Callable[[], None]) -> None: ...
    def mark(self, name: str) -> LogMark: ...
    def note(self, name: str, text: str) -> None: ...
    def await_line(
        self, name: str, pattern: str, seen: Callable[[], None], since_ns: int | None = None
    ) -> Callable[[], None]: ...  # from now on, or from a wall clock time on
    def tail(self, name: str, lines: int) -> list[LogLine]: ...
    def discard(self, name: str) -> None: ...  # its files, too; of a unit that is gone
    async def trim(self, names: Iterable[str], most: int) -> Mapping[str, int]: ...  # stream -> bytes removed
    def follow(self, name: str, query: LogQuery) -> AsyncIterator[LogLine]: ...
    def close(self) -> None: ...


class LogQuery(Struct, frozen=True, kw_only=True):
    lines: int | None = 10  # the last n; None: all
    since_ns: int | None = None
    until_ns: int | None = None
    cursor: int | None = None  # offset to go on from; replaces `lines`
    follow: bool = False


# ------------------------------------------------------------------------------------------------ store


class Saved(Struct, frozen=True, kw_only=True):
    """What the store gives a new manager."""

    lives: Mapping[str, bytes] = {}
    jobs: Mapping[int, bytes] = {}
    definitions: Mapping[str, bytes] = {}
    accounts: Mapping[str, bytes] = {}  # by holder
    facts: Mapping[str, str] = {}  # keeper identity, boot id, counters
    last_event: int = 0
    generation: tuple[int, bytes] = (0, b"")  # number and head of the newest; 0: there is none


class Row(Struct, frozen=True, kw_only=True):
    """One event or audit record as kept."""

    seq: int
    time: float
    body: bytes
    hash: str = ""  # of audit records


class Batch(Struct, kw_only=True):
    """Changes that are committed together, or kept for the next try when the disk refuses."""

    lives: dict[str, bytes | None] = {}
    jobs: dict[int, bytes | None] = {}
    definitions: dict[str, bytes | None] = {}
    accounts: dict[str, bytes | None] = {}  # by holder: what it has used of its budget
    facts: dict[str, str] = {}
    events: list[tuple[int, float, bytes]] = []
    audit: list[tuple[float, bytes]] = []
    generations: dict[int, tuple[bytes, bytes]] = {}  # number -> head, and what was in the files


class Store(Protocol):
    async def load(self) -> Saved: ...
    async def commit(self, batch: Batch) -> str | None: ...  # None, or why it could not be written
    async def events(self, after: int, limit: int) -> Sequence[Row]: ...
    async def audit(self, limit: int) -> Sequence[Row]: ...
    async def generations(self, limit: int) -> Sequence[tuple[int, bytes]]: ...  # heads, the newest first
    async def generation(self, number: int) -> bytes | None: ...  # its body
    async def check_audit(self) -> int | None: ...  # sequence number of the first broken link
    async def close(self) -> None: ...


# ------------------------------------------------------------------------------------------------ unit files


class Piece(Struct, frozen=True, kw_only=True, gc=False):
    """One file as read: its path, its text, or why it could not be read."""

    path: str
    text: bytes = b""
    refused: str = ""
    masked: bool = False  # a link to /dev/null, or an empty file that hides another: no unit is made of it


class UnitFiles(Protocol):
    """The directories that units are read from."""

    def read(self) -> UnitSources: ...
    def look(
        self, name: str, known: Mapping[str, str]
    ) -> UnitSources: ...  # the files that one unit of these aliases is made of, as they are now
    def draft(self, path: str) -> Piece: ...
    def enable(self, name: str, paths: Iterable[str], *, runtime: bool = False) -> list[str]: ...
    def disable(self, name: str, *, runtime: bool = False) -> list[str]: ...
    def mask(self, name: str, *, runtime: bool = False) -> list[str]: ...
    def unmask(self, name: str, *, runtime: bool = False) -> list[str]: ...
    def presets(self) -> tuple[Piece, ...]: ...
    def transients(self) -> tuple[str, ...]: ...  # units whose files go when they have ended
    def place_of(self, name: str) -> str: ...  # of the file of such a unit
    def put(self, name: str, text: str) -> None: ...
    def take_away(self, name: str) -> None: ...


class UnitSources(Struct, frozen=True, kw_only=True):
    files: Mapping[str, Piece]  # file name ("worker@.agent.yaml") -> the first found
    links: Mapping[str, tuple[str, ...]]  # "default.target" -> units its .wants directories name
    requirements: Mapping[str, tuple[str, ...]] = {}  # the same of its .requires directories
    overlays: Mapping[str, Piece] = {}  # file name -> the first found for the environment
    dropins: Mapping[str, tuple[Piece, ...]] = {}  # "worker@.agent.yaml.d", "agent.d" -> in order
    aliases: Mapping[str, str] = {}  # of `files` those that are links to another: file name -> file name
    enabled: Mapping[str, str] = {}  # units that links name -> "enabled", "enabled-runtime"
    runtime: str = ""  # the directory whose content is gone after a boot
    directories: tuple[str, ...] = ()


class Finding(Struct, frozen=True, kw_only=True):
    """What this host offers of one thing that Maestro builds on."""

    part: str  # "control groups"
    state: Literal["ok", "limited", "missing"]
    words: str  # what there is
    cost: str = ""  # what does not work without the rest
    advice: str = ""  # what would mend it


class Clock(Protocol):
    def now(self) -> float: ...  # CLOCK_MONOTONIC seconds: the same for every process of one boot
    def wall(self) -> float: ...  # seconds since 1970: to show, never to wait


class Chance(Protocol):
    def __call__(self) -> float: ...  # [0, 1)


Json = Any  # plain data: dict, list, str, int, float, bool, None
