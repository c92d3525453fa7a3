"""Reloads: by a signal, by commands, and with an answer; and what an agent says of itself meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.events import Notified
from maestro.engine.state import Coarse, Result, State
from maestro.model.unit import RestartSection, Unit
from maestro.model.values import Seconds, SignalName
from maestro.testing.theatre import FOREVER, Play, Theatre, unit
from tests.engine.around import BAD, NEVER, STOP, commands, play, ran


def speaker(**options: Any) -> Unit:
    options.setdefault("start_timeout", Seconds(10))
    return unit(type=options.pop("type", "notify-reload"), restart=NEVER, stop=STOP, **options)


def up(one: Unit, **plays: Play) -> Theatre:
    theatre = play(one, Play(ready=0), **plays)
    theatre.ask("start", "web")
    theatre.run(until=1)
    return theatre


def say(theatre: Theatre, **fields: str) -> None:
    theatre.feed(Notified("web#1", fields))


def begin(theatre: Theatre) -> None:
    """It says that it reloads, and that it began just now."""
    say(theatre, RELOADING="1", MONOTONIC_USEC=str(int(theatre.now * 1e6)))


def outcome(theatre: Theatre, job: int) -> str:
    """What became of a job; empty while it goes on."""
    return next((one.words for one in theatre.news if one.job == job), "")


# ------------------------------------------------------------------------------------------- with an answer


def test_a_reload_is_over_when_it_says_so() -> None:
    theatre = up(speaker())
    job = theatre.ask("reload", "web").jobs[0].id
    assert theatre.signals == [("web#1", "HUP")]
    assert (theatre.life("web").state, theatre.life("web").coarse) == (State.RELOADING, Coarse.RELOADING)
    theatre.run(until=2)
    begin(theatre)
    theatre.run(until=3)
    assert outcome(theatre, job) == ""
    say(theatre, READY="1")
    assert theatre.life("web").state is State.RUNNING
    assert outcome(theatre, job) == "reload: done: reloaded in 2.0 s"


@pytest.mark.parametrize("fields", [{"MONOTONIC_USEC": "999999"}, {}])
def test_what_was_said_before_the_request_is_no_answer_to_it(fields: dict[str, str]) -> None:
    theatre = up(speaker())
    theatre.ask("reload", "web")
    say(theatre, RELOADING="1", **fields)
    say(theatre, READY="1")
    assert theatre.life("web").state is State.RELOADING
    begin(theatre)
    say(theatre, READY="1")
    assert theatre.life("web").state is State.RUNNING


@pytest.mark.parametrize("says", [False, True])
def test_one_that_does_not_answer_runs_on_and_the_reload_has_failed(says: bool) -> None:
    theatre = up(speaker(reload_signal=SignalName("USR1")))
    job = theatre.ask("reload", "web").jobs[0].id
    if says:
        begin(theatre)
    theatre.run(until=12)
    assert theatre.life("web").state is State.RUNNING
    missing = "READY=1" if says else "RELOADING=1"
    assert outcome(theatre, job) == f"reload: failed: not reloaded within 10 s: still waiting for {missing}"
    assert theatre.signals == [("web#1", "USR1")]


def test_it_may_ask_for_more_time() -> None:
    theatre = up(speaker())
    job = theatre.ask("reload", "web").jobs[0].id
    theatre.run(until=10)
    say(theatre, EXTEND_TIMEOUT_USEC="20000000")
    theatre.run(until=29)
    begin(theatre)
    say(theatre, READY="1")
    assert outcome(theatre, job).startswith("reload: done")


def test_a_reload_that_is_asked_for_during_one_follows_it() -> None:
    theatre = up(speaker())
    first, second = theatre.ask("reload", "web").jobs[0].id, theatre.ask("reload", "web").jobs[0].id
    assert first == second, "they are one job"
    begin(theatre)
    say(theatre, READY="1")
    assert theatre.signals == [("web#1", "HUP")] * 2
    assert (theatre.life("web").state, outcome(theatre, first)) == (State.RELOADING, "")
    begin(theatre)
    say(theatre, READY="1")
    assert outcome(theatre, first).startswith("reload: done")


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_reload_outlives_the_manager_and_is_asked_for_once(carried_out: bool) -> None:
    theatre = up(speaker())
    if carried_out:
        theatre.ask("reload", "web")
        theatre.kill_manager()
    else:
        theatre.ask_in_vain("reload", "web")
    assert theatre.signals == [("web#1", "HUP")]
    begin(theatre)
    say(theatre, READY="1")
    assert theatre.life("web").state is State.RUNNING
    assert outcome(theatre, 2).startswith("reload: done")


def test_a_reload_whose_job_is_canceled_goes_on_and_so_does_the_agent() -> None:
    theatre = up(speaker())
    job = theatre.ask("reload", "web").jobs[0].id
    theatre.ask("cancel", "web")
    assert outcome(theatre, job).startswith("reload: canceled")
    theatre.run(until=20)
    assert theatre.life("web").state is State.RUNNING


def test_dependants_do_not_notice() -> None:
    theatre = Theatre([speaker(), unit("app", requires=("web",), after=("web",))], lambda *_: Play(ready=0))
    theatre.ask("start", "app")
    theatre.run(until=1)
    theatre.ask("reload", "web")
    theatre.ask("restart", "app")
    theatre.run(until=2)
    assert (theatre.life("web").state, theatre.life("app").state) == (State.RELOADING, State.RUNNING)
    theatre.run(until=20)
    assert theatre.life("app").state is State.RUNNING


def test_one_may_reload_of_its_own_accord() -> None:
    theatre = up(speaker(type="notify"))
    say(theatre, RELOADING="1")
    assert theatre.life("web").coarse is Coarse.RELOADING
    say(theatre, READY="1")
    assert theatre.life("web").state is State.RUNNING


# ------------------------------------------------------------------------------------------- by signal, by commands


def test_a_signal_alone_is_done_when_it_is_sent() -> None:
    theatre = up(speaker(type="notify", reload_signal=SignalName("HUP")))
    job = theatre.ask("reload", "web").jobs[0].id
    assert outcome(theatre, job) == "reload: done: SIGHUP sent to reload"
    assert theatre.life("web").state is State.RUNNING


def test_a_signal_that_did_not_leave_is_sent_by_the_next_manager_once() -> None:
    theatre = up(unit(reload_signal=SignalName("HUP")))
    theatre.ask_in_vain("reload", "web")
    theatre.kill_manager()
    assert theatre.signals == [("web#1", "HUP")]


def test_commands_reload_it() -> None:
    one = speaker(type="notify", exec_reload=commands("/bin/one", "/bin/two"))
    theatre = up(one, exec_reload_1=Play(ends=2))
    pid = str(theatre.life("web").pid)
    job = theatre.ask("reload", "web").jobs[0].id
    theatre.run(until=2.9)
    assert theatre.life("web").cause == "running exec_reload[1] (/bin/two)"
    assert theatre.ran[0].variables == {"MAINPID": pid}
    theatre.run(until=4)
    assert outcome(theatre, job) == "reload: done: reloaded in 2.0 s"
    theatre.ask("reload", "web")
    theatre.run(until=9)
    assert [one.agent for one in theatre.ran] == [f"web#1/reload{number}" for number in (1, 2, 3, 4)]


def test_a_reload_waits_for_the_command_and_for_what_it_says() -> None:
    theatre = up(speaker(type="notify", exec_reload=commands("/bin/one")), exec_reload_0=Play(ends=2))
    theatre.ask("reload", "web")
    begin(theatre)
    theatre.run(until=4)
    assert theatre.life("web").state is State.RELOADING
    say(theatre, READY="1")
    assert theatre.life("web").state is State.RUNNING


def test_a_command_that_fails_fails_the_reload_alone() -> None:
    theatre = up(speaker(type="notify", exec_reload=commands("/bin/one", "/bin/two")), exec_reload_0=BAD)
    job = theatre.ask("reload", "web").jobs[0].id
    theatre.run(until=2)
    assert ran(theatre) == ["exec_reload[0]"]
    assert outcome(theatre, job) == "reload: failed: exec_reload[0] (/bin/one) ended with exit status 3"
    life = theatre.life("web")
    assert (life.state, life.result, life.fault) == (State.RUNNING, Result.SUCCESS, "")


def test_a_command_that_takes_too_long_is_cut_off() -> None:
    theatre = up(speaker(type="notify", exec_reload=commands("/bin/one")), exec_reload_0=Play(heeds=()))
    job = theatre.ask("reload", "web").jobs[0].id
    theatre.run(until=20)
    assert "still waiting for exec_reload[0] (/bin/one) to end" in outcome(theatre, job)
    assert theatre.life("web").state is State.RUNNING
    assert set(theatre.alive) == {"web#1"}
    assert not theatre.unacknowledged


@pytest.mark.parametrize("phases", [(), ("exec_stop", "exec_stop_post")])
@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_stop_cuts_a_reload_off(phases: tuple[str, ...], verb: str) -> None:
    more = {phase: commands("/bin/x") for phase in phases}
    one = speaker(type="notify", exec_reload=commands("/bin/one"), **more)
    theatre = up(one, exec_reload_0=FOREVER)
    job = theatre.ask("reload", "web").jobs[0].id
    theatre.run(until=2)
    theatre.ask(verb, "web")
    theatre.run(until=9)
    assert outcome(theatre, job) == f"reload: canceled: superseded by {verb}"
    assert theatre.life("web").state is (State.DEAD if verb == "stop" else State.RUNNING)
    assert ran(theatre)[1:] == [f"{phase}[0]" for phase in phases]
    assert theatre.two_at_once == []
    assert all("/" not in agent for agent in theatre.alive)


@pytest.mark.parametrize("code", [0, 1])
def test_an_end_during_a_reload_is_an_end(code: int) -> None:
    one = unit(exec_reload=commands("/bin/one"), restart=NEVER)
    theatre = play(one, Play(ends=5, code=code), exec_reload_0=FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=1)
    job = theatre.ask("reload", "web").jobs[0].id
    theatre.run(until=9)
    assert theatre.life("web").state is (State.FAILED if code else State.DEAD)
    assert outcome(theatre, job) == f"reload: failed: ended with exit status {code}"
    assert not theatre.alive


# ------------------------------------------------------------------------------------------- watchdog, last words


def test_a_watchdog_goes_on_during_a_reload() -> None:
    theatre = up(speaker(watchdog=Seconds(5), start_timeout=Seconds(60)))
    theatre.ask("reload", "web")
    theatre.run(until=6)
    assert theatre.life("web").result is Result.WATCHDOG


def test_an_agent_may_set_its_own_watchdog() -> None:
    theatre = up(speaker(type="notify", watchdog=Seconds(5)))
    say(theatre, WATCHDOG_USEC="20000000")
    theatre.run(until=20.9)
    assert theatre.life("web").state is State.RUNNING
    theatre.run(until=21.1)
    assert theatre.life("web").result is Result.WATCHDOG
    assert theatre.life("web").cause.startswith("no WATCHDOG=1 for 20 s")


def test_a_watchdog_that_we_were_too_late_to_feed_begins_anew() -> None:
    theatre = up(speaker(type="notify", watchdog=Seconds(5)))
    theatre.kill_manager(away=60)
    theatre.run(until=65)
    assert theatre.life("web").state is State.RUNNING
    theatre.run(until=67)
    assert theatre.life("web").result is Result.WATCHDOG


def test_what_a_failure_had_said_of_itself() -> None:
    one = unit(type="notify", restart=RestartSection(policy="no"))
    theatre = play(one, Play(ready=0, ends=5, code=1))
    theatre.ask("start", "web")
    theatre.run(until=1)
    say(theatre, ERRNO="13", STATUS="cannot read the model")
    theatre.run(until=6)
    assert theatre.life("web").cause == (
        "ended with exit status 1; it had said: ERRNO=13 (EACCES), cannot read the model"
    )
