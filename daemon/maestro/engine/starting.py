"""A unit that is to be started: it is, as soon as nothing holds it back; until then it says what does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from maestro.engine import admission, blockers, treasury
from maestro.engine.events import Happening
from maestro.engine.room import Wait
from maestro.engine.state import Life
from maestro.engine.table import Input

if TYPE_CHECKING:
    from maestro.engine.world import World


def try_start(world: World, name: str, life: Life) -> None:
    hold, short = world.hold_of(name), treasury.holds(world, name, life)
    ordered = bool(hold) and not life.unordered
    world.room.unkeep(name)
    wait = None if short or ordered else admission.wait(world, name, life)
    before = world.room.line.get(name)
    if not (short or ordered or wait):
        world.room.give(world.room.wants(world.units[name]))
        world.apply(name, Input.GO)
        return
    if wait is None:
        world.room.leave(name)
    elif wait != before:
        world.room.stand(name, wait)
    if wait is not None and not wait.words:
        return  # what the host has left is looked at first
    now = _told(world, life, hold, short, wait)
    if now != life:
        world.set_life(name, now)
        is_news = blockers.is_news(life, now, len(hold)) if wait is None else admission.is_other(before, wait)
        if is_news:
            world.say(Happening(unit=name, kind="waiting", words=now.cause, state="waiting"))
        if blockers.face(now) != blockers.face(life):
            world.stir(name)
    world.book.conclude(name)


def _told(world: World, life: Life, hold: blockers.Hold, short: str, wait: Wait | None) -> Life:
    """The life of one that waits, with the reason."""
    if wait is not None:
        return replace(life, blocked_by=(), hopeless=wait.never, cause=wait.words)
    return replace(
        life,
        blocked_by=tuple(one.unit for one in hold.first(blockers.LISTED)),
        hopeless=bool(hold.hopeless or short),
        cause="; ".join(filter(None, (short, blockers.tell(hold) if hold else ""))),
    )
