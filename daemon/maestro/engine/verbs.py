"""What start, stop, restart and reload change: goals, and the jobs that wait for them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING

from maestro.engine.events import Asked
from maestro.engine.graph import tell_cycle
from maestro.engine.jobs import MERGE, JobState, Merge
from maestro.engine.machine import Input
from maestro.engine.state import ALIVE, Goal, State
from maestro.engine.step import Refusal

if TYPE_CHECKING:
    from maestro.engine.world import World


def take(world: World, asked: Asked) -> None:
    """Carry one request out on all its units; those that can't be are refused one by one, each with its reason."""
    VERBS[asked.verb](world, asked)


def _open_startable(world: World, asked: Asked) -> list[str]:
    """Jobs for those that may start, and all that they pull in on its way up."""
    names = [name for name in asked.units if _may_start(world, name)]
    for name in names:
        _open(world, name, asked)
    for name in _needed(world, names, apart_from=set(names)):
        _raise(world, name, by_hand=False)
    return names


def _start(world: World, asked: Asked) -> None:
    names = _open_startable(world, asked)
    for name in names:
        _raise(world, name, by_hand=True)
    _conclude(world, names)


def _stop(world: World, asked: Asked) -> None:
    names = [name for name in asked.units if _is_known(world, name)]
    for name in names:
        _open(world, name, asked)
    for name in (*names, *world.graph.brought_down(names)):
        _lower(world, name)
    _conclude(world, names)


def _restart(world: World, asked: Asked) -> None:
    names = _open_startable(world, asked)
    for name in names:
        _bounce(world, name)
    for name in world.graph.brought_down(names):
        if world.life(name).state in ALIVE and world.life(name).goal is Goal.UP:
            _bounce(world, name)
    _conclude(world, names)


def _reload(world: World, asked: Asked) -> None:
    for name in asked.units:
        if not _is_known(world, name):
            continue
        agent = world.units[name].agent
        if agent is None or agent.reload_signal is None:
            hint = f"set agent.reload_signal, or use: maestroctl restart {name}"
            _refuse(world, name, "no-reload", f"cannot reload {name}: its unit names no reload_signal", hint)
        elif world.life(name).state is not State.RUNNING:
            state = world.life(name).coarse
            _refuse(
                world, name, "not-running", f"cannot reload {name}: it is {state}", f"maestroctl start {name}"
            )
        else:
            job = world.open_job(name, "reload", asked.request) if world.job_of(name) is None else None
            world.apply(name, Input.RELOAD_ASKED)
            if job is not None:
                world.close_job(job, JobState.DONE, f"SIG{agent.reload_signal} sent")


VERBS: dict[str, Callable[[World, Asked], None]] = {
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "reload": _reload,
}


# ------------------------------------------------------------------------------------------- goals


def _raise(world: World, name: str, *, by_hand: bool) -> None:
    """Make a unit's goal up. A start by hand also ends a pause or a cool-down, and forgets what went wrong before."""
    life = world.life(name)
    if life.state is State.STOPPING and not life.halted:
        world.set_goal(
            name, Goal.UP, bounce=True
        )  # going down by a fault: come up again whatever the policy says
        return
    world.set_goal(name, Goal.UP, bounce=life.bounce and life.goal is Goal.UP)
    if life.state in (State.DEAD, State.FAILED, State.COOLDOWN) or (
        by_hand and life.state in (State.BACKOFF, State.WAITING)
    ):
        world.apply(name, Input.START_ASKED)


def raise_required(world: World, name: str) -> None:
    """An automatic restart starts what the unit requires too, where that has ended by itself: as in systemd."""
    for required in world.graph.requires.get(name, ()):
        if world.know(required) is not None and world.life(required).state is State.DEAD:
            _raise(world, required, by_hand=False)


def _lower(world: World, name: str) -> None:
    if name in world.units and world.life(name).goal is Goal.UP:
        world.set_goal(name, Goal.DOWN)


def _bounce(world: World, name: str) -> None:
    if world.life(name).state in ALIVE:
        world.set_goal(name, Goal.UP, bounce=True)
    else:
        _raise(world, name, by_hand=True)


# ------------------------------------------------------------------------------------------- jobs


def _open(world: World, name: str, asked: Asked) -> None:
    pending = world.job_of(name)
    if pending is not None:
        if MERGE.get((pending.verb, asked.verb)) is Merge.JOIN:
            world.join_job(pending, asked.request)
            return
        world.close_job(pending, JobState.CANCELED, f"superseded by {asked.verb}")
    world.open_job(name, asked.verb, asked.request)


def _conclude(world: World, names: Iterable[str]) -> None:
    """Jobs that find their unit where they want it end at once; the others when the unit gets there."""
    world.settle()
    for name in names:
        world.conclude(name)


# ------------------------------------------------------------------------------------------- refusals


def _needed(world: World, names: list[str], apart_from: Container[str] = ()) -> list[str]:
    """All that these pull in, loaded; unknown names among `wants` are left out."""
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in seen or world.know(name) is None:
            continue
        seen.add(name)
        todo.extend((*world.graph.requires[name], *world.graph.wants[name]))
    return sorted(name for name in seen if name not in apart_from)


def _is_known(world: World, name: str) -> bool:
    if world.know(name) is not None:
        return True
    _refuse(
        world,
        name,
        "no-such-unit",
        f"no unit {name}",
        "maestroctl list shows the units; maestroctl daemon-reload looks for new files",
    )
    return False


def _may_start(world: World, name: str) -> bool:
    if not _is_known(world, name):
        return False
    needed = _needed(world, [name])
    for unit in needed:
        for required in world.graph.requires[unit]:
            if world.know(required) is None:
                _refuse(
                    world,
                    name,
                    "missing-requirement",
                    f"cannot start {name}: {unit} requires {required}, which does not exist or does not load",
                )
                return False
    cycle = world.graph.cycle(needed)
    if cycle:
        _refuse(
            world,
            name,
            "cycle",
            f"cannot start {name}: the order runs in a circle: {tell_cycle(cycle)}",
            "take one of these lines out",
        )
        return False
    return True


def _refuse(world: World, name: str, code: str, words: str, hint: str = "") -> None:
    world.refuse(name, Refusal(code, words, hint))
