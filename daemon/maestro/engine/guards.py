"""Questions that rows of the table ask."""

from __future__ import annotations

from collections.abc import Callable

from maestro.engine import policy
from maestro.engine.phases import commands
from maestro.engine.scene import Scene
from maestro.engine.state import Goal, Life, Result
from maestro.model.conditions import CheckSection
from maestro.model.unit import ResourcesSection

Guard = Callable[[Scene], bool]
NO_CHECKS = CheckSection()


def always(_: Scene) -> bool:
    return True


def has_no_process(scene: Scene) -> bool:
    return scene.unit.agent is None


def has_checks_alone(scene: Scene) -> bool:
    """A target with conditions; an agent's are looked at with the first thing that runs of it."""
    return has_no_process(scene) and (scene.unit.condition, scene.unit.assert_) != (NO_CHECKS, NO_CHECKS)


def bounces_without_process(scene: Scene) -> bool:
    return has_no_process(scene) and scene.life.goal is Goal.UP


def is_ready_at_once(scene: Scene) -> bool:
    return not scene.life.awaits


def awaits_more(scene: Scene) -> bool:
    return bool(scene.life.awaits)


def goes_on_without(scene: Scene) -> bool:
    """What is left of it goes on when a process of it was killed for want of memory; or nothing is left."""
    return _oom_policy(scene) == "continue" or not has_something_left(scene)


def dies_with_it(scene: Scene) -> bool:
    return _oom_policy(scene) == "kill"


def _oom_policy(scene: Scene) -> str:
    resources = scene.unit.resources
    return resources.oom_policy if isinstance(resources, ResourcesSection) else "stop"


def has_pre(scene: Scene) -> bool:
    return bool(scene.agent.exec_condition or scene.agent.exec_start_pre)


def has_post(scene: Scene) -> bool:
    return bool(scene.agent.exec_start_post)


def is_ready_at_once_with_post(scene: Scene) -> bool:
    return is_ready_at_once(scene) and has_post(scene)


def has_stop(scene: Scene) -> bool:
    return scene.unit.agent is not None and bool(scene.agent.exec_stop)


def has_stop_post(scene: Scene) -> bool:
    return bool(scene.agent.exec_stop_post)


def has_more_commands(scene: Scene) -> bool:
    """The phase that runs has another command."""
    return scene.life.place + 1 < len(commands(scene.agent, scene.life.state))


def runs_a_command(scene: Scene) -> bool:
    return scene.life.errand is not None


def has_main(scene: Scene) -> bool:
    """Something is left of the main process, or it is about to be there."""
    return not scene.life.bare


def has_main_running(scene: Scene) -> bool:
    return not scene.life.bare and scene.life.ended is None


def has_something_left(scene: Scene) -> bool:
    """Of the main process, or of a command around it."""
    return not scene.life.bare or scene.life.errand is not None


def reloads_by_command(scene: Scene) -> bool:
    return bool(scene.agent.exec_reload)


def says_when_reloaded(scene: Scene) -> bool:
    return scene.agent.type == "notify-reload"


def was_asked_for_commands_again(scene: Scene) -> bool:
    return was_asked_again(scene) and reloads_by_command(scene)


def was_asked_to_say_it_again(scene: Scene) -> bool:
    return was_asked_again(scene) and says_when_reloaded(scene)


def was_asked_again(scene: Scene) -> bool:
    return scene.life.reload_again


def has_done_its_work(scene: Scene) -> bool:
    """A process whose end is no end of the unit: a oneshot's, or one that remains; it ended well, and by itself."""
    life, agent = scene.life, scene.agent
    wanted = agent.type == "oneshot" or (agent.remain_after_exit and not life.awaits)
    return wanted and _ended_well(life) and life.line >= len(agent.exec_more)


def has_next_line(scene: Scene) -> bool:
    """One of several commands has ended well, and the next is to be started."""
    life = scene.life
    left = _ended_well(life) and life.line < len(scene.agent.exec_more)
    return left and not life.must_come_down and not life.halted


def _ended_well(life: Life) -> bool:
    return life.ended is not None and life.result is Result.SUCCESS


def did_its_work_with_post(scene: Scene) -> bool:
    return has_done_its_work(scene) and has_post(scene)


def did_its_work_with_stop(scene: Scene) -> bool:
    return has_done_its_work(scene) and has_stop(scene)


def remains(scene: Scene) -> bool:
    """It ended well and counts as up all the same, until it is stopped."""
    return has_done_its_work(scene) and scene.agent.remain_after_exit and not scene.life.must_come_down


def kills_the_rest(scene: Scene) -> bool:
    """`mixed`: the main process is asked to end, what outlives it is killed."""
    return scene.agent.stop.kill_mode == "mixed"


def has_more_steps(scene: Scene) -> bool:
    return scene.life.step + 1 < len(scene.agent.stop.sequence) and not scene.life.aborting


def is_asked_up_again(scene: Scene) -> bool:
    """It came down while, or because, a restart or a start after the stop was asked for."""
    return (scene.life.halted or scene.life.bounce) and scene.life.goal is Goal.UP


def is_left_out(scene: Scene) -> bool:
    """A command of its own said that it is not to be started."""
    return scene.life.skipped


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
