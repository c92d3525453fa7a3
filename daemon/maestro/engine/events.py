"""All that can happen, and all that can be asked of the world outside."""

from __future__ import annotations

from msgspec import Struct

# ------------------------------------------------------------------------------------------- what happens


class Ended(Struct, frozen=True, kw_only=True):
    """An agent's main process ended. `code` or `signal` is set; neither when the status is lost."""

    agent: str
    code: int | None = None
    signal: int | None = None
    cpu: float = 0.0  # seconds of CPU that the process and its waited-for children used
    max_rss: int = 0  # bytes
    at: float = 0.0  # CLOCK_MONOTONIC, seconds
    left: tuple[str, ...] = ()  # processes of its tree that still run, "PID (name)"


class Asked(Struct, frozen=True):
    """A verb for some units. All goals are changed before anything moves, so the order of names does not matter."""

    verb: str
    units: tuple[str, ...]
    request: str = ""  # the caller's id: the same request twice gives the same jobs
    mode: str = "replace"  # plan.Mode


class Spawned(Struct, frozen=True):
    """It runs. Of a target, which has no process: its conditions hold."""

    agent: str
    pid: int
    start: int


class CannotSpawn(Struct, frozen=True):
    agent: str
    why: str


class Skipped(Struct, frozen=True):
    """The start is left out: a condition or an assert did not hold, and nothing was started."""

    agent: str
    why: str
    refused: bool = False  # by an assert: that is a failure


class Emptied(Struct, frozen=True):
    """The last leftover of an agent's tree is gone."""

    agent: str


class Notified(Struct, frozen=True):
    """An sd_notify datagram, checked to come from the agent."""

    agent: str
    fields: dict[str, str]


class ProbeAnswered(Struct, frozen=True):
    """The readiness probe of this agent got its yes."""

    agent: str


class NoMain(Struct, frozen=True):
    """Why it is not known which process is the main one of this agent, whose first process has ended."""

    agent: str
    why: str


class OutOfMemory(Struct, frozen=True):
    """The kernel has killed processes of a unit for want of memory."""

    unit: str
    why: str  # limit, peak, largest process: what is known of it; empty: none of them, its group is another one
    kills: int  # all that were counted of its control group


class Tick(Struct, frozen=True):
    """Time has passed: timers that are due ring."""


class Reread(Struct, frozen=True):
    """Unit files were read again: what held units back may have changed, and some units are gone."""

    removed: tuple[str, ...] = ()


class SetAside(Struct, frozen=True):
    """A unit over which two managers in a row crashed is taken out of the game."""

    unit: str
    why: str


class Used(Struct, frozen=True, kw_only=True):
    """Readings of counters that begin at 0 with each agent: resource -> what it has used since."""

    counters: dict[str, dict[str, float]]  # by agent
    keep: bool = True  # commit the sums; otherwise it is done with a later reading, and nothing is lost by it


class Granted(Struct, frozen=True, kw_only=True):
    """An operator adds to a budget until its window is over."""

    holder: str
    resource: str
    amount: float
    window: str = ""  # empty: every window that limits it


class Reset(Struct, frozen=True, kw_only=True):
    """An operator has what was used of a budget forgotten."""

    holder: str
    resource: str = ""  # empty: all


class Filling(Struct, frozen=True):
    """What all that is in a slice uses together. -1: this host does not say."""

    memory: int  # bytes that cannot be dropped at once
    tasks: int


class Measured(Struct, frozen=True, kw_only=True):
    """What the host has left, and what slices and agents use. Follows when a step says `measure`, or the kernel rings."""

    total: int = 0  # bytes of memory
    available: int = -1  # of them; -1: not known
    tasks: int = 0  # that the host allows in all
    used: dict[str, int] = {}  # by agent: bytes of its unit that cannot be dropped at once
    slices: dict[str, Filling] = {}
    rang: bool = False  # the kernel says that work stands still for want of memory


class Looked(Struct, frozen=True):
    """What the keeper's table says to a new manager, agent by agent: running with its pid, or ended."""

    running: dict[str, tuple[int, int]]
    ended: dict[str, Ended]
    fresh: bool  # the keeper itself is new: what it does not know may run all the same


AboutAgent = Spawned | CannotSpawn | Skipped | Ended | Emptied | Notified | ProbeAnswered | NoMain
Event = (
    Asked | AboutAgent | OutOfMemory | Tick | Reread | SetAside | Used | Granted | Reset | Measured | Looked
)

# ------------------------------------------------------------------------------------------- what is asked


class Errand(Struct, frozen=True, kw_only=True):
    """A command around the main process that was ordered and is not over: one of a phase's, run as an agent of its own."""

    agent: str  # its agent id: "researcher#17/pre1"
    option: str  # which of the unit's commands it is: "exec_start_pre"
    place: int  # and the how manieth
    line: tuple[str, ...]  # as the unit had it when it was ordered, prefixes included
    variables: dict[str, str] = {}  # MAINPID, SERVICE_RESULT …
    pid: int = 0
    start: int = 0
    ended: Ended | None = None  # while what it left behind is being killed


class Spawn(Struct, frozen=True):
    """Start it, if its conditions hold; a target has nothing else."""

    unit: str
    agent: str
    errand: Errand | None = None  # None: the main process


class Send(Struct, frozen=True):
    agent: str
    signal: str
    tree: bool
    order: int = (
        0  # counts up per agent: the keeper drops one that it has carried out; 0 is always carried out
    )


class Freeze(Struct, frozen=True):
    """Have all processes of this agent stand still, or go on."""

    agent: str
    still: bool


class Throttle(Struct, frozen=True):
    """Have the processes of this agent share little of the processor, or as much as its unit says."""

    agent: str
    on: bool


class Acknowledge(Struct, frozen=True):
    """The end of this agent is known and needs no record in the keeper any more."""

    agent: str


class Release(Struct, frozen=True):
    """Nothing runs of this unit, and nothing will by itself: its output stream may go once it is empty."""

    unit: str


class Adopt(Struct, frozen=True):
    """Find this agent, which an earlier keeper started; pid 0 when it may not have got that far."""

    agent: str
    pid: int
    start: int


class Probe(Struct, frozen=True):
    """Ask this agent's readiness probe until it says yes or `Unprobe` comes."""

    unit: str
    agent: str


class Unprobe(Struct, frozen=True):
    agent: str


class FindMain(Struct, frozen=True):
    """Read the pid file of this agent until it names one of its processes, and follow that as the main one.

    Without a pid file, follow the only one that is left, or say `NoMain`.
    """

    unit: str
    agent: str


class RemovePidFile(Struct, frozen=True):
    """What the pid file named has ended."""

    unit: str
    path: str


class Forsake(Struct, frozen=True):
    """Nothing runs of this unit, and what it had for as long as it ran may go: its runtime directories, the place of its credentials."""

    unit: str
    for_good: bool = False  # nothing will start it again by itself


class Quit(Struct, frozen=True):
    """An essential unit is gone for good: end everything, with this exit code."""

    unit: str
    code: int


Deed = (
    Spawn
    | Send
    | Freeze
    | Throttle
    | Acknowledge
    | Release
    | Adopt
    | Probe
    | Unprobe
    | FindMain
    | RemovePidFile
    | Forsake
    | Quit
)


class Happening(Struct, frozen=True, kw_only=True, gc=False):
    """One line of the event stream."""

    unit: str
    kind: str
    words: str
    state: str = ""
    agent: str = ""
    job: int = 0
    exit: int | None = None  # of an end for good: what a shell would say of it
