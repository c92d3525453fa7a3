"""Commands that say whether there is to be a start at all: exec_condition, as in systemd.service(5)."""

from __future__ import annotations

import pytest

from maestro.engine.state import Result, State
from maestro.model.unit import RestartSection
from maestro.testing.theatre import Play
from tests.engine.around import around, play, ran

ALWAYS = RestartSection(policy="always")


def test_they_run_before_the_commands_that_prepare_the_start() -> None:
    theatre = play(around("exec_condition", "exec_start_pre"))
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert ran(theatre) == [
        f"{phase}[{place}]" for phase in ("exec_condition", "exec_start_pre") for place in (0, 1)
    ]
    assert [errand.agent for errand in theatre.ran][2] == "web#1/pre3"
    assert theatre.life("web").state is State.RUNNING
    assert not theatre.unacknowledged


@pytest.mark.parametrize("code", [1, 254])
def test_one_that_ends_with_a_status_has_the_start_left_out(code: int) -> None:
    one = around("exec_condition", "exec_start_pre", "exec_stop", "exec_stop_post", restart=ALWAYS)
    theatre = play(one, exec_condition_1=Play(ends=0.0, code=code), exec_stop_post_1=Play(ends=0.0, code=3))
    job = theatre.ask("start", "web").jobs[0]
    theatre.run(until=100)
    assert ran(theatre) == [
        "exec_condition[0]",
        "exec_condition[1]",
        "exec_stop_post[0]",
        "exec_stop_post[1]",
    ]
    assert theatre.ran[-1].variables == {"SERVICE_RESULT": "exec-condition"}
    life = theatre.life("web")
    assert (life.state, life.result, life.skipped) == (State.DEAD, Result.SUCCESS, True)
    why = f"skipped: exec_condition[1] (/bin/two) ended with exit status {code}"
    assert life.cause == why
    assert [one.words for one in theatre.news if one.job == job.id] == [f"start: done: {why}"]
    assert not theatre.unacknowledged


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (Play(ends=0.0, code=255), "exec_condition[0] (/bin/one) ended with exit status 255"),
        (Play(ends=0.0, code=None, signal=9), "exec_condition[0] (/bin/one) was killed by SIGKILL"),
        (
            Play(cannot="cannot execute: no such file"),
            "exec_condition[0] (/bin/one): cannot execute: no such file",
        ),
    ],
)
def test_whatever_else_goes_wrong_fails_the_start(ends: Play, why: str) -> None:
    theatre = play(around("exec_condition"), exec_condition_0=ends)
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert (theatre.life("web").state, theatre.life("web").skipped) == (State.FAILED, False)
    assert theatre.life("web").cause == why


def test_one_that_takes_too_long_fails_the_start_whatever_it_says_at_last() -> None:
    theatre = play(around("exec_condition"), exec_condition_0=Play(ends=1000.0, code=1))
    theatre.ask("start", "web")
    theatre.run(until=200)
    assert (theatre.life("web").state, theatre.life("web").result) == (State.FAILED, Result.TIMEOUT)


def test_another_start_asks_again() -> None:
    theatre = play(around("exec_condition"), exec_condition_0=Play(ends=1.0, code=1))
    for _ in range(2):
        theatre.ask("start", "web")
        theatre.run(until=theatre.now + 5)
    assert ran(theatre) == ["exec_condition[0]"] * 2
    theatre.ask("start", "web")
    theatre.run(until=theatre.now + 0.5)
    theatre.ask("restart", "web")
    theatre.run(until=theatre.now + 5)
    assert theatre.life("web").skipped
    assert theatre.states("web")[-2:] == [State.START_PRE, State.DEAD]


def test_conditions_are_looked_at_before_the_first_command_and_only_there() -> None:
    theatre = play(around("exec_condition", "exec_start_pre"), exec_condition_0=Play(skipped="no such path"))
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert theatre.life("web").cause == "skipped: no such path"
    for command in ("exec_condition_1", "exec_start_pre_0"):
        theatre = play(
            around("exec_condition", "exec_start_pre"), **{command: Play(ends=0.0, skipped="no such path")}
        )
        theatre.ask("start", "web")
        theatre.run(until=1)
        assert theatre.life("web").state is State.RUNNING
