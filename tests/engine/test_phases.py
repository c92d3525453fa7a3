"""The phases of a service, as in systemd.service(5): the commands around the main process, and when they run."""

from __future__ import annotations

import pytest

from maestro.engine.state import Coarse, Result, State
from maestro.model.unit import RestartSection
from maestro.model.values import Seconds
from maestro.testing.theatre import FOREVER, Play, unit
from tests.engine.around import BAD, PHASES, around, commands, play, ran

# ------------------------------------------------------------------------------------------- the order of things


def test_all_commands_run_in_order_each_as_an_agent_of_its_own() -> None:
    theatre = play(around(*PHASES))
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert theatre.states("web") == [State.START_PRE, State.SPAWNING, State.START_POST, State.RUNNING]
    theatre.ask("stop", "web")
    theatre.run(until=20)
    assert theatre.states("web")[4:] == [State.STOP_COMMAND, State.STOPPING, State.STOP_POST, State.DEAD]
    assert ran(theatre) == [f"{phase}[{place}]" for phase in PHASES for place in (0, 1)]
    assert [errand.agent for errand in theatre.ran] == [
        "web#1/pre1", "web#1/pre2", "web#1/post3", "web#1/post4",
        "web#1/stop5", "web#1/stop6", "web#1/stop-post7", "web#1/stop-post8",
    ]  # fmt: skip
    assert theatre.life("web").cause == "stopped on request"
    assert not theatre.unacknowledged
    assert theatre.two_at_once == []


def test_what_commands_are_told_of_the_process() -> None:
    theatre = play(around("exec_start_pre", "exec_start_post", "exec_stop", "exec_stop_post"))
    theatre.ask("start", "web")
    theatre.run(until=1)
    pid = str(theatre.life("web").pid)
    theatre.ask("stop", "web")
    theatre.run(until=2)
    told = {errand.option: errand.variables for errand in theatre.ran}
    assert told == {
        "exec_start_pre": {},
        "exec_start_post": {"MAINPID": pid},
        "exec_stop": {"SERVICE_RESULT": "success", "MAINPID": pid},
        "exec_stop_post": {"SERVICE_RESULT": "success", "EXIT_CODE": "killed", "EXIT_STATUS": "TERM"},
    }


def test_how_it_ended_is_told_to_what_comes_after() -> None:
    theatre = play(around("exec_stop", "exec_stop_post"), Play(ends=5, code=7))
    theatre.ask("start", "web")
    theatre.run(until=10)
    told = {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "7"}
    assert [errand.variables for errand in theatre.ran] == [told] * 4  # $MAINPID is unset
    assert (theatre.life("web").state, theatre.life("web").result) == (State.FAILED, Result.EXIT_CODE)
    assert theatre.life("web").cause == "ended with exit status 7"


def test_it_counts_as_started_when_the_last_command_has_run() -> None:
    theatre = play(
        around("exec_start_pre", "exec_start_post"),
        exec_start_pre_1=Play(ends=2),
        exec_start_post_0=Play(ends=3),
    )
    job = theatre.ask("start", "web").jobs[0]
    theatre.run(until=4.9)
    assert theatre.life("web").coarse is Coarse.ACTIVATING
    assert theatre.life("web").cause == "running exec_start_post[0] (/bin/one)"
    theatre.run(until=5)
    assert theatre.life("web").coarse is Coarse.ACTIVE
    assert [one.words for one in theatre.news if one.job == job.id] == [
        f"start: done: {theatre.life('web').cause}"
    ]


def test_which_agents_a_kill_may_mean() -> None:
    theatre = play(
        around("exec_start_pre", "exec_start_post"),
        exec_start_pre_0=Play(ends=1),
        exec_start_post_0=Play(ends=2),
    )
    theatre.ask("start", "web")
    theatre.run(until=0.5)
    assert theatre.life("web").agents == ("web#1/pre1",)
    theatre.run(until=2)
    assert theatre.life("web").agents == ("web#1", "web#1/post3")
    theatre.run(until=4)
    assert theatre.life("web").agents == ("web#1",)
    theatre.ask("stop", "web")
    theatre.run(until=5)
    assert theatre.life("web").agents == ()


# ------------------------------------------------------------------------------------------- what fails


def test_a_failed_preparation_fails_the_start_and_names_the_command() -> None:
    theatre = play(
        around("exec_start_pre", "exec_start_post", "exec_stop", "exec_stop_post"), exec_start_pre_0=BAD
    )
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert ran(theatre) == ["exec_start_pre[0]", "exec_stop_post[0]", "exec_stop_post[1]"]
    assert theatre.life("web").cause == "exec_start_pre[0] (/bin/one) ended with exit status 3"
    assert (theatre.life("web").state, theatre.life("web").result) == (State.FAILED, Result.EXIT_CODE)
    assert theatre.ran[-1].variables == {"SERVICE_RESULT": "exit-code"}  # no main process was there to end


def test_a_failure_behind_a_dash_does_not_count() -> None:
    one = unit(exec_start_pre=commands("-/bin/one"), exec_start_post=commands("-/bin/gone"))
    theatre = play(one, exec_start_pre_0=BAD, exec_start_post_0=Play(cannot="cannot execute: no such file"))
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert theatre.life("web").state is State.RUNNING


def test_a_failed_preparation_is_tried_again_by_policy() -> None:
    theatre = play(around("exec_start_pre", restart=RestartSection(start_limits=())), exec_start_pre_1=BAD)
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert theatre.times("web", State.START_PRE) == [0, 1, 3, 7]


def test_a_command_that_cannot_be_started_says_why() -> None:
    theatre = play(around("exec_start_pre"), exec_start_pre_0=Play(cannot="cannot execute: no such file"))
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert theatre.life("web").cause == "exec_start_pre[0] (/bin/one): cannot execute: no such file"
    assert theatre.life("web").result is Result.RESOURCES


def test_a_failed_command_after_the_start_takes_the_process_down_and_nothing_asks_it_to() -> None:
    theatre = play(around("exec_start_post", "exec_stop", "exec_stop_post"), exec_start_post_0=BAD)
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert ran(theatre) == ["exec_start_post[0]", "exec_stop_post[0]", "exec_stop_post[1]"]
    assert theatre.signals == [("web#1", "TERM")]
    assert theatre.life("web").cause == (
        "exec_start_post[0] (/bin/one) ended with exit status 3; was killed by SIGTERM"
    )


def test_a_failed_stop_command_is_followed_by_the_signals() -> None:
    theatre = play(around("exec_stop"), exec_stop_0=BAD)
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=2)
    assert ran(theatre) == ["exec_stop[0]"]
    assert theatre.life("web").cause == (
        "stopped on request; exec_stop[0] (/bin/one) ended with exit status 3"
    )


@pytest.mark.parametrize("phase", ["exec_start_pre", "exec_start_post"])
def test_a_command_of_the_start_has_the_time_of_a_start(phase: str) -> None:
    theatre = play(around(phase, start_timeout=Seconds(10)), **{f"{phase}_1": FOREVER})
    theatre.ask("start", "web")
    theatre.run(until=9.9)
    assert theatre.life("web").coarse is Coarse.ACTIVATING
    theatre.run(until=11)
    assert (theatre.life("web").state, theatre.life("web").result) == (State.FAILED, Result.TIMEOUT)
    assert theatre.life("web").cause.startswith(f"{phase}[1] (/bin/two) took longer than 10 s")
    assert not theatre.alive


def test_a_command_that_heeds_nothing_is_killed_like_the_process() -> None:
    theatre = play(around("exec_start_pre", start_timeout=Seconds(10)), exec_start_pre_0=Play(heeds=()))
    theatre.ask("start", "web")
    theatre.run(until=30)
    assert theatre.signals == [("web#1/pre1", "TERM"), ("web#1/pre1", "KILL")]
    assert theatre.times("web", State.FAILED) == [15]


def test_stop_commands_have_the_time_of_the_first_step() -> None:
    theatre = play(
        around("exec_stop", "exec_stop_post"), exec_stop_0=Play(heeds=()), exec_stop_post_0=FOREVER
    )
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=60)
    assert theatre.times("web", State.STOPPING) == [6]
    assert theatre.signals == [
        ("web#1", "TERM"), ("web#1/stop1", "TERM"), ("web#1/stop1", "KILL"), ("web#1/stop-post2", "KILL"),
    ]  # fmt: skip
    assert theatre.times("web", State.STOP_POST) == [11]
    assert theatre.times("web", State.DEAD) == [16]
    assert not theatre.alive


def test_what_a_command_leaves_behind_is_killed_before_the_next_runs() -> None:
    theatre = play(around("exec_start_pre"), exec_start_pre_0=Play(ends=1, leaves=2, lingers=0.5))
    theatre.ask("start", "web")
    theatre.run(until=1.4)
    assert ran(theatre) == ["exec_start_pre[0]"]
    assert ("web#1/pre1", "KILL") in theatre.signals
    theatre.run(until=2)
    assert theatre.life("web").state is State.RUNNING


# ------------------------------------------------------------------------------------------- stops meanwhile


@pytest.mark.parametrize("phase", ["exec_start_pre", "exec_start_post"])
def test_a_stop_ends_the_command_that_runs(phase: str) -> None:
    theatre = play(around(phase, "exec_stop", "exec_stop_post"), **{f"{phase}_0": FOREVER})
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=2)
    assert ran(theatre) == [f"{phase}[0]", "exec_stop_post[0]", "exec_stop_post[1]"]
    assert (theatre.life("web").state, theatre.life("web").cause) == (State.DEAD, "stopped on request")


def test_a_process_that_ends_while_it_is_asked_to_gets_no_signal() -> None:
    theatre = play(around("exec_stop"), Play(ends=3), exec_stop_0=Play(ends=4))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=9)
    assert theatre.signals == []
    assert theatre.life("web").state is State.DEAD


def test_a_process_that_ends_while_the_commands_after_its_start_run() -> None:
    theatre = play(around("exec_start_post"), Play(ends=1, code=1), exec_start_post_0=FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=9)
    assert theatre.life("web").state is State.FAILED
    assert theatre.life("web").cause == "ended with exit status 1"
    assert not theatre.alive


def test_a_restart_runs_all_of_it_again() -> None:
    theatre = play(around(*PHASES))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("restart", "web")
    theatre.run(until=2)
    assert theatre.life("web").state is State.RUNNING
    assert [errand.agent for errand in theatre.ran[8:]] == [
        "web#2/pre1", "web#2/pre2", "web#2/post3", "web#2/post4",
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------- deaths of the manager


@pytest.mark.parametrize("at", [0.5, 1.5, 2.5, 3.5])
@pytest.mark.parametrize("away", [0.0, 1.2])
def test_a_start_goes_on_where_it_was(at: float, away: float) -> None:
    times = {f"exec_start_{when}_{place}": Play(ends=1) for when in ("pre", "post") for place in (0, 1)}
    theatre = play(around("exec_start_pre", "exec_start_post"), **times)
    theatre.ask("start", "web")
    theatre.run(until=at)
    theatre.kill_manager(away=away)
    theatre.run(until=10)
    assert theatre.life("web").state is State.RUNNING
    assert ran(theatre) == [
        "exec_start_pre[0]", "exec_start_pre[1]", "exec_start_post[0]", "exec_start_post[1]",
    ]  # fmt: skip
    assert theatre.two_at_once == []


@pytest.mark.parametrize("at", [0.5, 1.5, 2.5, 3.5])
@pytest.mark.parametrize("away", [0.0, 1.2])
def test_a_stop_goes_on_where_it_was(at: float, away: float) -> None:
    times = {f"exec_stop{when}_{place}": Play(ends=1) for when in ("", "_post") for place in (0, 1)}
    theatre = play(around("exec_stop", "exec_stop_post"), **times)
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=1 + at)
    theatre.kill_manager(away=away)
    theatre.run(until=20)
    assert theatre.life("web").state is State.DEAD
    assert ran(theatre) == ["exec_stop[0]", "exec_stop[1]", "exec_stop_post[0]", "exec_stop_post[1]"]


def test_a_command_that_was_never_ordered_is_ordered_again() -> None:
    theatre = play(around("exec_start_pre"))
    theatre.ask_in_vain("start", "web")
    theatre.run(until=1)
    assert theatre.life("web").state is State.RUNNING
    assert ran(theatre) == ["exec_start_pre[0]", "exec_start_pre[1]"]


def test_a_command_whose_end_nobody_saw_has_failed() -> None:
    theatre = play(around("exec_start_pre"), exec_start_pre_0=Play(ends=2))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.alive.clear()
    theatre.kill_manager(keeper=True)
    theatre.run(until=3)
    assert theatre.life("web").state is State.FAILED
    assert "exec_start_pre[0] (/bin/one) ended while nobody watched" in theatre.life("web").cause
