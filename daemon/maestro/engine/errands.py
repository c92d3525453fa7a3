"""What rows of the table do with the commands around the main process: they run one after the other, each as an agent of its own."""

from __future__ import annotations

from math import isinf

from msgspec.structs import replace

from maestro.engine import acts, stopping, words
from maestro.engine.events import Deed, Ended, Errand, Send, Spawn
from maestro.engine.phases import PHASES, commands
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import Life, Result, State
from maestro.model.unit import Unit
from maestro.model.values import Command

# ------------------------------------------------------------------------------------------- beginning a phase


def run_pre(scene: Scene) -> Outcome:
    """Begin an activation with what prepares it."""
    life = replace(acts.fresh(scene), bare=True)
    outcome = _run(scene, life, State.START_PRE)
    return replace(outcome, news=(words.tell(scene, "starting", outcome.life.cause, life),))


def run_post(scene: Scene) -> Outcome:
    return _run(scene, replace(scene.life, awaits=()), State.START_POST)


def run_reload(scene: Scene, life: Life) -> Outcome:
    return _run(scene, life, State.RELOADING)


def ask_to_stop(scene: Scene) -> Outcome:
    """A stop was asked for, and there are commands that ask the process."""
    life = replace(scene.life, halted=True, stopped=words.stopped(scene))
    return _come_down(scene, life, scene.words or words.because(scene.life, "stop asked"))


def run_stop(scene: Scene) -> Outcome:
    """It comes down by itself; the commands run all the same."""
    return _come_down(scene, scene.life, words.how_ended(scene.life.ended))


def overstay(scene: Scene) -> Outcome:
    scene = stopping.overdue(scene)
    return _come_down(scene, scene.life, scene.life.fault)


def run_stop_post(scene: Scene) -> Outcome:
    life = replace(scene.life, awaits=(), left=(), bare=True, aborting=False)
    return _run(scene, life, State.STOP_POST)


def run_next(scene: Scene) -> Outcome:
    return _run(scene, scene.life, scene.life.state, scene.life.place + 1)


def come_down(scene: Scene, why: str) -> Outcome:
    """A fault that was noted ends it, and there are commands that ask the process."""
    return _come_down(scene, scene.life, why)


def _come_down(scene: Scene, life: Life, why: str) -> Outcome:
    outcome = _run(scene, replace(life, stop_began=scene.now, aborting=False), State.STOP_COMMAND)
    life = replace(outcome.life, cause=f"{why}; {outcome.life.cause}")
    return replace(outcome, life=life, news=(words.tell(scene, "stopping", life.cause, life),))


def _run(scene: Scene, life: Life, state: State, place: int = 0) -> Outcome:
    phase, (option, at, line) = PHASES[state], commands(scene.agent, state)[place]
    number = life.errands + 1
    errand = Errand(
        agent=f"{life.agent}/{phase.label}{number}",
        option=option,
        place=at,
        line=tuple(line),
        variables=_variables(life, phase.comes_down),
    )
    limit = time_limit(scene, state)
    timers = {name: at for name, at in life.timers.items() if name != "command"}
    if not isinf(limit):
        timers["command"] = scene.now + limit
    life = replace(
        life, errand=errand, errands=number, place=place, timers=timers, cause=f"running {name(errand)}"
    )
    return Outcome(life=life, deeds=order(scene.name, life))


def order(unit: str, life: Life) -> tuple[Deed, ...]:
    """What starts the command of a life that is about to."""
    assert life.errand is not None
    return (Spawn(unit, life.errand.agent, life.errand),)


def time_limit(scene: Scene, state: State) -> float:
    if PHASES[state].comes_down:
        return scene.agent.stop.sequence[0].wait
    return (
        acts.start_timeout(scene.unit) if state is not State.RELOADING else float(scene.agent.start_timeout)
    )


def _variables(life: Life, comes_down: bool) -> dict[str, str]:
    """What a command is told: the main process or how it ended, and on the way down how all went; as in systemd.exec(5)."""
    result = "exec-condition" if life.skipped else life.result.value
    told = {"SERVICE_RESULT": result} if comes_down else {}
    if life.ended is None:
        return told if life.bare or not life.pid else told | {"MAINPID": str(life.pid)}
    if life.ended.signal is not None:
        number = words.signal_name(life.ended.signal).removeprefix("SIG")
        told |= {"EXIT_CODE": "killed", "EXIT_STATUS": number}
    elif life.ended.code is not None:
        told |= {"EXIT_CODE": "exited", "EXIT_STATUS": str(life.ended.code)}
    return told


# ------------------------------------------------------------------------------------------- when one takes too long


def time_out(scene: Scene) -> Outcome:
    """A command of the start or of the stop takes too long: everything is ended."""
    return stopping.give_in(_late(scene), "timeout")


def kill(scene: Scene) -> Outcome:
    """One that runs after the end takes too long: it is killed, until it is gone."""
    life, errand = _late(scene).life, scene.life.errand
    assert errand is not None
    life = replace(
        life, timers={**life.timers, "command": scene.now + stopping.INSIST_EVERY}, cause=life.fault
    )
    return Outcome(
        life=life,
        deeds=(Send(errand.agent, "KILL", True),),
        news=(words.tell(scene, "timeout", life.cause, life),),
    )


def _late(scene: Scene) -> Scene:
    assert scene.life.errand is not None
    limit = words.span(time_limit(scene, scene.life.state))
    return stopping.at_fault(scene, Result.TIMEOUT, f"{name(scene.life.errand)} took longer than {limit}")


# ------------------------------------------------------------------------------------------- words


def name(errand: Errand) -> str:
    """`exec_start_pre[0] (/bin/prepare)`."""
    program = Command(errand.line).words[0]
    return f"{errand.option}[{errand.place}] ({program})"


def is_forgiven(errand: Errand) -> bool:
    return Command(errand.line).is_forgiven


def fault(errand: Errand, ended: Ended) -> str:
    """What went wrong with a command, in words; nothing where it ended well, or that does not matter."""
    if ended.code == 0 or is_forgiven(errand):
        return ""
    return f"{name(errand)} {words.how_ended(ended)}"


def leaves_out(errand: Errand, ended: Ended) -> bool:
    """Whether this is a command's word that the start is to be left out, which is no failure; 255 is one."""
    says_so = errand.option == "exec_condition" and 0 < (ended.code or 0) < 255
    return says_so and not is_forgiven(errand)


def begins(deed: Spawn, unit: Unit, line: int) -> bool:
    """Whether this is the first thing that runs of an activation: what was begun is not left out half-way."""
    if unit.agent is None:
        return True
    first = next(iter(commands(unit.agent, State.START_PRE)), None)
    if deed.errand is not None:
        return first is not None and (deed.errand.option, deed.errand.place) == first[:2]
    return line == 0 and first is None
