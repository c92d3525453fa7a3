"""The host is short of memory: who is of the lowest priority stands still, one after the other, and goes on when that is over.

Short of memory is a host whose kernel rings, for work stands still until there is memory, and that has little available. Either
alone is not enough: an agent that runs into a limit of its own waits as well, and nobody else is to wait for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maestro.engine import treasury, words
from maestro.engine.events import Measured
from maestro.engine.freezing import PRESSURE
from maestro.engine.room import low, priority
from maestro.engine.state import COMING_UP, Life, State
from maestro.engine.table import Input
from maestro.model.amounts import bytes_in_words
from maestro.model.unit import ResourcesSection, Unit

if TYPE_CHECKING:
    from maestro.engine.world import World

SETTLE = 2.0  # seconds that a freeze has to show what it has done until there is another
QUIET = 30.0  # seconds that the host has to have memory until somebody goes on
NEXT = 5.0  # and until the next does
_SHORT_FOR = 10.0  # seconds after the kernel's word for which nothing is started


def is_frozen(life: Life) -> bool:
    return life.state is State.FROZEN and life.frozen_for == PRESSURE


def is_short(world: World) -> bool:
    """Whether nothing is to be started just now."""
    return world.now - world.room.pressed_at < _SHORT_FOR and _is_low(world.room.facts)


def _is_low(facts: Measured) -> bool:
    return 0 <= facts.available < low(facts.total)


def holds(world: World, unit: Unit) -> str:
    """Why an agent is not to be started, in words: now, or before those of its priority go on that stand still."""
    if is_short(world):
        return f"until the host has memory again ({_available(world.room.facts)})"
    first = [name for name in world.room.frozen if _priority(world, name) >= _priority(world, unit.name)]
    if not first:
        return ""
    return "for those that stand still for want of memory, are no less important, and go on first"


def _available(facts: Measured) -> str:
    return f"{bytes_in_words(facts.available)} of {bytes_in_words(facts.total)} are available"


def _priority(world: World, name: str) -> int:
    return priority(world.units.get(name))


def take(world: World, facts: Measured) -> None:
    """Have one stand still, or go on, where it is time for that."""
    room, now = world.room, world.now
    if facts.rang and _is_low(facts):
        room.pressed_at = now
        if now - room.froze_at >= SETTLE:
            _freeze_one(world)
    if not room.frozen:
        room.low_at = None
    elif _is_low(facts) or room.low_at is None:
        room.low_at = now
    elif now - room.low_at >= QUIET and now - room.pressed_at >= QUIET and now - room.thawed_at >= NEXT:
        _thaw_one(world)


# ------------------------------------------------------------------------------------------- standing still


def _freeze_one(world: World) -> None:
    """The least important. The last one that runs is left alone: nobody else would be there to end and give memory back.

    Nor does anybody stand still in the stead of a less important one that an operator has let go on.
    """
    moving = [name for name, life in world.lives.items() if name in world.units and _moves(life)]
    spared = [_priority(world, name) for name in moving if world.life(name).spared_until > world.now]
    able = [
        name
        for name in moving
        if _may_be_frozen(world, name) and all(_priority(world, name) <= one for one in spared)
    ]
    if not able or len(moving) < 2:
        return
    name = min(able, key=lambda one: (_priority(world, one), -_beyond(world, one), one))
    world.room.froze_at = world.now
    why = f"the host is short of memory ({_available(world.room.facts)})"
    world.note(name, "memory-pressure", why)
    enough = bytes_in_words(low(world.room.facts.total))
    world.apply(
        name,
        Input.PRESSED,
        f"{why}, and of those that may be frozen its priority, {_priority(world, name)}, is the lowest; goes on when "
        f"{enough} have been available for {words.span(QUIET)}, or by `maestroctl thaw {name}`",
    )


def _moves(life: Life) -> bool:
    running = life.state in COMING_UP or life.state in (State.RUNNING, State.RELOADING)
    return running and bool(life.agents) and not life.stands_still


def _may_be_frozen(world: World, name: str) -> bool:
    life, section = world.life(name), world.units[name].resources
    asked = isinstance(section, ResourcesSection) and section.on_pressure == "freeze"
    return (
        asked and life.state is State.RUNNING and not life.must_come_down and life.spared_until <= world.now
    )


def _beyond(world: World, name: str) -> int:
    """Bytes that it uses beyond what it reserves."""
    used = world.room.facts.used.get(world.life(name).agent, 0)
    return used - world.room.asks(world.units[name])


def _thaw_one(world: World) -> None:
    """Who was frozen last goes on first; unless by now there is another reason for it to stand still."""
    frozen = [
        one for one in world.room.frozen if one in world.units
    ]  # of a lost definition it is not known what it is
    if not frozen:
        return
    name = max(frozen, key=lambda one: (world.life(one).since, one))
    world.room.thawed_at = world.now
    if held := treasury.freezes(world, name):
        treasury.keep_still(world, name, held, frozen_for="")
    else:
        world.apply(name, Input.RELIEVED)
