"""What a verb asked for one unit, how two of them merge, and when one is done."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from maestro.engine.state import UP, Goal, Life, State

MOST_REQUESTS = (
    64  # that are remembered of one job, the newest: a client that never tires asks for a start every second
)


class JobState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # the unit did not get there
    DEPENDENCY = (
        "dependency"  # it waits for a unit that has failed or was stopped; it starts when that recovers
    )
    CANCELED = "canceled"  # a later verb wanted something else


class Job(Struct, frozen=True, kw_only=True, gc=False):
    id: int
    unit: str
    verb: str
    requests: tuple[
        str, ...
    ] = ()  # the callers' ids for what they asked: more than one where requests joined
    created: float = 0.0
    state: JobState = JobState.RUNNING
    words: str = ""


class Merge(StrEnum):
    JOIN = "join"  # the new request is served by the pending job
    REPLACE = "replace"  # the pending job is canceled: the last verb wins


# pending job -> new verb. A start asked while a restart is pending is served by the restart; not the other way round.
MERGE: dict[tuple[str, str], Merge] = {
    ("start", "start"): Merge.JOIN,
    ("start", "stop"): Merge.REPLACE,
    ("start", "restart"): Merge.REPLACE,
    ("stop", "start"): Merge.REPLACE,
    ("stop", "stop"): Merge.JOIN,
    ("stop", "restart"): Merge.REPLACE,
    ("restart", "start"): Merge.JOIN,
    ("restart", "stop"): Merge.REPLACE,
    ("restart", "restart"): Merge.JOIN,
    ("start", "reload"): Merge.JOIN,
    ("restart", "reload"): Merge.JOIN,
    ("reload", "reload"): Merge.JOIN,
    ("reload", "start"): Merge.JOIN,
    ("reload", "restart"): Merge.REPLACE,
    ("reload", "stop"): Merge.REPLACE,
}


def verdict(job: Job, life: Life) -> tuple[JobState, str] | None:
    """How a job has ended, judged from the life of its unit after a change; None while it goes on."""
    if job.verb == "stop":
        return (JobState.DONE, life.cause) if life.state in (State.DEAD, State.FAILED) else None
    if job.verb == "reload":
        return _verdict_of_reload(life)
    if life.goal is Goal.DOWN and life.state is State.DEAD:
        done = life.completed and not life.stopped  # it may have completed before this was asked
        return JobState.DONE if done else JobState.CANCELED, life.cause
    if life.bounce or life.halted:
        return None
    if life.state in UP:
        return JobState.DONE, life.cause
    if life.state in (State.FAILED, State.COOLDOWN, State.BACKOFF):
        return JobState.FAILED, life.cause
    if life.state is State.WAITING and life.hopeless:
        return JobState.DEPENDENCY, life.cause
    return None


def _verdict_of_reload(life: Life) -> tuple[JobState, str] | None:
    if life.state is State.RELOADING:
        return None
    if life.state not in UP:
        return JobState.FAILED, life.cause  # it ended meanwhile, well or not
    return (JobState.FAILED, life.reload_fault) if life.reload_fault else (JobState.DONE, life.cause)
