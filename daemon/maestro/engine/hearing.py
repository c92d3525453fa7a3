"""What the keeper and the agents say, put to the unit that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from msgspec.structs import replace

from maestro.engine import acts, errand_news, memory, notified, policy, treasury
from maestro.engine.blockers import NEVER_SEEN
from maestro.engine.events import (
    AboutAgent,
    Acknowledge,
    CannotSpawn,
    Emptied,
    Ended,
    NoMain,
    Notified,
    OutOfMemory,
    ProbeAnswered,
    Skipped,
    Spawned,
)
from maestro.engine.state import Life, Result, State
from maestro.engine.table import Input

if TYPE_CHECKING:
    from maestro.engine.world import World

NO_PROGRAM = 203  # systemd's exit status of what could not be executed


def hear(world: World, event: AboutAgent) -> None:
    name = world.owner(event.agent)
    if name is not None and world.life(name).agent != event.agent:
        errand_news.take(world, name, event)
        return
    match event:
        case Spawned():
            world.put_to(event.agent, Input.SPAWNED, pid=event.pid, start=event.start)
            notified.main_named(world, event.agent)
        case CannotSpawn():
            _cannot_spawn(world, name, event)
        case Skipped():
            facts = {"result": Result.ASSERT} if event.refused else {}
            world.put_to(event.agent, Input.REFUSED if facts else Input.SKIPPED, event.why, **facts)
        case Ended():
            ended(world, event)
        case Emptied():
            emptied(world, event.agent, for_good=False)
        case Notified():
            notified.take(world, event)
        case ProbeAnswered():
            notified.ready(world, event.agent, "probe")
        case NoMain():
            notified.main_missing(world, event)
        case _:
            assert_never(event)


def _cannot_spawn(world: World, name: str | None, event: CannotSpawn) -> None:
    if name is None or world.life(name).bare:
        return  # it is told again
    agent = world.units[name].agent
    assert agent is not None
    if policy.command(agent, world.life(name)).is_forgiven:
        ended(world, Ended(agent=event.agent, code=NO_PROGRAM, at=world.now))
    else:
        facts = {"result": Result.RESOURCES, "fault": event.why, "bare": True}
        world.put_to(event.agent, Input.CANNOT_SPAWN, event.why, **facts)


def ended(world: World, event: Ended) -> None:
    name = world.owner(event.agent)
    life = world.life(name) if name is not None else NEVER_SEEN
    if name is None or not life.alive:
        return
    if _is_of_its_follower(life, event):
        notified.main_named(world, event.agent)
        life = world.life(name)
    if life.ended is not None:  # told again: what matters is what is left of it by now
        world.change(name, left=event.left)
        if not event.left:
            emptied(world, event.agent, for_good=False)
        return
    if _never_began(life, event):
        world.do(Acknowledge(event.agent), *acts.order(name, life))
        return
    agent = world.units[name].agent
    assert agent is not None
    treasury.ended(world, name, event)
    life = replace(world.life(name), ended=event, left=event.left)
    if policy.goes_on(agent, life):
        world.set_life(name, life)
        world.apply(name, Input.FORKED)
        return
    if memory.hit_main(life, event, world.now) and life.result is Result.SUCCESS:
        life = replace(life, result=Result.OOM_KILL, fault=life.oom)
    gone = not event.left or agent.stop.kill_mode == "process"
    world.set_life(name, replace(life, result=policy.judge(agent, life, event), bare=gone))
    world.apply(name, Input.GONE if gone else Input.ENDED)


def out_of_memory(world: World, event: OutOfMemory) -> None:
    """What its policy says is done, unless it was over before that was heard of."""
    if event.unit not in world.units or not world.life(event.unit).alive:
        return
    if not event.why:
        world.change(event.unit, oom_kills=event.kills)
        return
    why = f"killed for want of memory: {event.why}"
    world.change(event.unit, oom=why, oom_at=world.now, oom_kills=event.kills)
    world.apply(event.unit, Input.OUT_OF_MEMORY, why)


def emptied(world: World, agent: str, *, for_good: bool = True) -> None:
    """Nothing of an agent's tree is left. One that forks may have left what only its pid file can tell: it has a while for that."""
    name = world.owner(agent)
    life = world.life(name) if name is not None else NEVER_SEEN
    if name is None or not life.alive or life.ended is None or life.bare:
        return
    if not for_good and "pid" in life.awaits and life.state is State.STARTING:
        world.change(name, left=(), timers={"pid": world.now + acts.NOBODY_FOR, **life.timers})
        return
    unit = world.units[name].agent
    assert unit is not None
    world.change(name, left=(), result=policy.judge(unit, life, life.ended), bare=True)
    world.apply(name, Input.GONE)


def _is_of_its_follower(life: Life, ended: Ended) -> bool:
    """Not the end of the first process told again, but of the one that the keeper follows: of which a manager had died before it knew."""
    is_another = life.ended is not None and ended.at != life.ended.at
    return is_another and "pid" in life.awaits and (ended.code, ended.signal) != (None, None)


def _never_began(life: Life, ended: Ended) -> bool:
    """The keeper died between our order and its fork, as far as can be found: so it is ordered again."""
    return life.state is State.SPAWNING and not life.pid and ended.code is None and ended.signal is None
