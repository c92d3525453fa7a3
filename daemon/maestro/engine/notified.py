"""What an agent says of itself by sd_notify."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from maestro.engine.events import Notified
from maestro.engine.machine import Input
from maestro.engine.state import State
from maestro.model.unit import NotifyAccess

if TYPE_CHECKING:
    from maestro.engine.world import World


def take(world: World, event: Notified) -> None:
    name = world.owner(event.agent)
    if name is None or not world.life(name).alive:
        return
    for key, value in event.fields.items():
        if key == "STATUS":
            world.change(name, status=value)
        elif key == "NOTIFYACCESS" and value in get_args(NotifyAccess):
            world.change(name, access=value)
        elif key == "EXTEND_TIMEOUT_USEC":
            _extend(world, name, int(value) / 1e6)
    if event.fields.get("WATCHDOG") == "1":
        _rewind(world, name)
    if event.fields.get("WATCHDOG") == "trigger" and world.life(name).state is State.RUNNING:
        world.apply(name, Input.RANG_WATCHDOG)
    if event.fields.get("READY") == "1":
        ready(world, event.agent, "notify")
    if event.fields.get("STOPPING") == "1":
        world.put_to(event.agent, Input.STOP_SAID)


def _extend(world: World, name: str, seconds: float) -> None:
    """Push the running start or stop time-out out; a stop at most to `drain_max` after it began."""
    life, agent = world.life(name), world.units[name].agent
    assert agent is not None
    timers = dict(life.timers)
    for timer in ("start", "stop"):
        if timer in timers:
            at = world.now + seconds
            if timer == "stop":
                at = min(at, life.stop_began + agent.stop.drain_max)
            timers[timer] = max(timers[timer], at)
    world.change(name, timers=timers)


def _rewind(world: World, name: str) -> None:
    agent, life = world.units[name].agent, world.life(name)
    if agent and agent.watchdog and "watchdog" in life.timers:
        world.change(name, timers={**life.timers, "watchdog": world.now + agent.watchdog})


def ready(world: World, agent: str, what: str) -> None:
    name = world.owner(agent)
    if name is None or what not in world.life(name).awaits:
        return
    awaits = tuple(one for one in world.life(name).awaits if one != what)
    world.put_to(agent, Input.READY, awaits=awaits)
