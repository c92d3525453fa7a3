"""What rows of the table do when the kernel has killed a process of a unit for want of memory."""

from __future__ import annotations

from msgspec.structs import replace

from maestro.engine import errands, stopping, words
from maestro.engine.events import Ended
from maestro.engine.scene import Outcome, Scene
from maestro.engine.state import Life, Result

KILL = 9  # what the kernel sends
_HEARD_OF = 5.0  # seconds after the kill in which the end of the process that it hit is seen, on a busy host


def go_on(scene: Scene) -> Outcome:
    """`continue`: it is told, and what is left goes on."""
    cause = f"a process of it was {scene.words}; the others go on"
    life = replace(scene.life, cause=cause)
    return Outcome(life=life, news=(words.tell(scene, "oom-kill", cause, life),))


def note(scene: Scene) -> Outcome:
    """It is coming down anyway; that may be why it does not do so well."""
    life = starved(scene).life
    return Outcome(life=life, news=(words.tell(scene, "oom-kill", scene.words, life),))


def stop_the_rest(scene: Scene) -> Outcome:
    """`stop`: a program that has lost a part of itself is not to go on as if nothing was."""
    return stopping.give_in(starved(scene), "oom-kill")


def ask_the_rest(scene: Scene) -> Outcome:
    """The same, where commands ask it to stop."""
    outcome = errands.come_down(starved(scene), scene.words)
    return replace(outcome, news=(words.tell(scene, "oom-kill", scene.words, outcome.life),))


def kill_the_rest(scene: Scene) -> Outcome:
    """`kill`: cgroup v2 has done it already, v1 knows no such thing."""
    return stopping.kill(starved(scene), "oom-kill", scene.words)


def starved(scene: Scene) -> Scene:
    return stopping.at_fault(scene, Result.OOM_KILL, scene.words)


def hit_main(life: Life, ended: Ended, now: float) -> bool:
    """Whether the main process is one that the kernel has killed: it was heard of that a moment ago."""
    was_told = bool(life.oom) and (ended.at or now) - life.oom_at < _HEARD_OF
    return ended.signal == KILL and was_told and life.sent is None
