"""After the manager died: what was committed, compared with what the keeper has, agent by agent, so that every thread is taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maestro.engine import acts, bonds
from maestro.engine.events import Adopt, Ended, Happening, Looked, Probe, Quit, Send
from maestro.engine.machine import Input
from maestro.engine.state import Goal, Life, State

if TYPE_CHECKING:
    from maestro.engine.world import World


def take_up(world: World, seen: Looked) -> None:
    """Every agent ends up known: running, ended with its true status, looked for, or killed as one too many."""
    for name in sorted(world.lives):
        life = world.life(name)
        if life.alive and name in world.units:
            _compare(world, name, life, seen)
    for agent, process in sorted(seen.running.items()):
        if world.owner(agent) is None or not world.life(agent.rpartition("#")[0]).alive:
            _stray(world, agent, *process)
    for name, unit in world.units.items():
        world.stir(name)
        if (
            unit.unit.essential
            and not seen.fresh
            and world.life(name).state in (State.FAILED, State.COOLDOWN)
        ):
            world.do(
                Quit(name, bonds.exit_code(world.life(name)))
            )  # the last manager died of ending, perhaps


def _compare(world: World, name: str, life: Life, seen: Looked) -> None:
    if life.agent in seen.ended:
        world.ended(seen.ended[life.agent])
    elif life.agent in seen.running:
        _resume(world, name, life, *seen.running[life.agent])
    elif seen.fresh:
        world.do(Adopt(life.agent, life.pid, life.start))
        _probe_again(world, name)
    elif life.state is State.SPAWNING or (
        life.state is State.STOPPING and not life.pid and life.ended is None
    ):
        world.do(*acts.order(name, life))  # the intent was committed, the deed may not have left
    elif life.ended is not None:
        world.emptied(life.agent)
    else:
        world.ended(Ended(agent=life.agent, at=world.now))


def _resume(world: World, name: str, life: Life, pid: int, start: int) -> None:
    if life.state is State.SPAWNING:
        world.put_to(life.agent, Input.SPAWNED, pid=pid, start=start)
    _probe_again(world, name)
    if life.state is State.STOPPING and life.sent is not None:
        world.do(life.sent)  # committed, and perhaps not carried out: the keeper knows


def _probe_again(world: World, name: str) -> None:
    life = world.life(name)
    if "probe" in life.awaits and life.state is not State.STOPPING:
        world.do(Probe(name, life.agent))


def _stray(world: World, agent: str, pid: int, start: int) -> None:
    """An agent that runs and was never committed, or no longer is: the disk was full, or the store was lost."""
    name, _, number = agent.rpartition("#")
    life = world.life(name)
    if life.alive or life.agent == agent:  # a second copy, or one that was set aside
        text = f"killing {agent} (pid {pid}): it is not the one that counts"
        world.say(Happening(unit=name, kind="stray", words=text, agent=agent))
        world.do(Send(agent, "KILL", True))
        return
    unit = world.know(name)
    if unit is None or unit.agent is None:  # what runs is not ended because we forgot why
        text = f"{agent} (pid {pid}) runs, and there is no unit {name} to hold it by: it is left alone"
        world.say(Happening(unit=name, kind="stray", words=text, agent=agent))
        return
    found = Life(
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


def never_began(life: Life, ended: Ended) -> bool:
    """The keeper died between our order and its fork, as far as can be found: so it is ordered again."""
    return life.state is State.SPAWNING and not life.pid and ended.code is None and ended.signal is None
