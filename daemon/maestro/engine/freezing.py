"""What rows of the table do when a unit is frozen: its processes stand still and keep their memory, until it is thawed or stopped.

An operator's freeze is ended by an operator. One for a budget ends with it; it also holds what is not up yet, whose start
time-out rests meanwhile.
"""

from __future__ import annotations

from msgspec.structs import replace

from maestro.engine import policy, words
from maestro.engine.events import Freeze
from maestro.engine.scene import Outcome, Scene

# What a life is `frozen_for`:
EMERGENCY = "emergency-stop"  # all agents are held at once: by a group of all, not one by one
PRESSURE = "pressure"  # the host is short of memory
SPARED = 600.0  # seconds for which one that an operator has let go on is not frozen for that again


def hold_with_all(scene: Scene) -> Outcome:
    """It stands still already, with all others."""
    life = replace(scene.life, frozen_for=EMERGENCY, cause=f"held with all agents, by {EMERGENCY}")
    return Outcome(life=life, news=(words.tell(scene, "frozen", life.cause, life),))


def freeze(scene: Scene) -> Outcome:
    life = replace(scene.life, was_frozen=True, frozen_for="", cause=scene.words or "frozen on request")
    news = words.tell(scene, "frozen", life.cause, life)
    deeds = (
        (Freeze(life.agent, True),) if scene.unit.agent is not None else ()
    )  # of a slice, what is in it follows
    return Outcome(life=life, deeds=deeds, news=(news,))


def exhaust(scene: Scene) -> Outcome:
    life = replace(scene.life, was_frozen=True, frozen_for="", stilled=True, cause=f"frozen: {scene.words}")
    news = words.tell(scene, "frozen", life.cause, life)
    return Outcome(life=life, deeds=(Freeze(life.agent, True),), news=(news,))


def press(scene: Scene) -> Outcome:
    life = replace(scene.life, was_frozen=True, frozen_for=PRESSURE, cause=f"frozen: {scene.words}")
    news = words.tell(scene, "frozen", life.cause, life)
    return Outcome(life=life, deeds=(Freeze(life.agent, True),), news=(news,))


def relieve(scene: Scene) -> Outcome:
    return _go_on(scene, "the host has memory again: it goes on")


def hold(scene: Scene) -> Outcome:
    """It stands still on its way up."""
    timers = dict(scene.life.timers)
    due = timers.pop("start", None)
    outcome = exhaust(scene)
    life = replace(outcome.life, timers=timers, start_left=None if due is None else due - scene.now)
    return replace(outcome, life=life)


def thaw(scene: Scene) -> Outcome:
    if scene.life.frozen_for != PRESSURE:
        return _go_on(scene, scene.words or "thawed on request")
    spared = replace(scene, life=replace(scene.life, spared_until=scene.now + SPARED))
    promise = f"; it is not frozen for want of memory in the next {words.span(SPARED)}"
    return _go_on(spared, "thawed on request", promise)


def refill(scene: Scene) -> Outcome:
    return _go_on(scene, "its budget is used up no more: it goes on")


def _go_on(scene: Scene, why: str, promise: str = "") -> Outcome:
    """That its processes go on is ordered by whatever leaves the state. While it stood still it could not say that it lives."""
    life, timers = scene.life, dict(scene.life.timers)
    if scene.unit.agent is not None and (period := policy.watchdog(scene.agent, life)):
        timers["watchdog"] = scene.now + period
    cause = f"{why}, after {words.span(scene.now - life.since)}{promise}"
    life = replace(life, timers=timers, cause=cause)
    return Outcome(life=life, news=(words.tell(scene, "thawed", cause, life),))


def let_go(scene: Scene) -> Outcome:
    """It comes up further, with the time that it had left for that."""
    life, timers = scene.life, dict(scene.life.timers)
    if life.start_left is not None:
        timers["start"] = scene.now + life.start_left
    cause = f"its budget is used up no more: still waits for {words.awaited(life.awaits)}"
    life = replace(life, timers=timers, stilled=False, stilled_by=(), start_left=None, cause=cause)
    return Outcome(life=life, news=(words.tell(scene, "thawed", cause, life),))
