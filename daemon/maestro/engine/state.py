"""The states of a unit, and all that is remembered of its life."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from maestro.engine.events import Ended, Errand, Send


class State(StrEnum):
    """Fine states: they serve the machine. Values are what `status` shows in brackets."""

    DEAD = "dead"
    WAITING = "waiting"  # to be started as soon as nothing holds it back
    START_PRE = "start-pre"  # the commands before its start run
    SPAWNING = "spawning"  # the keeper was asked to start it; or a target's conditions are looked at
    STARTING = "start"  # its process runs and is not ready yet
    NEXT = "start-next"  # what one of several commands has left is killed before the next is started
    START_POST = "start-post"  # it is ready, and the commands after its start run
    RUNNING = "running"
    RELOADING = "reload"  # it runs, and reads its configuration again
    FROZEN = "frozen"  # it is up, and its processes stand still
    EXITED = "exited"  # its process ended well, and it counts as up all the same
    STOP_COMMAND = "stop-command"  # the commands that ask it to stop run
    STOPPING = "stop"  # signals were sent, or leftovers are being ended
    STOP_POST = "stop-post"  # nothing of it is left, and the commands after its end run
    BACKOFF = "auto-restart"
    COOLDOWN = "cooldown"  # gave up for a while
    FAILED = "failed"


class Coarse(StrEnum):
    """What dependants and people see."""

    INACTIVE = "inactive"
    ACTIVATING = "activating"
    ACTIVE = "active"
    RELOADING = "reloading"
    DEACTIVATING = "deactivating"
    FAILED = "failed"
    WAITING = "waiting"


COARSE: dict[State, Coarse] = {
    State.DEAD: Coarse.INACTIVE,
    State.WAITING: Coarse.WAITING,
    State.START_PRE: Coarse.ACTIVATING,
    State.SPAWNING: Coarse.ACTIVATING,
    State.STARTING: Coarse.ACTIVATING,
    State.NEXT: Coarse.ACTIVATING,
    State.START_POST: Coarse.ACTIVATING,
    State.RUNNING: Coarse.ACTIVE,
    State.RELOADING: Coarse.RELOADING,
    State.FROZEN: Coarse.ACTIVE,
    State.EXITED: Coarse.ACTIVE,
    State.STOP_COMMAND: Coarse.DEACTIVATING,
    State.STOPPING: Coarse.DEACTIVATING,
    State.STOP_POST: Coarse.DEACTIVATING,
    State.BACKOFF: Coarse.ACTIVATING,
    State.COOLDOWN: Coarse.FAILED,
    State.FAILED: Coarse.FAILED,
}

COMING_UP = frozenset({State.START_PRE, State.SPAWNING, State.STARTING, State.NEXT, State.START_POST})
UP = frozenset({State.RUNNING, State.RELOADING, State.FROZEN, State.EXITED})  # what dependants may build on
GOING_DOWN = frozenset({State.STOP_COMMAND, State.STOPPING, State.STOP_POST})
ALIVE = COMING_UP | UP | GOING_DOWN  # an activation is under way


class Goal(StrEnum):
    """What was asked for last. A verb changes only this; the machine follows."""

    UP = "up"
    DOWN = "down"


class Result(StrEnum):
    """How the last activation went, in systemd's words."""

    SUCCESS = "success"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    WATCHDOG = "watchdog"
    RESOURCES = "resources"  # it could not be started at all
    PROTOCOL = "protocol"  # it ended before it was ready
    OOM_KILL = "oom-kill"  # a process of it was killed for want of memory
    ASSERT = "assert"  # an assert did not hold, so it was not started
    LOST = "lost"  # it ended while nobody could see how


class Trigger(Struct, frozen=True, kw_only=True):
    """What became of another unit, and is why this one was started."""

    unit: str
    agent: str  # its last one; empty where it never had any
    result: Result
    ended: Ended | None


class Life(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """All that is remembered of one unit. Times are CLOCK_MONOTONIC seconds, so they mean the same to the next manager."""

    state: State = State.DEAD
    goal: Goal = Goal.DOWN
    bounce: bool = False  # a restart was asked for: it must come down before it goes up
    aside: bool = False  # two managers in a row crashed over it: only a start by hand tries again
    pulled: str = (
        ""  # the dependency for whose sake its goal was set: `blue conflicts web`; empty for a request
    )
    unordered: bool = False  # started or stopped without regard to others
    halted: bool = False  # the running stop was asked for, and did not follow from a fault
    stopped: str = ""  # what it is, or was last, stopped for, in words; empty where it came down by itself
    since: float = 0.0
    cause: str = ""  # why it is in this state, in words
    blocked_by: tuple[str, ...] = ()  # units that hold its start back; of many, some
    hopeless: bool = False  # one of those has failed or was stopped: waiting may take for ever
    agent: str = ""  # id of the current or last agent: "researcher#17"
    pid: int = 0
    start: int = 0  # start time of pid in clock ticks: together they name a process
    spawns: int = 0  # agent ids given so far
    line: int = 0  # which of several commands the agent is
    asked: float | None = None  # when the current or last start was asked for, or was due after a pause
    opened: float | None = (
        None  # when the current or last activation began: with a command before its start, or its agent
    )
    began: float = 0.0  # when the current or last agent was ordered; of several commands the first
    awaits: tuple[
        str, ...
    ] = ()  # what readiness, or a reload, still waits for: "notify", "probe", "end", "fork", "pid", "reloading"
    bare: bool = False  # no main process is there: not yet, or no more
    errand: Errand | None = None  # the command around the main process that runs
    place: int = 0  # the how manieth of its phase that is, or was
    errands: int = 0  # commands ordered around the current agent
    ready_at: float | None = None
    completed: bool = False  # the last activation got ready, or ended well if it is a oneshot
    again: bool = False  # what it waits to begin is an automatic restart
    skipped: bool = False  # the last start was left out, for a condition did not hold
    tries: int = 0  # automatic restarts since the last forgiveness
    delay: float = 0.0  # the pause drawn for the current restart, jitter included
    starts: tuple[float, ...] = ()  # times of recent automatic starts
    restarts: int = 0  # automatic restarts since the last start by hand
    sent: Send | None = (
        None  # the newest signal of the running stop: ordered again after a death of the manager
    )
    orders: int = 0  # signals ordered for the current agent
    step: int = 0  # which step of the stop sequence is running
    aborting: bool = False  # the stop is a watchdog's: ABRT, then KILL
    stop_began: float = 0.0
    ended: Ended | None = None  # how the main process of the current or last agent ended
    result: Result = Result.SUCCESS
    left: tuple[str, ...] = ()  # what is left of its tree after the main process ended
    fault: str = ""  # what went wrong first, in words, where that is not how the main process ended
    pid_fault: str = ""  # why its pid file names no main process, while that is awaited, in words
    reload_at: float = 0.0  # when the newest reload was asked for
    reload_again: bool = False  # and it was asked for once more meanwhile
    reload_fault: str = ""  # why the newest reload came to nothing
    was_frozen: bool = (
        False  # the current agent was, or is: what was ordered last about that is ordered again
    )
    frozen_with: str = ""  # the slice for whose sake it stands still: it goes on with that
    stilled: bool = False  # its processes stand still because a budget is used up
    stilled_by: tuple[str, ...] = ()  # whose: its own, and its slices'; it goes on when none of them is
    start_left: float | None = None  # seconds of its start time-out that are left when they go on
    throttled: bool = False  # its share of the processor is small because a budget is used up
    oom: str = ""  # the newest kill for want of memory among its processes, in words
    oom_at: float = 0.0  # and when that was heard of
    oom_kills: int = 0  # those that were counted of its control group, which may outlive an activation
    frozen_for: str = ""  # what it is, or was last, frozen for, beside budget and slice; empty: somebody asked for it by name
    spared_until: float = 0.0  # an operator had it go on: until then it is not frozen for want of memory
    watchdog: float | None = None  # WATCHDOG_USEC= as the agent said it, in seconds
    error: int = 0  # ERRNO= as the agent said it
    trigger: Trigger | None = None  # where the start follows from the end of another unit
    access: str = ""  # NOTIFYACCESS= as the agent said it: whose word counts from then on
    status: str = ""  # STATUS= as the agent said it
    timers: dict[str, float] = {}  # name -> when it rings

    @property
    def coarse(self) -> Coarse:
        return COARSE[self.state]

    @property
    def alive(self) -> bool:
        """Whether a process of it may run."""
        return self.state in ALIVE and bool(self.agent)

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents of it that may run: the main process, and a command around it."""
        main = (self.agent,) if self.alive and not self.bare else ()
        return (*main, self.errand.agent) if self.alive and self.errand is not None else main

    @property
    def stands_still(self) -> bool:
        return self.state is State.FROZEN or self.stilled

    @property
    def must_come_down(self) -> bool:
        """A stop was asked for and has not come to its end."""
        return self.state in ALIVE and (self.goal is Goal.DOWN or self.bounce)

    @property
    def must_be_halted(self) -> bool:
        """The same, and nothing was done about it yet."""
        return self.must_come_down and not (self.state in GOING_DOWN and self.halted)
