"""What a slice does to those in it beside what a requirement does: while it stands still, so do they."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maestro.engine import treasury
from maestro.engine.events import Freeze
from maestro.engine.freezing import PRESSURE
from maestro.engine.state import Life, State
from maestro.engine.table import Input

if TYPE_CHECKING:
    from maestro.engine.world import World


def frozen_above(world: World, name: str) -> str:
    """The slice that a unit is directly in, if that is frozen; then so are all slices below that."""
    above = world.graph.slice_of.get(name, "")
    return above if above and world.life(above).state is State.FROZEN else ""


def follow(world: World, name: str, life: Life) -> None:
    """Stand still with the slice, and go on with it; who was frozen by itself stays so."""
    if life.state is State.RUNNING and (above := frozen_above(world, name)):
        world.apply(name, Input.FREEZE_ASKED, f"frozen with {above}")
        world.change(name, frozen_with=above)
    elif life.state is State.FROZEN and life.frozen_for and (above := frozen_above(world, name)):
        keep_still(world, name, f"frozen with {above}")
        world.change(name, frozen_with=above)
    elif life.state is not State.FROZEN or not life.frozen_with or frozen_above(world, name):
        return
    elif held := treasury.freezes(world, name):  # by now it has used up its budget
        treasury.keep_still(world, name, held, frozen_with="")
    else:
        world.apply(name, Input.THAW_ASKED, f"thawed with {life.frozen_with}")


def keep_still(world: World, name: str, why: str) -> None:
    """It stands still with all others, or for want of memory, and from now on for another reason: it does not go on with that."""
    life = world.life(name)
    where = "for want of memory" if life.frozen_for == PRESSURE else "with all agents"
    world.change(name, was_frozen=True, frozen_for="", cause=why)
    world.do(Freeze(life.agent, True))
    world.note(name, "frozen", f"{why}, where it stood still {where}")
