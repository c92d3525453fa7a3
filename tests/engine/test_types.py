"""Types of agents: whose end is no end, who forks, and how long one may be up."""

from __future__ import annotations

import pytest

from maestro.engine.events import NoMain
from maestro.engine.state import Coarse, Result, State
from maestro.model.unit import ReadinessSection
from maestro.model.values import Pattern, Seconds
from maestro.testing.theatre import Play, unit
from tests.engine.around import NEVER, PHASES, STOP, around, play, ran

# ------------------------------------------------------------------------------------------- ends that are no ends


def test_a_oneshot_runs_its_commands_around_its_end() -> None:
    theatre = play(around(*PHASES, type="oneshot"), Play(ends=5))
    job = theatre.ask("start", "web").jobs[0]
    theatre.run(until=6)
    assert ran(theatre) == [f"{phase}[{place}]" for phase in PHASES for place in (0, 1)]
    assert theatre.life("web").state is State.DEAD
    assert any(one.job == job.id and "done" in one.words for one in theatre.news)


def test_a_oneshot_may_remain_up_until_it_is_stopped() -> None:
    theatre = play(around(*PHASES, type="oneshot", remain_after_exit=True), Play(ends=5))
    theatre.ask("start", "web")
    theatre.run(until=100)
    life = theatre.life("web")
    assert (life.state, life.coarse) == (State.EXITED, Coarse.ACTIVE)
    assert life.cause == "ended with exit status 0, and remains up"
    theatre.kill_manager()
    theatre.kill_manager(keeper=True)
    theatre.run(until=101)
    assert theatre.life("web").state is State.EXITED
    theatre.ask("stop", "web")
    theatre.run(until=102)
    assert theatre.life("web").state is State.DEAD
    assert ran(theatre) == [f"{phase}[{place}]" for phase in PHASES for place in (0, 1)]
    assert theatre.signals == []


def test_a_failure_remains_nothing() -> None:
    theatre = play(around(type="oneshot", remain_after_exit=True), Play(ends=5, code=1))
    theatre.ask("start", "web")
    theatre.run(until=6)
    assert theatre.life("web").state is State.FAILED


def test_what_a_remaining_unit_left_runs_until_the_stop() -> None:
    theatre = play(around(type="oneshot", remain_after_exit=True), Play(ends=5, leaves=2))
    theatre.ask("start", "web")
    theatre.run(until=100)
    assert (theatre.life("web").state, theatre.leftovers) == (State.EXITED, {"web#1": 2})
    theatre.ask("restart", "web")
    theatre.run(until=120)
    assert (theatre.life("web").state, theatre.life("web").agent) == (State.EXITED, "web#2")
    assert theatre.two_at_once == []


def test_a_process_that_forks_is_up_when_its_pid_file_names_another() -> None:
    one = unit(type="forking", pid_file="/run/web.pid", restart=NEVER, stop=STOP)
    theatre = play(one, Play(ends=1, leaves=1, becomes=Play(ends=20, code=4)))
    theatre.ask("start", "web")
    theatre.run(until=0.9)
    assert theatre.life("web").cause == "waits for its first process to end"
    theatre.run(until=5)
    assert theatre.life("web").state is State.RUNNING
    theatre.kill_manager()
    theatre.run(until=30)
    assert theatre.life("web").cause == "ended with exit status 4"


@pytest.mark.parametrize("leaves", [0, 2])
def test_a_process_that_should_fork_and_does_not_has_failed(leaves: int) -> None:
    one = unit(type="forking", pid_file="/run/web.pid", restart=NEVER, stop=STOP, start_timeout=Seconds(10))
    theatre = play(one, Play(ends=1, leaves=leaves))
    theatre.ask("start", "web")
    theatre.run(until=5)
    theatre.kill_manager()
    theatre.run(until=30)
    life = theatre.life("web")
    assert life.state is State.FAILED
    assert theatre.times("web", State.FAILED) == [15 if leaves else 3]
    wanted = "still waiting for its main process to be known" if leaves else "before it was ready"
    assert wanted in life.cause
    assert not theatre.leftovers


def test_why_its_pid_file_is_of_no_use_is_said_with_its_failure() -> None:
    one = unit(type="forking", pid_file="/run/web.pid", restart=NEVER, stop=STOP)
    theatre = play(one, Play(ends=1))
    theatre.ask("start", "web")
    theatre.run(until=2)
    theatre.feed(NoMain("web#1", "/run/web.pid is empty"))
    assert theatre.life("web").cause == "waits for its main process: /run/web.pid is empty"
    theatre.run(until=30)
    life = theatre.life("web")
    assert life.cause == "ended with exit status 0 before it was ready: /run/web.pid is empty"
    before = life
    theatre.feed(NoMain("web#1", "a late word"))
    assert theatre.life("web") == before


@pytest.mark.parametrize("leaves", [0, 1, 2])
def test_without_a_pid_file_the_only_one_that_is_left_is_the_main_process(leaves: int) -> None:
    one = unit(type="forking", restart=NEVER, stop=STOP)
    goes_on = Play(ends=20, code=4) if leaves == 1 else None
    theatre = play(one, Play(ends=1, leaves=leaves, becomes=goes_on))
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert (theatre.life("web").state is State.RUNNING) == (leaves == 1)
    theatre.kill_manager()
    theatre.run(until=30)
    life = theatre.life("web")
    assert (life.state, theatre.leftovers) == (State.FAILED, {})
    assert life.cause == (
        "ended with exit status 4"
        if leaves == 1
        else "ended with exit status 0 before it was ready: no one in sight"
    )


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_stop_while_nobody_is_known_to_be_there(verb: str) -> None:
    theatre = play(unit(type="forking", pid_file="/run/web.pid", restart=NEVER, stop=STOP), Play(ends=1))
    theatre.ask("start", "web")
    theatre.run(until=2)
    theatre.ask(verb, "web")
    assert theatre.life("web").state is (State.DEAD if verb == "stop" else State.SPAWNING)


def test_a_first_process_that_fails_fails_the_start() -> None:
    one = unit(type="forking", pid_file="/run/web.pid", restart=NEVER, stop=STOP)
    theatre = play(one, Play(ends=1, code=2, leaves=1))
    theatre.ask("start", "web")
    theatre.run(until=30)
    assert theatre.life("web").cause == "ended with exit status 2"
    assert not theatre.leftovers


# ------------------------------------------------------------------------------------------- its time


def test_its_time_is_up() -> None:
    one = around("exec_stop", runtime_max=Seconds(100), runtime_randomized_extra=Seconds(10))
    theatre = play(one)
    theatre.chance = 0.5
    theatre.ask("start", "web")
    theatre.run(until=104.9)
    assert theatre.life("web").state is State.RUNNING
    theatre.kill_manager()
    theatre.run(until=106)
    life = theatre.life("web")
    assert (life.state, life.result) == (State.FAILED, Result.TIMEOUT)
    assert life.cause == "its time is up: runtime_max is 1 min 40 s; was killed by SIGTERM"
    assert ran(theatre) == ["exec_stop[0]", "exec_stop[1]"]


def test_a_probe_comes_before_the_commands_after_the_start() -> None:
    theatre = play(around("exec_start_post", readiness=ReadinessSection(log=Pattern("up"))), Play(ready=3))
    theatre.ask("start", "web")
    theatre.run(until=5)
    assert theatre.times("web", State.START_POST) == [3]
