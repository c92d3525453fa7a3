"""What rows of the table do when a unit is frozen: its processes stand still and keep their memory, until it is thawed or stopped."""

from __future__ import annotations

from msgspec.structs import replace

from maestro.engine import policy, words
from maestro.engine.events import Freeze
from maestro.engine.scene import Outcome, Scene


def freeze(scene: Scene) -> Outcome:
    life = replace(scene.life, was_frozen=True, cause=scene.words or "frozen on request")
    news = words.tell(scene, "frozen", life.cause, life)
    deeds = (
        (Freeze(life.agent, True),) if scene.unit.agent is not None else ()
    )  # of a slice, what is in it follows
    return Outcome(life=life, deeds=deeds, news=(news,))


def thaw(scene: Scene) -> Outcome:
    """That its processes go on is ordered by whatever leaves the state. While it stood still it could not say that it lives."""
    life, timers = scene.life, dict(scene.life.timers)
    if scene.unit.agent is not None and (period := policy.watchdog(scene.agent, life)):
        timers["watchdog"] = scene.now + period
    cause = f"{scene.words or 'thawed on request'}, after {words.span(scene.now - life.since)}"
    life = replace(life, timers=timers, cause=cause)
    return Outcome(life=life, news=(words.tell(scene, "thawed", cause, life),))
