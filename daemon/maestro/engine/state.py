"""The states of a unit, and all that is remembered of its life."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from maestro.engine.events import Ended, Send


class State(StrEnum):
    """Fine states: they serve the machine. Values are what `status` shows in brackets."""

    DEAD = "dead"
    WAITING = "waiting"  # to be started as soon as nothing holds it back
    SPAWNING = "spawning"  # the keeper was asked to start it
    STARTING = "start"  # its process runs and is not ready yet
    RUNNING = "running"
    STOPPING = "stop"  # signals were sent, or leftovers are being ended
    BACKOFF = "auto-restart"
    COOLDOWN = "cooldown"  # gave up for a while
    FAILED = "failed"


class Coarse(StrEnum):
    """What dependants and people see."""

    INACTIVE = "inactive"
    ACTIVATING = "activating"
    ACTIVE = "active"
    DEACTIVATING = "deactivating"
    FAILED = "failed"
    WAITING = "waiting"


COARSE: dict[State, Coarse] = {
    State.DEAD: Coarse.INACTIVE,
    State.WAITING: Coarse.WAITING,
    State.SPAWNING: Coarse.ACTIVATING,
    State.STARTING: Coarse.ACTIVATING,
    State.RUNNING: Coarse.ACTIVE,
    State.STOPPING: Coarse.DEACTIVATING,
    State.BACKOFF: Coarse.ACTIVATING,
    State.COOLDOWN: Coarse.FAILED,
    State.FAILED: Coarse.FAILED,
}

ALIVE = frozenset({State.SPAWNING, State.STARTING, State.RUNNING, State.STOPPING})


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
    LOST = "lost"  # it ended while nobody could see how


class Life(Struct, frozen=True, kw_only=True):
    """All that is remembered of one unit. Times are CLOCK_MONOTONIC seconds, so they mean the same to the next manager."""

    state: State = State.DEAD
    goal: Goal = Goal.DOWN
    bounce: bool = False  # a restart was asked for: it must come down before it goes up
    unordered: bool = False  # started or stopped without regard to others
    halted: bool = False  # the running stop was asked for, and did not follow from a fault
    since: float = 0.0
    cause: str = ""  # why it is in this state, in words
    blocked_by: tuple[str, ...] = ()  # units that hold its start back; of many, some
    hopeless: bool = False  # one of those has failed or was stopped: waiting may take for ever
    agent: str = ""  # id of the current or last agent: "researcher#17"
    pid: int = 0
    start: int = 0  # start time of pid in clock ticks: together they name a process
    spawns: int = 0  # agent ids given so far
    began: float = 0.0  # when the current or last agent was ordered
    awaits: tuple[str, ...] = ()  # what readiness still waits for: "notify", "probe", "end"
    ready_at: float | None = None
    completed: bool = False  # the last activation got ready, or ended well if it is a oneshot
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
    def must_come_down(self) -> bool:
        """A stop was asked for and has not come to its end."""
        return self.state in ALIVE and (self.goal is Goal.DOWN or self.bounce)

    @property
    def must_be_halted(self) -> bool:
        """The same, and nothing was done about it yet."""
        return self.must_come_down and not (self.state is State.STOPPING and self.halted)
