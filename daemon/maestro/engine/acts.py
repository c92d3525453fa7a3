"""What rows of the table do: the life afterwards, the deeds, the news. Each is named as the row reads."""

from __future__ import annotations

from collections.abc import Callable
from math import isinf

from msgspec.structs import replace

from maestro.engine import policy, words
from maestro.engine.events import Acknowledge, Deed, FindMain, Forsake, Probe, Release, RemovePidFile, Spawn
from maestro.engine.guards import broken_limit
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import ALIVE, GOING_DOWN, Goal, Life, Result
from maestro.model.unit import Unit

Act = Callable[[Scene], Outcome]
_tell = words.tell
NOBODY_FOR = (
    2.0  # seconds that a pid file may name a process after the first has ended and left none that is known
)


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
        stopped="",
        blocked_by=(),
        hopeless=False,
        trigger=None,
        aside=False,
        again=False,
        cause=scene.words or words.because(scene.life, "start asked"),
    )
    return Outcome(life=life)


def begin_again(scene: Scene) -> Outcome:
    """A cool-down is over: nobody has asked for this start."""
    return Outcome(life=replace(begin_afresh(scene).life, again=True))


def restart_now(scene: Scene) -> Outcome:
    life = scene.life
    starts = policy.remember_start(scene.agent.restart, life.starts, scene.now)
    return Outcome(
        life=replace(
            life,
            starts=starts,
            restarts=life.restarts + 1,
            again=True,
            blocked_by=(),
            hopeless=False,
            cause="restarting",
        )
    )


def ask_conditions(scene: Scene) -> Outcome:
    """Whether they hold is known outside only; until the answer comes, it has an agent id, as if there was something to start."""
    life = replace(fresh(scene), cause="its conditions are looked at")
    return Outcome(life=life, deeds=order(scene.name, life))


def arrive(scene: Scene) -> Outcome:
    """A target is there as soon as nothing holds it back."""
    life = replace(
        scene.life,
        agent="",
        skipped=False,
        ready_at=scene.now,
        completed=True,
        result=Result.SUCCESS,
        blocked_by=(),
        hopeless=False,
        cause="reached",
    )
    return Outcome(life=life, news=(_tell(scene, "ready", "reached", life),))


def spawn(scene: Scene) -> Outcome:
    """Begin an activation with the main process."""
    return _order_main(scene, fresh(scene))


def spawn_at_last(scene: Scene) -> Outcome:
    """Its commands have prepared the ground."""
    return _order_main(scene, replace(scene.life, errand=None))


def spawn_next(scene: Scene) -> Outcome:
    """One of its commands has ended well: the next is a process of its own, and otherwise nothing begins anew."""
    past = scene.life
    life = replace(
        past,
        agent=f"{scene.name}#{past.spawns + 1}",
        spawns=past.spawns + 1,
        line=past.line + 1,
        pid=0,
        start=0,
        ended=None,
        left=(),
        sent=None,
        orders=0,
    )
    outcome = _order_main(scene, life)
    life = replace(outcome.life, began=past.began)  # what waits until it is started has waited for the first
    return replace(outcome, life=life, deeds=(Acknowledge(past.agent), *outcome.deeds))


def fresh(scene: Scene) -> Life:
    """The life at the beginning of an activation: the next agent id, and what the last one left is forgotten."""
    past = scene.life
    return Life(
        state=past.state,
        goal=past.goal,
        since=past.since,
        agent=f"{scene.name}#{past.spawns + 1}",
        spawns=past.spawns + 1,
        opened=scene.now,
        began=scene.now,
        tries=past.tries,
        delay=past.delay,
        starts=past.starts,
        restarts=past.restarts,
        oom_kills=past.oom_kills,
        asked=past.asked,
        pulled=past.pulled,
        trigger=past.trigger,
    )


def _order_main(scene: Scene, life: Life) -> Outcome:
    limit = start_timeout(scene.unit)
    life = replace(
        life,
        began=scene.now,
        bare=False,
        awaits=_awaits(scene.unit),
        timers={} if isinf(limit) else {"start": scene.now + limit},
        cause=f"starting {policy.command(scene.agent, life).words[0]}",
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
    wanted = _AWAITS.get(unit.agent.type)
    return tuple(filter(None, (wanted, "probe" if unit.health.readiness else None)))


_AWAITS = {"notify": "notify", "notify-reload": "notify", "oneshot": "end", "forking": "fork"}


def await_readiness(scene: Scene) -> Outcome:
    cause = "waits for " + words.awaited(scene.life.awaits)
    return Outcome(
        life=replace(scene.life, cause=cause),
        news=(_tell(scene, "started", f"runs as pid {scene.life.pid}", scene.life),),
    )


def find_main(scene: Scene) -> Outcome:
    """Its first process has ended well and left others: the pid file says which of them is the main one, or it is the only one."""
    life = scene.life
    awaits = tuple("pid" if one == "fork" else one for one in life.awaits)
    source = scene.agent.pid_file
    cause = f"waits for {source} to name its main process" if source else "looks for its main process"
    timers = life.timers if life.left else {**life.timers, "pid": scene.now + NOBODY_FOR}
    life = replace(life, awaits=awaits, cause=cause, timers=timers)
    return Outcome(life=life, deeds=(FindMain(scene.name, life.agent),))


def get_ready(scene: Scene) -> Outcome:
    life, agent = scene.life, scene.agent
    timers = {}
    if period := policy.watchdog(agent, life):
        timers["watchdog"] = scene.now + period
    if life.tries:
        timers["forgive"] = scene.now + policy.forgiveness(agent.restart, life)
    if not isinf(agent.runtime_max):
        extra = agent.runtime_randomized_extra * scene.chance
        timers["runtime"] = scene.now + agent.runtime_max + extra
    return _up(scene, replace(life, timers=timers), f"ready as pid {life.pid}")


def remain(scene: Scene) -> Outcome:
    """Its process has ended well, and it is up all the same until it is stopped."""
    outcome = _up(scene, scene.life, f"{words.how_ended(scene.life.ended)}, and remains up")
    return replace(outcome, deeds=(Acknowledge(scene.life.agent),))


def _up(scene: Scene, life: Life, cause: str) -> Outcome:
    life = replace(life, ready_at=scene.now, completed=True, awaits=(), errand=None, cause=cause)
    return Outcome(life=life, news=(_tell(scene, "ready", life.cause, life),))


def forget_failure(scene: Scene) -> Outcome:
    """As if it had never run: nothing is waited for, and nobody is told of a failure any more."""
    fresh = begin_afresh(scene).life
    life = replace(fresh, goal=Goal.DOWN, result=Result.SUCCESS, fault="", cause="its failure was reset")
    return Outcome(life=life)


def forgive(scene: Scene) -> Outcome:
    """It ran well for long enough: its next failure counts as the first."""
    timers = {name: at for name, at in scene.life.timers.items() if name != "forgive"}
    return Outcome(life=replace(scene.life, tries=0, delay=0.0, timers=timers))


# ------------------------------------------------------------------------------------------- how it ends


def _over(scene: Scene, life: Life, kind: str, text: str) -> Outcome:
    life = replace(
        life,
        agent=life.agent if scene.unit.agent is not None else "",
        cause=text,
        bounce=False,
        halted=False,
        unordered=False,
        left=(),
        awaits=(),
        aborting=False,
        step=0,
        errand=None,
    )
    deeds: tuple[Deed, ...] = (Acknowledge(life.agent),) if life.agent else ()
    if scene.unit.agent is not None and scene.agent.pid_file is not None:
        deeds = (*deeds, RemovePidFile(scene.name, scene.agent.pid_file))
    return Outcome(life=life, deeds=(*deeds, *_forsaken(scene, life)), news=(_tell(scene, kind, text, life),))


def _forsaken(scene: Scene, life: Life) -> tuple[Deed, ...]:
    """What is given up at every end; not where there was none, for then it may be somebody else's."""
    agent = scene.unit.agent
    if agent is None or _ran_nothing(scene, life) or scene.life.state not in ALIVE:
        return ()
    goes = agent.has_credentials or (agent.runtime_directory and agent.runtime_directory_preserve == "no")
    return (Forsake(scene.name),) if goes else ()


def _ran_nothing(scene: Scene, life: Life) -> bool:
    """It was left out before a command of its own could say so."""
    return life.skipped and not scene.life.skipped


def _for_good(scene: Scene, outcome: Outcome) -> Outcome:
    """Nothing will start it again by itself, so nobody writes to its stream; but where others of it may run on, they do."""
    life = outcome.life
    outcome = replace(outcome, news=tuple(replace(one, exit=words.exit_status(life)) for one in outcome.news))
    if not life.agent or scene.unit.agent is None:
        return outcome
    if scene.agent.runtime_directory and scene.agent.runtime_directory_preserve == "restart":
        gone = () if _ran_nothing(scene, life) else (Forsake(scene.name, for_good=True),)
        outcome = replace(outcome, deeds=(*outcome.deeds, *gone))
    if scene.agent.stop.kill_mode == "process":
        return outcome
    # Its control group goes, and what was counted of it.
    return replace(outcome, life=replace(life, oom_kills=0), deeds=(*outcome.deeds, Release(scene.name)))


def _how(scene: Scene) -> str:
    """What brought it down, in words; a fault that was noted before the end goes first, and its own last words last."""
    life = scene.life
    if life.result is Result.ASSERT:
        return scene.words
    ended = words.how_ended(life.ended)
    if life.result is not Result.SUCCESS and scene.agent.exec_more and life.ended is not None:
        ended = f"{policy.command(scene.agent, life).words[0]} {ended}"
    if life.result is Result.PROTOCOL:
        ended += " before it was ready" + words.pid_fault(life)
    if life.result is Result.OOM_KILL and life.ended is not None and life.ended.signal == 9:
        ended = life.fault
    elif life.fault:
        ended = f"{life.fault}; {ended}" if life.ended is not None else life.fault
    return ended + (words.last_words(life) if life.result is not Result.SUCCESS else "")


def turn_round(scene: Scene) -> Outcome:
    life = scene.life
    faulty = not life.stopped and life.result is not Result.SUCCESS
    why = _how(scene) if faulty else life.stopped or words.stopped(scene)
    outcome = _over(scene, life, "stopped", f"{why}, to be started again")
    fresh = begin_afresh(Scene(scene.unit, outcome.life, scene.now, scene.chance, "restart asked"))
    return replace(outcome, life=fresh.life)


def rest(scene: Scene) -> Outcome:
    stopping = scene.life.state in GOING_DOWN  # otherwise that was an earlier end, and nothing ran any more
    killed = stopping and scene.life.ended is not None and scene.life.ended.signal == 9
    text = words.because(scene.life, "stopped on request", "stopped, for ")
    text += ", had to be killed" if killed else ""
    text += f"; {scene.life.fault}" if scene.life.fault else ""
    life = replace(scene.life, stopped=text, blocked_by=(), hopeless=False)
    return _for_good(scene, _over(scene, life, "stopped", text))


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


def skip(scene: Scene) -> Outcome:
    """A condition did not hold, or a command said so: the start is done without a process, and who requires the unit goes on."""
    why = scene.life.fault if scene.life.skipped else scene.words
    life = replace(scene.life, goal=Goal.DOWN, completed=True, skipped=True, fault="")
    return _for_good(scene, _over(scene, life, "skipped", f"skipped: {why}"))
