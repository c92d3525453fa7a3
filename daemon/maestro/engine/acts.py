"""What rows of the table do: the life afterwards, the deeds, the news. Each is named as the row reads."""

from __future__ import annotations

from collections.abc import Callable
from math import isinf

from msgspec.structs import replace

from maestro.engine import policy, words
from maestro.engine.events import Acknowledge, Deed, Happening, Probe, Release, Send, Spawn
from maestro.engine.guards import broken_limit, kills_the_rest
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import Goal, Life, Result, State
from maestro.model.unit import Unit

Act = Callable[[Scene], Outcome]

_AWAITED = {"notify": "READY=1", "probe": "its readiness probe", "end": "its end"}

INSIST_EVERY = 30.0  # seconds between two SIGKILLs to what a SIGKILL did not end


def _tell(scene: Scene, kind: str, text: str, life: Life) -> Happening:
    return Happening(unit=scene.name, kind=kind, words=text, agent=life.agent)


def stay(scene: Scene) -> Outcome:
    return Outcome(life=scene.life)


# ------------------------------------------------------------------------------------------- coming up


def begin_afresh(scene: Scene) -> Outcome:
    """A start by hand, or after a cool-down: what went wrong before no longer counts."""
    life = replace(
        scene.life,
        tries=0,
        starts=(),
        restarts=0,
        delay=0.0,
        bounce=False,
        halted=False,
        blocked_by=(),
        hopeless=False,
        cause=scene.words or "start asked",
    )
    return Outcome(life=life)


def be_upheld(scene: Scene) -> Outcome:
    """Another unit wants it up, always: as an automatic restart, so that the pause grows."""
    tries = scene.life.tries + 1
    return Outcome(life=replace(scene.life, goal=Goal.UP, tries=tries, cause="upheld"))


def restart_now(scene: Scene) -> Outcome:
    life = scene.life
    starts = policy.remember_start(scene.agent.restart, life.starts, scene.now)
    return Outcome(
        life=replace(
            life, starts=starts, restarts=life.restarts + 1, blocked_by=(), hopeless=False, cause="restarting"
        )
    )


def arrive(scene: Scene) -> Outcome:
    """A target is there as soon as nothing holds it back."""
    life = replace(
        scene.life,
        ready_at=scene.now,
        completed=True,
        result=Result.SUCCESS,
        blocked_by=(),
        hopeless=False,
        cause="reached",
    )
    return Outcome(life=life, news=(_tell(scene, "ready", "reached", life),))


def spawn(scene: Scene) -> Outcome:
    agent, number = scene.agent, scene.life.spawns + 1
    agent_id = f"{scene.name}#{number}"
    timers = {} if isinf(start_timeout(scene.unit)) else {"start": scene.now + start_timeout(scene.unit)}
    life = replace(
        scene.life,
        spawns=number,
        began=scene.now,
        sent=None,
        orders=0,
        agent=agent_id,
        pid=0,
        start=0,
        awaits=_awaits(scene.unit),
        ready_at=None,
        completed=False,
        ended=None,
        result=Result.SUCCESS,
        left=(),
        status="",
        step=0,
        aborting=False,
        unordered=False,
        halted=False,
        bounce=False,
        blocked_by=(),
        hopeless=False,
        timers=timers,
        cause=f"starting {agent.exec[0]}",
    )
    deeds = order(scene.name, life)
    return Outcome(life=life, deeds=deeds, news=(_tell(scene, "starting", life.cause, life),))


def order(name: str, life: Life) -> tuple[Deed, ...]:
    """What starts the agent of a life that is about to: the probe first, for a log line may come before the keeper's answer."""
    probe = (Probe(name, life.agent),) if "probe" in life.awaits else ()
    return (*probe, Spawn(name, life.agent))


def start_timeout(unit: Unit) -> float:
    """Seconds; a oneshot may take as long as it likes unless its unit says otherwise, as in systemd."""
    assert unit.agent is not None
    if unit.agent.type == "oneshot" and "agent.start_timeout" not in unit.origins:
        return float("inf")
    return float(unit.agent.start_timeout)


def _awaits(unit: Unit) -> tuple[str, ...]:
    assert unit.agent is not None
    wanted = {"notify": "notify", "oneshot": "end"}.get(unit.agent.type)
    return tuple(filter(None, (wanted, "probe" if unit.health.readiness else None)))


def await_readiness(scene: Scene) -> Outcome:
    cause = "waits for " + " and ".join(_AWAITED[name] for name in scene.life.awaits)
    return Outcome(
        life=replace(scene.life, cause=cause),
        news=(_tell(scene, "started", f"runs as pid {scene.life.pid}", scene.life),),
    )


def get_ready(scene: Scene) -> Outcome:
    life, agent = scene.life, scene.agent
    timers = {}
    if agent.watchdog:
        timers["watchdog"] = scene.now + agent.watchdog
    if life.tries:
        timers["forgive"] = scene.now + policy.forgiveness(agent.restart, life)
    life = replace(
        life, ready_at=scene.now, completed=True, awaits=(), timers=timers, cause=f"ready as pid {life.pid}"
    )
    return Outcome(life=life, news=(_tell(scene, "ready", life.cause, life),))


def forget_failure(scene: Scene) -> Outcome:
    """As if it had never run: nothing is waited for, and nobody is told of a failure any more."""
    fresh = begin_afresh(scene).life
    return Outcome(life=replace(fresh, goal=Goal.DOWN, result=Result.SUCCESS, cause="its failure was reset"))


def forgive(scene: Scene) -> Outcome:
    """It ran well for long enough: its next failure counts as the first."""
    return Outcome(life=replace(scene.life, tries=0, delay=0.0, timers=_without(scene.life, "forgive")))


def send_reload(scene: Scene) -> Outcome:
    signal = scene.agent.reload_signal
    assert signal is not None, "the world refuses a reload of a unit that has none"
    text = f"SIG{signal} sent to reload"
    return Outcome(
        life=scene.life,
        deeds=(Send(scene.life.agent, str(signal), False),),
        news=(_tell(scene, "reload", text, scene.life),),
    )


# ------------------------------------------------------------------------------------------- coming down


def terminate(scene: Scene) -> Outcome:
    life = replace(scene.life, halted=True, aborting=False)
    return _stop_step(scene, life, 0, "stopping", scene.words or "stop asked")


def own_the_stop(scene: Scene) -> Outcome:
    """It was going down by a fault; now that is what was asked for."""
    return Outcome(life=replace(scene.life, halted=True))


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
    began = scene.life.stop_began if scene.life.state is State.STOPPING else scene.now
    return _stop_step(scene, replace(scene.life, stop_began=began), first, "sweeping", cause)


def time_out(scene: Scene) -> Outcome:
    missing = " and ".join(_AWAITED[name] for name in scene.life.awaits) or "its program to be executed"
    cause = f"not ready within {words.span(start_timeout(scene.unit))}: still waiting for {missing}"
    return _stop_step(scene, replace(scene.life, result=Result.TIMEOUT), 0, "timeout", cause)


def abort(scene: Scene) -> Outcome:
    assert scene.agent.watchdog is not None
    life = replace(scene.life, result=Result.WATCHDOG, aborting=True, step=0, stop_began=scene.now)
    cause = f"no WATCHDOG=1 for {words.span(scene.agent.watchdog)}"
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
    who = words.several(life.left) or f"{life.pid} (its main process)"
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
    deed = Send(life.agent, signal, tree, life.orders + 1)
    life = replace(life, sent=deed, orders=deed.order)
    return Outcome(life=life, deeds=(deed,), news=(_tell(scene, kind, life.cause, life),))


def _until(now: float, wait: float) -> dict[str, float]:
    return {} if isinf(wait) else {"stop": now + wait}


def _without(life: Life, timer: str) -> dict[str, float]:
    return {name: at for name, at in life.timers.items() if name != timer}


# ------------------------------------------------------------------------------------------- how it ends


def _over(scene: Scene, life: Life, kind: str, text: str) -> Outcome:
    life = replace(
        life,
        cause=text,
        bounce=False,
        halted=False,
        unordered=False,
        left=(),
        awaits=(),
        aborting=False,
        step=0,
    )
    deeds: tuple[Deed, ...] = (Acknowledge(life.agent),) if life.agent else ()
    return Outcome(life=life, deeds=deeds, news=(_tell(scene, kind, text, life),))


def _for_good(scene: Scene, outcome: Outcome) -> Outcome:
    """Nothing will start it again by itself, so nobody writes to its stream; but where others of it may run on, they do."""
    life = outcome.life
    if not life.agent or scene.unit.agent is None or scene.agent.stop.kill_mode == "process":
        return outcome
    return replace(outcome, deeds=(*outcome.deeds, Release(scene.name)))


def _how(scene: Scene) -> str:
    """What brought it down, in words; a fault that was noted before the end goes first."""
    life = scene.life
    if life.result is Result.RESOURCES:
        return scene.words
    if life.result in (Result.TIMEOUT, Result.WATCHDOG):
        return f"{life.cause}; {words.how_ended(life.ended)}"
    if life.result is Result.PROTOCOL:
        return f"{words.how_ended(life.ended)} before it was ready"
    return words.how_ended(life.ended)


def turn_round(scene: Scene) -> Outcome:
    outcome = _over(scene, scene.life, "stopped", "stopped on request, to be started again")
    fresh = begin_afresh(Scene(scene.unit, outcome.life, scene.now, scene.chance, "restart asked"))
    return replace(outcome, life=fresh.life)


def rest(scene: Scene) -> Outcome:
    killed = scene.life.ended is not None and scene.life.ended.signal == 9
    text = "stopped on request" + (", had to be killed" if killed else "")
    return _for_good(scene, _over(scene, replace(scene.life, blocked_by=(), hopeless=False), "stopped", text))


def restart_later(scene: Scene) -> Outcome:
    life, rule = scene.life, scene.agent.restart
    tries = life.tries + 1
    delay = policy.pause(rule, tries, scene.chance)
    outcome = _over(
        scene, life, "ended", _how(scene) + (f", {words.ordinal(tries)} time in a row" if tries > 1 else "")
    )
    life = replace(outcome.life, tries=tries, delay=delay, timers={"restart": scene.now + delay})
    note = _tell(scene, "restart-scheduled", f"{life.cause}; next try in {words.span(delay)}", life)
    return replace(outcome, life=life, news=(note,))


def cool_down(scene: Scene) -> Outcome:
    pause = scene.agent.restart.cooldown
    outcome = _over(scene, scene.life, "gave-up", f"{_how(scene)}; gave up after {broken_limit(scene)}")
    timers = {} if isinf(pause) else {"cooldown": scene.now + pause}
    return replace(outcome, life=replace(outcome.life, timers=timers))


def give_up(scene: Scene) -> Outcome:
    life = replace(scene.life, goal=Goal.DOWN)
    return _for_good(
        scene, _over(scene, life, "gave-up", f"{_how(scene)}; gave up after {broken_limit(scene)}")
    )


def fail(scene: Scene) -> Outcome:
    return _for_good(scene, _over(scene, replace(scene.life, goal=Goal.DOWN), "failed", _how(scene)))


def complete(scene: Scene) -> Outcome:
    done = scene.life.completed or scene.agent.type == "oneshot"
    outcome = _over(scene, replace(scene.life, goal=Goal.DOWN, completed=done), "completed", _how(scene))
    return _for_good(scene, outcome)
