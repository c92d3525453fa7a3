"""What a unit's life becomes by an input, and what its timers are: `table` walked through."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from maestro.engine import guards
from maestro.engine.events import Deed, Freeze, Send
from maestro.engine.guards import Guard
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import Life, State
from maestro.engine.table import IGNORED, TABLE, VERDICTS, Input, Row


class Impossible(Exception):
    """A bug of ours: something came that cannot come in this state."""


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
    life, before = outcome.life, scene.life
    if to is not before.state:
        life = replace(life, since=scene.now, asked=scene.now if to is State.WAITING else life.asked)
    cut: tuple[Deed, ...] = ()
    if before.state is State.RELOADING and to is not State.RELOADING and before.errand is not None:
        cut = (Send(before.errand.agent, "KILL", True),)  # what a reload still runs means nothing any more
        life = life if life.errand is not before.errand else replace(life, errand=None)
    if before.state is State.FROZEN and to is not State.FROZEN:
        life = replace(life, frozen_with="")
    if to is not before.state and before.stilled:
        life = replace(life, stilled=False, stilled_by=(), start_left=None)
    stood_still = before.stands_still and scene.unit.agent is not None
    if stood_still and not (to is State.FROZEN or life.stilled):
        cut = (Freeze(before.agent, False),)  # whatever comes next, it must be able to hear of it
    life = replace(life, state=to, timers=_kept(life, to))
    return replace(outcome, life=life, deeds=(*cut, *outcome.deeds))


# Timers that make sense in a state; the others are unwound by entering it.
TIMERS: dict[State, frozenset[str]] = {
    State.DEAD: frozenset({"uphold"}),
    State.WAITING: frozenset(),
    State.START_PRE: frozenset({"command"}),
    State.SPAWNING: frozenset({"start"}),
    State.STARTING: frozenset({"start", "pid"}),
    State.NEXT: frozenset({"stop"}),
    State.START_POST: frozenset({"command"}),
    State.RUNNING: frozenset({"watchdog", "forgive", "runtime"}),
    State.RELOADING: frozenset({"watchdog", "forgive", "runtime", "command"}),
    State.FROZEN: frozenset({"forgive", "runtime"}),
    State.EXITED: frozenset(),
    State.STOP_COMMAND: frozenset({"command"}),
    State.STOPPING: frozenset({"stop"}),
    State.STOP_POST: frozenset({"command"}),
    State.BACKOFF: frozenset({"restart"}),
    State.COOLDOWN: frozenset({"cooldown"}),
    State.FAILED: frozenset({"uphold"}),
}

RINGS: dict[str, Input] = {
    "start": Input.RANG_START,
    "stop": Input.RANG_STOP,
    "command": Input.RANG_COMMAND,
    "runtime": Input.RANG_RUNTIME,
    "watchdog": Input.RANG_WATCHDOG,
    "restart": Input.RANG_RESTART,
    "cooldown": Input.RANG_COOLDOWN,
    "forgive": Input.RANG_FORGIVE,
}


_NO_TIMERS: dict[str, float] = {}  # of most that run; a change makes another


def _kept(life: Life, state: State) -> dict[str, float]:
    return {name: at for name, at in life.timers.items() if name in TIMERS[state]} or _NO_TIMERS


def diagram() -> str:
    """The table as a Mermaid state diagram. The verdicts are drawn once, behind a state of their own."""
    lines = dict.fromkeys(map(_arrow, TABLE))
    verdicts = [f"    {OVER} --> {to.name}: {_question(guard)}/ {_say(act)}" for guard, to, act in VERDICTS]
    return "\n".join(["stateDiagram-v2", *lines, *verdicts]) + "\n"


OVER = "OVER"  # in the diagram: nothing of it runs any more


def _arrow(row: Row) -> str:
    if (row.guard, row.to, row.act) in VERDICTS:
        return f"    {row.state.name} --> {OVER}: {row.input.value}"
    return (
        f"    {row.state.name} --> {row.to.name}: {row.input.value} {_question(row.guard)}/ {_say(row.act)}"
    )


def _question(guard: Guard) -> str:
    return "" if guard is guards.always else f"[{_say(guard)}] "


def _say(function: Callable[..., object]) -> str:
    return function.__name__.replace("_", " ")
