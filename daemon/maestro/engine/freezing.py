"""What rows of the table do when a unit is frozen: its processes stand still and keep their memory, until it is thawed or stopped."""

from __future__ import annotations

from msgspec.structs import replace

from maestro.engine import policy, words
from maestro.engine.events import Freeze
from maestro.engine.scene import Outcome, Scene

EMERGENCY = "emergency-stop"  # what all agents are held for at once: by a group of all, not one by one


def hold(scene: Scene) -> Outcome:
    """It stands still already, with all others."""
    life = replace(scene.life, frozen_for=EMERGENCY, cause=f"held with all agents, by {EMERGENCY}")
    return Outcome(life=life, news=(words.tell(scene, "frozen", life.cause, life),))


def freeze(scene: Scene) -> Outcome:
    life = replace(scene.life, was_frozen=True, frozen_for="", cause=scene.words or "frozen on request")
    news = words.tell(scene, "frozen", life.cause, life)
    return Outcome(life=life, deeds=(Freeze(life.agent, True),), news=(news,))


def thaw(scene: Scene) -> Outcome:
    """That its processes go on is ordered by whatever leaves the state. While it stood still it could not say that it lives."""
    life, timers = scene.life, dict(scene.life.timers)
    if period := policy.watchdog(scene.agent, life):
        timers["watchdog"] = scene.now + period
    cause = f"thawed on request, after {words.span(scene.now - life.since)}"
    life = replace(life, timers=timers, cause=cause)
    return Outcome(life=life, news=(words.tell(scene, "thawed", cause, life),))
