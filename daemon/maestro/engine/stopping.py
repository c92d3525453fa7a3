"""What rows of the table do to bring a unit down: signals in turn, to the main process and to a command around it."""

from __future__ import annotations

from math import isinf

from msgspec.structs import replace

from maestro.engine import acts, policy, words
from maestro.engine.events import Deed, Send
from maestro.engine.guards import kills_the_rest
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import GOING_DOWN, Goal, Life, Result, State

INSIST_EVERY = 30.0  # seconds between two SIGKILLs to what a SIGKILL did not end
_tell = words.tell


def terminate(scene: Scene) -> Outcome:
    life = replace(scene.life, halted=True, stopped=words.stopped(scene), aborting=False)
    return _stop_step(scene, life, 0, "stopping", scene.words or words.because(scene.life, "stop asked"))


def own_the_stop(scene: Scene) -> Outcome:
    """It was going down by a fault; now that is what was asked for."""
    stopped = (
        words.stopped(scene) if scene.life.goal is Goal.DOWN else ""
    )  # otherwise it is only to come again
    return Outcome(life=replace(scene.life, halted=True, stopped=stopped))


def go_on(scene: Scene) -> Outcome:
    """The commands have asked it to stop; now signals do."""
    began = scene.life.stop_began
    outcome = _stop_step(scene, scene.life, 0, "stopping", scene.life.fault or "its stop commands have run")
    return replace(outcome, life=replace(outcome.life, stop_began=began))


def let_stop(scene: Scene) -> Outcome:
    """STOPPING=1 counts as if the first signal had been sent."""
    wait = scene.agent.stop.sequence[0].wait
    life = replace(
        scene.life,
        step=0,
        sent=None,
        stop_began=scene.now,
        aborting=False,
        timers=_until(scene.now, wait),
        cause="it said it stops",
    )
    return Outcome(life=life, news=(_tell(scene, "stopping", life.cause, life),))


def sweep(scene: Scene) -> Outcome:
    """The main process is gone and others of its tree are not."""
    left = words.several(scene.life.left)
    cause = f"{words.how_ended(scene.life.ended)}; ending what is left of it: {left}"
    first = len(scene.agent.stop.sequence) - 1 if kills_the_rest(scene) else 0
    began = scene.life.stop_began if scene.life.state in GOING_DOWN else scene.now
    return _stop_step(scene, replace(scene.life, stop_began=began), first, "sweeping", cause)


def clear_the_way(scene: Scene) -> Outcome:
    """The main process has ended, another command of the unit follows, and what is left would run beside it."""
    cause = (
        f"{words.how_ended(scene.life.ended)}; killing what is left of it: {words.several(scene.life.left)}"
    )
    life = replace(scene.life, cause=cause, timers=_until(scene.now, INSIST_EVERY))
    return _sent(scene, life, "KILL", True, "sweeping")


def give_in(scene: Scene, kind: str = "stopping") -> Outcome:
    """What was noted as its fault ends it."""
    return _stop_step(scene, scene.life, 0, kind, scene.life.fault or words.how_ended(scene.life.ended))


def kill(scene: Scene, kind: str, cause: str) -> Outcome:
    """All of it at once, until it is gone."""
    last = len(scene.agent.stop.sequence) - 1
    life = replace(scene.life, step=last, stop_began=scene.now, aborting=False, cause=cause)
    return _sent(scene, replace(life, timers=_until(scene.now, INSIST_EVERY)), "KILL", tree=True, kind=kind)


def time_out(scene: Scene) -> Outcome:
    missing = words.awaited(scene.life.awaits) or "its program to be executed"
    limit = words.span(acts.start_timeout(scene.unit))
    fault = f"not ready within {limit}: still waiting for {missing}" + words.pid_fault(scene.life)
    return give_in(at_fault(scene, Result.TIMEOUT, fault), "timeout")


def overstay(scene: Scene) -> Outcome:
    return give_in(overdue(scene), "timeout")


def overdue(scene: Scene) -> Scene:
    limit = words.span(scene.agent.runtime_max)
    return at_fault(scene, Result.TIMEOUT, f"its time is up: runtime_max is {limit}")


def at_fault(scene: Scene, result: Result, fault: str) -> Scene:
    """The scene with a fault noted, unless there is one already: the first is the one that counts."""
    if scene.life.result is not Result.SUCCESS:
        return scene
    return replace(scene, life=replace(scene.life, result=result, fault=fault))


def abort(scene: Scene) -> Outcome:
    cause = f"no WATCHDOG=1 for {words.span(policy.watchdog(scene.agent, scene.life))}"
    life = at_fault(scene, Result.WATCHDOG, cause).life
    life = replace(life, aborting=True, step=0, stop_began=scene.now)
    life = replace(life, timers=_until(scene.now, scene.agent.stop.sequence[0].wait), cause=cause)
    return _sent(scene, life, "ABRT", False, "watchdog")


def next_step(scene: Scene) -> Outcome:
    step = scene.agent.stop.sequence[scene.life.step + 1]
    took = words.span(scene.now - scene.life.stop_began)
    return _stop_step(
        scene, scene.life, scene.life.step + 1, "stopping", f"still there after {took}: SIG{step.signal} sent"
    )


def insist(scene: Scene) -> Outcome:
    """SIGKILL did not help: a process in an uninterruptible wait, say. It is killed again, and never started beside."""
    life = scene.life
    who = words.several(life.left) or (
        f"{life.pid} (its main process)" if not life.bare else "a command of its"
    )
    cause = f"SIGKILL {words.span(scene.now - life.stop_began)} after the stop began; still there: {who}"
    if life.aborting:
        cause = f"{life.cause}; SIGABRT did not end it: SIGKILL sent"
    life = replace(life, cause=cause, aborting=False, step=len(scene.agent.stop.sequence) - 1)
    life = replace(life, timers=_until(scene.now, INSIST_EVERY))
    return _sent(scene, life, "KILL", True, "stuck")


def _stop_step(scene: Scene, life: Life, number: int, kind: str, cause: str) -> Outcome:
    step, stop = scene.agent.stop.sequence[number], scene.agent.stop
    tree = stop.kill_mode == "control-group" or (stop.kill_mode == "mixed" and str(step.signal) == "KILL")
    tree = tree or (life.ended is not None and stop.kill_mode != "process")
    life = replace(life, step=number, cause=cause, timers=_until(scene.now, step.wait))
    if number == 0:
        life = replace(life, stop_began=scene.now)
    return _sent(scene, life, str(step.signal), tree, kind)


def _sent(scene: Scene, life: Life, signal: str, tree: bool, kind: str) -> Outcome:
    """A signal of the stop, kept until the next: a new manager orders it again, and the keeper knows whether that is needed."""
    life = replace(life, sent=Send(life.agent, signal, tree, life.orders + 1), orders=life.orders + 1)
    return Outcome(life=life, deeds=send_again(life), news=(_tell(scene, kind, life.cause, life),))


def send_again(life: Life) -> tuple[Deed, ...]:
    """The newest signal, to all there is: the main process, and a command that runs around it."""
    if life.sent is None:
        return ()
    main = () if life.bare else (life.sent,)
    if life.errand is None or life.state is State.RELOADING:
        return main
    return (*main, Send(life.errand.agent, life.sent.signal, True, life.sent.order))


def _until(now: float, wait: float) -> dict[str, float]:
    return {} if isinf(wait) else {"stop": now + wait}
