"""What becomes of a command around the main process: the next input for its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from maestro.engine import errands
from maestro.engine.events import AboutAgent, Acknowledge, CannotSpawn, Emptied, Ended, Errand, Send, Spawned
from maestro.engine.state import Result, State
from maestro.engine.table import Input

if TYPE_CHECKING:
    from maestro.engine.world import World

_HARMLESS = (State.RELOADING, State.STOPPING)  # a fault there is the reload's alone, or of our own doing


def take(world: World, name: str, event: AboutAgent) -> None:
    errand = world.life(name).errand
    assert errand is not None
    match event:
        case Spawned():
            world.change(name, errand=replace(errand, pid=event.pid, start=event.start))
        case CannotSpawn():
            fault = "" if errands.is_forgiven(errand) else f"{errands.name(errand)}: {event.why}"
            _conclude(world, name, errand, fault, Result.RESOURCES)
        case Ended():
            _ended(world, name, errand, event)
        case Emptied():
            if errand.ended is not None:
                _judge(world, name, errand, errand.ended)


def _ended(world: World, name: str, errand: Errand, event: Ended) -> None:
    lost = event.code is None and event.signal is None
    if lost and not errand.pid and errand.ended is None and world.life(name).state is not State.STOPPING:
        world.do(Acknowledge(errand.agent), *errands.order(name, world.life(name)))  # it never began
    elif event.left:  # nothing that a command leaves behind runs beside what comes next
        world.change(name, errand=replace(errand, ended=errand.ended or event))
        world.do(Send(errand.agent, "KILL", True))
    else:
        _judge(world, name, errand, errand.ended or event)


def _judge(world: World, name: str, errand: Errand, ended: Ended) -> None:
    if errands.leaves_out(errand, ended) and world.life(name).state is State.START_PRE:
        world.change(name, skipped=True, fault=errands.fault(errand, ended))
    result = Result.EXIT_CODE if ended.code is not None else Result.SIGNAL if ended.signal else Result.LOST
    _conclude(world, name, errand, errands.fault(errand, ended), result)


def _conclude(world: World, name: str, errand: Errand, fault: str, result: Result) -> None:
    life = world.life(name)
    world.do(Acknowledge(errand.agent))
    world.change(name, errand=None)
    if fault and life.state not in _HARMLESS and not (life.skipped and life.state is State.START_PRE):
        world.note(name, "command-failed", fault)
        if life.result is Result.SUCCESS and not life.skipped:
            world.change(name, result=result, fault=fault)
    world.apply(name, Input.COMMAND_FAILED if fault else Input.COMMAND_DONE, fault)
