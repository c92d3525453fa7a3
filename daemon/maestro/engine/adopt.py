"""After the manager died: what was committed, compared with what the keeper has, agent by agent, so that every thread is taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from maestro.engine import acts, bonds, errand_news, hearing, stopping, treasury
from maestro.engine.events import (
    Adopt,
    Ended,
    FindMain,
    Freeze,
    Happening,
    Looked,
    Probe,
    Quit,
    Send,
    Spawned,
    Throttle,
)
from maestro.engine.state import COMING_UP, Goal, Life, State
from maestro.engine.table import Input

if TYPE_CHECKING:
    from maestro.engine.world import World


def take_up(world: World, seen: Looked) -> None:
    """Every agent ends up known: running, ended with its true status, looked for, or killed as one too many."""
    committed = {name: life.agent for name, life in world.lives.items()}
    for name in sorted(world.lives):
        before = world.life(name)
        if before.alive and name in world.units:
            _compare_errand(world, name, before, seen)
            if not before.bare:
                _compare(world, name, world.life(name), seen)
    _catch_up(world, committed, seen)
    for agent, process in sorted(seen.running.items()):
        if world.owner(agent) is None or not world.life(agent.rpartition("#")[0]).alive:
            _stray(world, agent, *process)
    treasury.attend_all(world)
    for name, unit in world.units.items():
        world.stir(name)
        over = world.life(name).state in (State.FAILED, State.COOLDOWN)
        if unit.unit.essential and not seen.fresh and over:  # the last manager died of ending, perhaps
            world.do(Quit(name, bonds.exit_code(world.life(name))))


def _catch_up(world: World, committed: dict[str, str], seen: Looked) -> None:
    """Restarts that the last manager ordered and did not live to commit: one may run already, and others have ended before it."""
    taken = dict(committed)
    while True:
        world.settle()
        world.skip_empty_pauses()
        ahead = {
            name: life.agent
            for name, life in world.lives.items()
            if life.state is State.SPAWNING and life.agent in seen.ended and taken.get(name) != life.agent
        }
        if not ahead:
            return
        taken |= ahead
        for name in sorted(ahead):
            hearing.ended(world, seen.ended[ahead[name]])


def _compare_errand(world: World, name: str, life: Life, seen: Looked) -> None:
    """The command around the main process that was ordered last: it goes on, has ended, or never began."""
    errand = life.errand
    if errand is None:
        return
    if errand.agent in seen.ended:
        errand_news.take(world, name, seen.ended[errand.agent])
    elif errand.agent in seen.running:
        pid, start = seen.running[errand.agent]
        errand_news.take(world, name, Spawned(errand.agent, pid, start))
        if life.state is State.STOPPING and life.bare:
            world.do(*stopping.send_again(world.life(name)))
    elif seen.fresh:
        world.do(Adopt(errand.agent, errand.pid, errand.start))
    else:
        gone = replace(errand.ended, left=()) if errand.ended else Ended(agent=errand.agent, at=world.now)
        errand_news.take(world, name, gone)


def _compare(world: World, name: str, life: Life, seen: Looked) -> None:
    if life.agent in seen.ended:
        _probe_again(world, name)
        hearing.ended(world, seen.ended[life.agent])
        _freeze_again(world, name)
        world.do(*stopping.send_again(world.life(name)))  # to what it has left
    elif life.agent in seen.running:
        _resume(world, name, life, *seen.running[life.agent])
    elif seen.fresh:
        world.do(Adopt(life.agent, life.pid, life.start))
        _freeze_again(world, name)
        _probe_again(world, name)
    elif life.state is State.SPAWNING or (
        life.state is State.STOPPING and not life.pid and life.ended is None
    ):
        world.do(*acts.order(name, life))  # the intent was committed, the deed may not have left
        if life.sent is not None:
            world.do(life.sent)
    elif life.ended is not None:
        hearing.emptied(world, life.agent, for_good=False)
    else:
        hearing.ended(world, Ended(agent=life.agent, at=world.now))


def _resume(world: World, name: str, life: Life, pid: int, start: int) -> None:
    if life.state is State.SPAWNING:
        world.put_to(life.agent, Input.SPAWNED, pid=pid, start=start)
    _probe_again(world, name)
    _freeze_again(world, name)
    world.do(*stopping.send_again(life))  # committed, and perhaps not carried out: the keeper knows


def _freeze_again(world: World, name: str) -> None:
    """It does no harm to have stand still what does, or to have go on what goes on."""
    life = world.life(name)
    if life.was_frozen:
        world.do(Freeze(life.agent, life.stands_still))
    if life.throttled:
        world.do(Throttle(life.agent, True))


def _probe_again(world: World, name: str) -> None:
    life = world.life(name)
    if "probe" in life.awaits and life.state is not State.STOPPING:
        world.do(Probe(name, life.agent))
    if "pid" in life.awaits and life.state is State.STARTING:
        world.do(FindMain(name, life.agent))


def _stray(world: World, agent: str, pid: int, start: int) -> None:
    """An agent that runs and was never committed, or no longer is: the disk was full, or the store was lost."""
    name, _, number = agent.rpartition("#")
    life = world.life(name)
    is_later = number.isdigit() and int(number) > life.spawns and _is_but_ordered(life)
    # A second copy, one set aside, or a past command.
    if (life.alive and not is_later) or life.agent == agent or "/" in number:
        text = f"killing {agent} (pid {pid}): it is not the one that counts"
        world.say(Happening(unit=name, kind="stray", words=text, agent=agent))
        world.do(Send(agent, "KILL", True))
        return
    unit = world.know(name)
    if unit is None or unit.agent is None:  # what runs is not ended because we forgot why
        text = f"{agent} (pid {pid}) runs, and there is no unit {name} to hold it by: it is left alone"
        world.say(Happening(unit=name, kind="stray", words=text, agent=agent))
        return
    found = Life(  # which also takes back an order that was to be given
        state=State.RUNNING,
        goal=Goal.UP,
        agent=agent,
        pid=pid,
        start=start,
        spawns=max(life.spawns, int(number) if number.isdigit() else 0),
        ready_at=world.now,
        since=world.now,
        completed=True,
        cause=f"found running as pid {pid}; its history is lost",
    )
    world.set_life(name, found)
    world.say(Happening(unit=name, kind="found", words=found.cause, agent=agent, state=found.coarse.value))


def _is_but_ordered(life: Life) -> bool:
    """What runs beside it was ordered later, by a manager whose disk refused, of which the ends before it are forgotten."""
    return life.state in COMING_UP and not life.pid and life.ended is None
