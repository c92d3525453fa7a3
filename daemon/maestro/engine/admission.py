"""Whether the start of an agent fits: into what is left of the host and of its slices, and behind those that wait already.

An agent asks for what it reserves (`memory_min`, `memory_low`). One that reserves nothing fits always, unless the host is short of
memory, or a slice has no more tasks. Facts are asked for when a start needs them, and again while somebody waits; else never.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from msgspec.structs import replace

from maestro.engine import pressure
from maestro.engine.events import Measured
from maestro.engine.freezing import EMERGENCY
from maestro.engine.room import AGAIN, PRESSURE, SOON, Key, Rank, Room, Wait, priority
from maestro.engine.state import Life, State
from maestro.model import slices
from maestro.model.amounts import bytes_in_words
from maestro.model.unit import Unit

if TYPE_CHECKING:
    from maestro.engine.world import World

_HELD = f"waits until {EMERGENCY} is over"
_SAID_FOR = 10.0  # seconds for which the numbers of a reason are left as they are: each change is committed


def take(world: World, facts: Measured) -> None:
    """Figures have come: those in line are asked anew, the first of them first."""
    room = world.room
    running = {life.agent: unit for name, unit in room.asking.items() if (life := world.life(name)).alive}
    # One that is between two runs keeps its place: else a lesser one would take it, and it would wait for that.
    paused = [unit for name, unit in room.asking.items() if world.life(name).state is State.BACKOFF]
    room.take(facts, world.now, running, paused)
    pressure.take(world, facts)
    world.ask_anew(in_line(room))


def in_line(room: Room) -> list[str]:
    return sorted(room.line, key=lambda name: room.line[name].rank)


def followed(world: World, name: str, before: Life, life: Life) -> None:
    """A life has changed: it may have left the line, have given back what it used, or stand still."""
    room = world.room
    if life.state is not State.WAITING and room.line:
        world.ask_anew(sorted(room.leave(name)))
    if before.alive and not life.alive:
        room.at = -inf
        if room.line:
            room.wake(world.now + SOON)
    if pressure.is_frozen(life):
        room.frozen.add(name)
    elif room.frozen:
        room.frozen.discard(name)


def wound(world: World) -> None:
    """While somebody waits, or stands still for it, there are to be facts again; not for those whom no facts would let start."""
    room = world.room
    waits = not room.is_held and any(not one.never for one in room.line.values())
    if room.due is None and (room.frozen or waits):
        room.wake(world.now + AGAIN)


def hold_all(world: World, still: bool) -> None:
    """An operator has all agents stand still: nothing is started, either, until that is over."""
    world.room.is_held = still
    if not still:
        world.ask_anew(in_line(world.room))


def wait(world: World, name: str, life: Life) -> Wait | None:
    """What a start, which nothing else holds back, has to wait for; None: nothing."""
    room, unit = world.room, world.units[name]
    if unit.agent is None:
        return None
    if room.is_held:  # its start time-out would be over before it is let begin
        return Wait(rank=(-priority(unit), life.asked or 0.0, name), words=_HELD)
    if not room.is_measured:
        return None
    if not (room.line or room.frozen or pressure.is_short(world) or _takes_of_something(room, unit)):
        return None
    rank = -priority(unit), life.asked or 0.0, name
    if not room.knows(unit, world.now):
        world.measure()
        return room.line.get(name) or Wait(rank=rank)
    found = _judge(world, unit, rank)
    return found and _with_words_of_before(found, room.line.get(name))


def _takes_of_something(room: Room, unit: Unit) -> bool:
    return unit.name in room.asking or not room.limited.keys().isdisjoint(slices.chain(unit))


def _judge(world: World, unit: Unit, rank: Rank) -> Wait | None:
    room = world.room
    wants = room.wants(unit)
    for key, amount in wants.items():
        most = room.most(key)
        if most is not None and amount > most:
            return Wait(rank=rank, words=_never(unit, key, amount, most), never=True, said=world.now)
    lesser = [name for name in room.kept if priority(world.units[name]) < priority(unit)]
    short = [key for key, amount in wants.items() if room.lacks(key, amount, lesser)]
    pressed = pressure.holds(world, unit)
    behind = {key: first for key in (PRESSURE, *wants) if (first := room.ahead(key, rank))}
    if not (short or pressed or behind):
        return None
    said = [pressed] if pressed else []
    said += [_short_of(room, key, wants[key]) for key in short]
    said += [f"for {_of(key)}, which another gets first" for key in behind if key not in short][: not said]
    first = next(iter(behind.values()), "")
    if first:
        said[-1] += f"; next in line: {_named(world, unit, first)}"
    needs = frozenset((*short, *behind, *((PRESSURE,) if pressed else ())))
    return Wait(rank=rank, needs=needs, words=f"waits {'; and '.join(said)}", behind=first, said=world.now)


def _with_words_of_before(found: Wait, before: Wait | None) -> Wait:
    """Numbers change each second, and it would be committed."""
    if before is None or is_other(before, found) or before.behind != found.behind:
        return found
    if found.said - before.said >= _SAID_FOR:
        return found
    return replace(found, words=before.words, said=before.said)


def is_other(before: Wait | None, now: Wait) -> bool:
    """Whether it waits for something else than before, not only for another amount, or behind another."""
    return before is None or not before.words or (before.needs, before.never) != (now.needs, now.never)


# ------------------------------------------------------------------------------------------- words


def _never(unit: Unit, key: Key, amount: int, most: int) -> str:
    slice_ = key[1]
    option = "memory_min" if "resources.memory_min" in unit.origins else "memory_low"
    asks = f"it asks for {bytes_in_words(amount)} of memory (resources.{option})"
    if not slice_:
        return f"cannot fit: {asks}, and the host has {bytes_in_words(most)} for agents"
    return f"cannot fit: {asks}, and {slice_} has {bytes_in_words(most)} (its memory_max)"


def _short_of(room: Room, key: Key, amount: int) -> str:
    """`for memory: it asks for 2G, and 1.1G of the host is free`."""
    kind, slice_ = key
    left = max(0, room.left[key])
    if kind == "tasks":
        most = room.most(key) or 0
        return f"for tasks: {slice_} has {most - left} of {most} (its tasks_max)"
    return f"for memory: it asks for {bytes_in_words(amount)}, and {bytes_in_words(left)} of {slice_ or 'the host'} is free"


def _of(key: Key) -> str:
    kind, slice_ = key
    return f"{'memory' if key == PRESSURE else kind} of {slice_ or 'the host'}"


def _named(world: World, unit: Unit, other: str) -> str:
    """Who comes first, for those who see this unit: a tenant does not see what is not its own."""
    known = world.units[other]
    rank = f"priority {priority(known)}"
    return f"{other} ({rank})" if sees(world, unit, known) else f"another ({rank})"


def sees(world: World, unit: Unit, other: Unit) -> bool:
    """Whether who may see this unit, because a slice is theirs, sees the other, too."""
    owned = [
        name
        for name in slices.chain(unit)
        if name in world.units and (world.units[name].slice.owner or world.units[name].slice.owner_group)
    ]
    return not owned or owned[-1] in slices.chain(other)
