"""The life of one unit, as a table.

A row reads: in this state, on this input, if the guard holds, go to that state and act. The first row that
fits wins. `IGNORED` lists the pairs that may happen and need no answer; every other pair is `Impossible`.
The table is proved complete by a test, and drawn into the manual.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from maestro.engine import acts, guards
from maestro.engine.acts import Act
from maestro.engine.guards import Guard
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import Life, State


class Input(StrEnum):
    """What can be put to a unit. The world makes these out of events, and of what units want from each other."""

    START_ASKED = "start asked"
    GO = "nothing holds it back"
    HALT = "it must come down"
    RELOAD_ASKED = "reload asked"
    RESET_ASKED = "past failures are to be forgotten"
    SPAWNED = "spawned"
    CANNOT_SPAWN = "cannot be spawned"
    READY = "ready"
    STOP_SAID = "it says it stops"
    ENDED = "main process ended, others are left"
    GONE = "nothing of it is left"
    RANG_START = "start time-out"
    RANG_STOP = "stop time-out"
    RANG_WATCHDOG = "watchdog"
    RANG_RESTART = "pause is over"
    RANG_COOLDOWN = "cool-down is over"
    RANG_FORGIVE = "ready for long enough"
    RANG_UPHOLD = "time to uphold it"


class Row(Struct, frozen=True):
    state: State
    input: Input
    guard: Guard
    to: State
    act: Act


class Impossible(Exception):
    """A bug of ours: something came that cannot come in this state."""


def _ends(*states: State) -> tuple[Row, ...]:
    """What follows when nothing of a unit is left: the same from every state in which something ran."""
    verdicts: tuple[tuple[Guard, State, Act], ...] = (
        (guards.is_asked_up_again, State.WAITING, acts.turn_round),
        (guards.is_asked_down, State.DEAD, acts.rest),
        (guards.may_restart, State.BACKOFF, acts.restart_later),
        (guards.cools_down, State.COOLDOWN, acts.cool_down),
        (guards.gives_up, State.FAILED, acts.give_up),
        (guards.ended_badly, State.FAILED, acts.fail),
        (guards.always, State.DEAD, acts.complete),
    )
    return tuple(
        Row(state, moment, guard, to, act)
        for state in states
        for moment in ((Input.GONE, Input.CANNOT_SPAWN) if state in _MAY_NOT_SPAWN else (Input.GONE,))
        for guard, to, act in verdicts
    )


_MAY_NOT_SPAWN = (State.SPAWNING, State.STOPPING)
S, I = State, Input  # noqa: E741 - short, so that a row stays a line

TABLE: tuple[Row, ...] = (
    # state     input             if                       then go to   and
    Row(S.DEAD, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.FAILED, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.BACKOFF, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.COOLDOWN, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.WAITING, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.DEAD, I.RANG_UPHOLD, guards.always, S.WAITING, acts.be_upheld),
    Row(S.FAILED, I.RANG_UPHOLD, guards.always, S.WAITING, acts.be_upheld),
    Row(S.WAITING, I.GO, guards.has_no_process, S.RUNNING, acts.arrive),
    Row(S.WAITING, I.GO, guards.always, S.SPAWNING, acts.spawn),
    Row(S.WAITING, I.HALT, guards.always, S.DEAD, acts.rest),
    Row(S.BACKOFF, I.HALT, guards.always, S.DEAD, acts.rest),
    Row(S.COOLDOWN, I.HALT, guards.always, S.DEAD, acts.rest),
    Row(S.BACKOFF, I.RANG_RESTART, guards.always, S.WAITING, acts.restart_now),
    Row(S.COOLDOWN, I.RANG_COOLDOWN, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.FAILED, I.RESET_ASKED, guards.always, S.DEAD, acts.forget_failure),
    Row(S.COOLDOWN, I.RESET_ASKED, guards.always, S.DEAD, acts.forget_failure),
    Row(S.RUNNING, I.RESET_ASKED, guards.always, S.RUNNING, acts.forgive),
    Row(S.SPAWNING, I.SPAWNED, guards.is_ready_at_once, S.RUNNING, acts.get_ready),
    Row(S.SPAWNING, I.SPAWNED, guards.always, S.STARTING, acts.await_readiness),
    Row(S.SPAWNING, I.RANG_START, guards.always, S.STOPPING, acts.time_out),
    Row(S.SPAWNING, I.HALT, guards.always, S.STOPPING, acts.terminate),
    Row(S.SPAWNING, I.ENDED, guards.always, S.STOPPING, acts.sweep),
    Row(S.STARTING, I.READY, guards.awaits_more, S.STARTING, acts.stay),
    Row(S.STARTING, I.READY, guards.always, S.RUNNING, acts.get_ready),
    Row(S.STARTING, I.RANG_START, guards.always, S.STOPPING, acts.time_out),
    Row(S.STARTING, I.HALT, guards.always, S.STOPPING, acts.terminate),
    Row(S.STARTING, I.STOP_SAID, guards.always, S.STOPPING, acts.let_stop),
    Row(S.STARTING, I.ENDED, guards.always, S.STOPPING, acts.sweep),
    Row(S.RUNNING, I.HALT, guards.bounces_without_process, S.WAITING, acts.turn_round),
    Row(S.RUNNING, I.HALT, guards.has_no_process, S.DEAD, acts.rest),
    Row(S.RUNNING, I.HALT, guards.always, S.STOPPING, acts.terminate),
    Row(S.RUNNING, I.RELOAD_ASKED, guards.always, S.RUNNING, acts.send_reload),
    Row(S.RUNNING, I.STOP_SAID, guards.always, S.STOPPING, acts.let_stop),
    Row(S.RUNNING, I.RANG_WATCHDOG, guards.always, S.STOPPING, acts.abort),
    Row(S.RUNNING, I.RANG_FORGIVE, guards.always, S.RUNNING, acts.forgive),
    Row(S.RUNNING, I.ENDED, guards.always, S.STOPPING, acts.sweep),
    Row(S.STOPPING, I.SPAWNED, guards.always, S.STOPPING, acts.stay),
    Row(S.STOPPING, I.HALT, guards.is_halted, S.STOPPING, acts.stay),
    Row(S.STOPPING, I.HALT, guards.always, S.STOPPING, acts.own_the_stop),
    Row(S.STOPPING, I.ENDED, guards.kills_the_rest, S.STOPPING, acts.sweep),
    Row(S.STOPPING, I.ENDED, guards.always, S.STOPPING, acts.stay),
    Row(S.STOPPING, I.RANG_STOP, guards.has_more_steps, S.STOPPING, acts.next_step),
    Row(S.STOPPING, I.RANG_STOP, guards.always, S.STOPPING, acts.insist),
    *_ends(S.SPAWNING, S.STARTING, S.RUNNING, S.STOPPING),
)

IGNORED: frozenset[tuple[State, Input]] = frozenset(
    {
        (S.RUNNING, I.READY),  # a second READY=1, or a probe's answer that crossed with it
        (S.STOPPING, I.READY),
        (S.STOPPING, I.STOP_SAID),
        (S.SPAWNING, I.READY),  # answers that crossed with a restart
        (S.SPAWNING, I.STOP_SAID),
        (S.RUNNING, I.SPAWNED),  # a repeated order is answered again
        (S.STARTING, I.SPAWNED),
        *(
            (state, I.RESET_ASKED)
            for state in (S.DEAD, S.WAITING, S.SPAWNING, S.STARTING, S.STOPPING, S.BACKOFF)
        ),
        *(
            (state, I.START_ASKED) for state in (S.SPAWNING, S.STARTING, S.RUNNING, S.STOPPING)
        ),  # only the goal changes
    }
)

ROWS: dict[tuple[State, Input], tuple[Row, ...]] = {}
for _row in TABLE:
    ROWS[_row.state, _row.input] = (*ROWS.get((_row.state, _row.input), ()), _row)


def step(scene: Scene, moment: Input) -> Outcome:
    """The life after this input, and what is asked of the world outside.

    Raises `Impossible` where the table has no answer.
    """
    state = scene.life.state
    if (state, moment) in IGNORED:
        return Outcome(life=scene.life)
    for row in ROWS.get((state, moment), ()):
        if row.guard(scene):
            return _enter(scene, row.act(scene), row.to)
    raise Impossible(f"{scene.name}: {moment!r} while {state.value}")


def _enter(scene: Scene, outcome: Outcome, to: State) -> Outcome:
    life = outcome.life
    since = scene.now if to is not scene.life.state else life.since
    return replace(outcome, life=replace(life, state=to, since=since, timers=_kept(life, to)))


# Timers that make sense in a state; the others are unwound by entering it.
TIMERS: dict[State, frozenset[str]] = {
    State.DEAD: frozenset({"uphold"}),
    State.WAITING: frozenset(),
    State.SPAWNING: frozenset({"start"}),
    State.STARTING: frozenset({"start"}),
    State.RUNNING: frozenset({"watchdog", "forgive"}),
    State.STOPPING: frozenset({"stop"}),
    State.BACKOFF: frozenset({"restart"}),
    State.COOLDOWN: frozenset({"cooldown"}),
    State.FAILED: frozenset({"uphold"}),
}

RINGS: dict[str, Input] = {
    "start": Input.RANG_START,
    "stop": Input.RANG_STOP,
    "watchdog": Input.RANG_WATCHDOG,
    "restart": Input.RANG_RESTART,
    "cooldown": Input.RANG_COOLDOWN,
    "forgive": Input.RANG_FORGIVE,
    "uphold": Input.RANG_UPHOLD,
}


def _kept(life: Life, state: State) -> dict[str, float]:
    return {name: at for name, at in life.timers.items() if name in TIMERS[state]}


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    seen: set[str] = set()
    for row in TABLE:
        guard = "" if row.guard is guards.always else f" [{_say(row.guard)}]"
        line = f"    {row.state.name} --> {row.to.name}: {row.input.value}{guard} / {_say(row.act)}"
        if line not in seen:
            seen.add(line)
            lines.append(line)
    return "\n".join(lines) + "\n"


def _say(function: Callable[..., object]) -> str:
    return function.__name__.replace("_", " ")
