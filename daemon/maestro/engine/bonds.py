"""What one unit's life does to others without anybody asking: bound, upheld, taken down, started by an end."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from maestro.engine import policy, verbs
from maestro.engine.blockers import is_up
from maestro.engine.events import Happening, Quit
from maestro.engine.relations import Atom
from maestro.engine.state import COMING_UP, GOING_DOWN, UP, Goal, Life, State
from maestro.model.unit import RestartSection

if TYPE_CHECKING:
    from maestro.engine.world import World

# What is started when this has happened to a unit. Giving up is a failure, too.
TRIGGERS: dict[str, tuple[str, ...]] = {
    "failed": ("on_failure",),
    "gave-up": ("on_failure", "on_give_up"),
    "completed": ("on_success",),
}
_UP = COMING_UP | UP
_BY_ITSELF = GOING_DOWN | {State.BACKOFF, State.COOLDOWN, State.FAILED, State.DEAD}


def lost(world: World, name: str, life: Life) -> str:
    """A unit that this one is bound to and that is not up, or an empty string."""
    if life.goal is Goal.UP and life.state in _UP and not life.bounce:
        for other in world.graph.of(name, Atom.BOUND):
            if not is_up(world.life(other), world.graph.phase(other, name)):
                return other
    return ""


def why_down(world: World, name: str, life: Life) -> str:
    """Why a unit that is to come up again must come down, where that is for another's sake."""
    if life.goal is Goal.UP and life.bounce:
        for other in world.graph.of(name, Atom.BOUND):
            past = world.life(other)
            if not is_up(past, world.graph.phase(other, name)):
                return f"bound to {other}, which is {past.coarse}" + (f": {past.cause}" if past.cause else "")
    return ""


def upholder(world: World, name: str) -> str:
    """A unit that is up and wants this one to be, always; or an empty string."""
    for other in world.graph.to(name, Atom.UPHOLD):
        if world.life(other).state in UP and world.life(other).goal is Goal.UP:
            return other
    return ""


def uphold(world: World, name: str, life: Life) -> None:
    """Wind the timer of the next try for a unit that is down and upheld, and unwind it where that is over."""
    wanted = bool(upholder(world, name)) and not life.aside
    if wanted and "uphold" not in life.timers:
        agent = world.units[name].agent
        rule = agent.restart if agent is not None else RestartSection()
        pause = policy.pause(rule, life.tries + 1, world.chance)
        world.change(name, timers={**life.timers, "uphold": world.now + pause})
    elif not wanted and "uphold" in life.timers:
        world.change(name, timers={key: at for key, at in life.timers.items() if key != "uphold"})


def raise_upheld(world: World, name: str) -> None:
    """It is time for the next try. One that cannot be made now is made after a rest."""
    by, life, agent = upholder(world, name), world.life(name), world.units[name].agent
    if not by:
        return
    if verbs.start_for(world, name, world.graph.tell(by, Atom.UPHOLD, name)):
        world.change(name, tries=life.tries + 1)
    elif agent is not None and not isinf(agent.restart.cooldown):
        world.change(name, timers={**life.timers, "uphold": world.now + agent.restart.cooldown})


def followed(world: World, name: str, before: Life, news: tuple[Happening, ...]) -> None:
    """After a life has changed: what its end brings down, and what it is to start."""
    life, unit = world.life(name), world.units[name].unit
    if before.state in _UP and life.state in _BY_ITSELF and not (life.halted or before.must_come_down):
        for other in list(world.graph.of(name, Atom.TAKE_DOWN)):
            verbs.take_down(world, other, world.graph.tell(name, Atom.TAKE_DOWN, other))
    for happening in news:
        for option in TRIGGERS.get(happening.kind, ()):
            world.trigger(name, tuple(map(str, getattr(unit, option))))
        if unit.essential and happening.kind in ("failed", "gave-up"):
            world.do(Quit(name, exit_code(life)))


def exit_code(life: Life) -> int:
    """What a shell would say of how the unit's process ended; 1 where it ended well, or never ran."""
    ended = life.ended
    if ended is None:
        return 1
    if ended.signal is not None:
        return 128 + ended.signal
    return ended.code or 1
