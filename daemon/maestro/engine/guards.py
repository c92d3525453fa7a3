"""Questions that rows of the table ask."""

from __future__ import annotations

from collections.abc import Callable

from maestro.engine import policy
from maestro.engine.scene import Scene
from maestro.engine.state import Goal, Result

Guard = Callable[[Scene], bool]


def always(_: Scene) -> bool:
    return True


def has_no_process(scene: Scene) -> bool:
    return scene.unit.agent is None


def bounces_without_process(scene: Scene) -> bool:
    return has_no_process(scene) and scene.life.goal is Goal.UP


def is_ready_at_once(scene: Scene) -> bool:
    return not scene.life.awaits


def awaits_more(scene: Scene) -> bool:
    return bool(scene.life.awaits)


def is_halted(scene: Scene) -> bool:
    return scene.life.halted


def kills_the_rest(scene: Scene) -> bool:
    """`mixed`: the main process is asked to end, what outlives it is killed."""
    return scene.agent.stop.kill_mode == "mixed"


def has_more_steps(scene: Scene) -> bool:
    return scene.life.step + 1 < len(scene.agent.stop.sequence) and not scene.life.aborting


def is_asked_up_again(scene: Scene) -> bool:
    """It came down while, or because, a restart or a start after the stop was asked for."""
    return (scene.life.halted or scene.life.bounce) and scene.life.goal is Goal.UP


def is_asked_down(scene: Scene) -> bool:
    return scene.life.goal is Goal.DOWN


def wants_restart(scene: Scene) -> bool:
    return policy.restarts(scene.agent, scene.life.result, scene.life.ended)


def broken_limit(scene: Scene) -> str:
    return policy.exceeds_limits(scene.agent.restart, scene.life.starts, scene.now)


def may_restart(scene: Scene) -> bool:
    return wants_restart(scene) and not broken_limit(scene)


def cools_down(scene: Scene) -> bool:
    return wants_restart(scene) and scene.agent.restart.on_give_up == "cooldown"


def gives_up(scene: Scene) -> bool:
    return wants_restart(scene)


def ended_badly(scene: Scene) -> bool:
    return scene.life.result is not Result.SUCCESS
