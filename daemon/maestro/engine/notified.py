"""What an agent says of itself by sd_notify."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from maestro.engine import policy
from maestro.engine.blockers import NEVER_SEEN
from maestro.engine.events import NoMain, Notified
from maestro.engine.state import GOING_DOWN, Result, State
from maestro.engine.table import Input
from maestro.model.unit import NotifyAccess

if TYPE_CHECKING:
    from maestro.engine.world import World


_LAG = 0.1  # seconds that a timer of ours may ring late without anything being amiss
_WATCHED = (State.RUNNING, State.RELOADING)


def take(world: World, event: Notified) -> None:
    name = world.owner(event.agent)
    if name is None or not world.life(name).alive:
        return
    for key, value in event.fields.items():
        if key in _SAID:
            _SAID[key](world, name, value)
    if event.fields.get("RELOADING") == "1" and _is_about_this_reload(world, name, event.fields):
        world.put_to(event.agent, Input.RELOAD_SAID)
    if event.fields.get("READY") == "1":
        ready(world, event.agent, "notify")
    if event.fields.get("STOPPING") == "1":
        world.put_to(event.agent, Input.STOP_SAID)


def _extend(world: World, name: str, seconds: float) -> None:
    """Push the time-out that runs out: of a start, a reload, a run or a stop; a stop's at most to `drain_max` after it began."""
    life, agent = world.life(name), world.units[name].agent
    assert agent is not None
    timers = dict(life.timers)
    for timer in ("start", "command", "runtime", "stop"):
        if timer in timers:
            at = world.now + seconds
            if life.state in GOING_DOWN:
                at = min(at, life.stop_began + agent.stop.drain_max)
            timers[timer] = max(timers[timer], at)
    world.change(name, timers=timers)


def _rewind(world: World, name: str) -> None:
    agent, life = world.units[name].agent, world.life(name)
    if agent and (period := policy.watchdog(agent, life)) and life.state in _WATCHED:
        world.change(name, timers={**life.timers, "watchdog": world.now + period})


def was_deaf(world: World, name: str, at: float) -> bool:
    """Whether a watchdog that was due then rings so late that it was we who did not listen; its time begins anew then."""
    agent = world.units[name].agent
    period = policy.watchdog(agent, world.life(name)) if agent else 0.0
    late = world.now - at > max(_LAG, period / 10)
    if late:
        _rewind(world, name)
    return late


def _is_about_this_reload(world: World, name: str, fields: dict[str, str]) -> bool:
    """RELOADING=1 that was said before the signal of our request came is no answer to it."""
    life = world.life(name)
    if life.state is not State.RELOADING:
        return life.state is State.RUNNING
    began = int(fields.get("MONOTONIC_USEC", "0")) >= int(life.reload_at * 1e6)
    return began or "reloading" not in life.awaits


def main_named(world: World, agent: str) -> None:
    """The keeper follows the process that the pid file names."""
    name = world.owner(agent)
    if name is not None and "pid" in world.life(name).awaits:
        world.change(name, ended=None, left=(), pid_fault="")
        ready(world, agent, "pid")


def main_missing(world: World, event: NoMain) -> None:
    """A pid file is looked at again; without one, nothing will tell it any more."""
    name = world.owner(event.agent)
    life = world.life(name) if name is not None else NEVER_SEEN
    if name is None or life.state is not State.STARTING or "pid" not in life.awaits:
        return
    world.change(name, pid_fault=event.why, cause=f"waits for its main process: {event.why}")
    agent = world.units[name].agent
    assert agent is not None
    if agent.pid_file is None:
        gone = not life.left or agent.stop.kill_mode == "process"
        world.change(name, result=Result.PROTOCOL, bare=gone)
        world.apply(name, Input.GONE if gone else Input.ENDED)


def ready(world: World, agent: str, what: str) -> None:
    name = world.owner(agent)
    if name is None or what not in world.life(name).awaits:
        return
    awaits = tuple(one for one in world.life(name).awaits if one != what)
    world.put_to(agent, Input.READY, awaits=awaits)


def _watchdog(world: World, name: str, value: str) -> None:
    if value == "1":
        _rewind(world, name)
    elif value == "trigger" and world.life(name).state in _WATCHED:
        world.apply(name, Input.RANG_WATCHDOG)


def _watchdog_usec(world: World, name: str, value: str) -> None:
    if int(value):
        world.change(name, watchdog=int(value) / 1e6)
        _rewind(world, name)


def _access(world: World, name: str, value: str) -> None:
    """Whose word counts from now on."""
    if value in get_args(NotifyAccess):
        world.change(name, access=value)


# What each word of an agent's does. Those that are numbers have been looked at before.
_SAID: dict[str, Callable[[World, str, str], None]] = {
    "STATUS": lambda world, name, value: world.change(name, status=value),
    "ERRNO": lambda world, name, value: world.change(name, error=int(value)),
    "EXTEND_TIMEOUT_USEC": lambda world, name, value: _extend(world, name, int(value) / 1e6),
    "WATCHDOG_USEC": _watchdog_usec,
    "WATCHDOG": _watchdog,
    "NOTIFYACCESS": _access,
}
