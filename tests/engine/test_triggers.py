"""A unit that another's end has started knows whose, and how that ended."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.events import SetAside
from maestro.engine.state import Life, Result, State
from maestro.model.unit import RestartSection
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

NEVER = RestartSection(policy="no")


def hook(play: Play, option: str, **more: Any) -> Life:
    """The life of the hook after the other unit went so."""
    theatre = Theatre(
        (unit("web", **{option: ["hook"], "restart": NEVER, **more}), unit("hook")),
        lambda name, number: play if name == "web" else FOREVER,
    )
    theatre.ask("start", "web")
    theatre.run(1000)
    return theatre.life("hook")


def test_the_end_of_the_other_is_kept() -> None:
    trigger = hook(Play(ends=5, code=3), "on_failure").trigger
    assert trigger is not None
    assert trigger.ended is not None
    assert (trigger.unit, trigger.agent, trigger.result, trigger.ended.code) == (
        "web",
        "web#1",
        Result.EXIT_CODE,
        3,
    )


@pytest.mark.parametrize(
    ("play", "option", "result"),
    [
        (Play(ends=5), "on_success", Result.SUCCESS),
        (Play(ends=5, code=None, signal=9), "on_failure", Result.SIGNAL),
        (Play(refused="assert user=x was not met"), "on_failure", Result.ASSERT),
        (Play(cannot="no such program"), "on_failure", Result.RESOURCES),
    ],
)
def test_every_kind_of_end(play: Play, option: str, result: Result) -> None:
    trigger = hook(play, option).trigger
    assert trigger is not None
    assert trigger.result is result


def test_giving_up_is_a_trigger() -> None:
    rule = RestartSection(policy="always", on_give_up="fail")
    trigger = hook(Play(ends=0, code=1), "on_give_up", restart=rule).trigger
    assert trigger is not None
    assert trigger.unit == "web"


def test_a_start_by_hand_has_none_and_one_that_runs_keeps_its_own() -> None:
    theatre = Theatre(
        (unit("web", on_failure=["hook"], restart=NEVER), unit("hook")),
        lambda name, number: Play(ends=5, code=1) if name == "web" else FOREVER,
    )
    theatre.ask("start", "hook")
    theatre.ask("start", "web")
    theatre.run(10)
    assert theatre.life("web").state is State.FAILED
    assert theatre.life("hook").trigger is None
    theatre.ask("stop", "hook")
    theatre.run(11)
    theatre.ask("start", "web")
    theatre.run(20)
    assert theatre.life("hook").trigger is not None
    theatre.ask("restart", "hook")
    theatre.run(30)
    assert theatre.life("hook").trigger is None


# ------------------------------------------------------------------------------------------- found by trying to break it


def test_units_that_start_each_other_when_they_fail_come_to_rest_at_their_start_limits() -> None:
    units = [
        unit("a", restart=RestartSection(policy="no"), on_failure=["b"]),
        unit("b", restart=RestartSection(policy="no"), on_failure=["a"]),
    ]
    theatre = Theatre(units, lambda *_: Play(ends=0.1, code=1))
    theatre.ask("start", "a")
    theatre.run(until=60)
    assert theatre.life("a").spawns + theatre.life("b").spawns <= 12
    assert any("was started too often: 5/10s" in one.words for one in theatre.news)


def test_a_start_for_another_cancels_the_stop_that_it_contradicts() -> None:
    units = [unit("web"), unit("bad", restart=RestartSection(policy="no"), on_failure=["web"])]
    theatre = Theatre(units, lambda name, _: Play(ends=1, code=1) if name == "bad" else Play(slow=5))
    theatre.ask("start", "web", "bad")
    theatre.run(until=0.5)
    theatre.ask("stop", "web")
    theatre.run(until=30)
    assert theatre.life("web").state is State.RUNNING
    assert not theatre.world.book.jobs


def test_a_restart_is_not_passed_on_to_what_is_being_stopped() -> None:
    units = [unit("db"), unit("app", requires=["db"], after=["db"])]
    theatre = Theatre(units, lambda *_: Play(slow=10))
    theatre.ask("start", "app")
    theatre.run(until=1)
    theatre.ask("stop", "app")
    theatre.ask("restart", "db")
    theatre.run(until=60)
    assert (theatre.life("app").state, theatre.life("db").state) == (State.DEAD, State.RUNNING)


def test_units_whose_order_was_made_a_circle_while_they_ran_can_be_stopped() -> None:
    theatre = Theatre([unit("a"), unit("b")])
    theatre.ask("start", "a", "b")
    theatre.run(until=1)
    for one in (unit("a", after=["b"]), unit("b", after=["a"])):
        theatre.world.put(one)
    theatre.ask("stop", "a", "b")
    theatre.run(until=5)
    assert {theatre.life(name).state for name in ("a", "b")} == {State.DEAD}


def test_a_stop_after_a_start_without_regard_to_order_regards_it_again() -> None:
    units = [unit("web"), unit("lb", after=["web"])]
    theatre = Theatre(units, lambda *_: Play(slow=5))
    theatre.ask("start", "web", "lb")
    theatre.run(until=1)
    theatre.ask("start", "web", mode="ignore-dependencies")
    theatre.ask("stop", "web", "lb")
    theatre.run(until=20)
    assert theatre.times("web", State.STOPPING) == [6]


def test_isolating_several_of_which_one_is_refused_stops_nothing() -> None:
    units = [unit("i.target", allow_isolate=True), unit("noiso"), unit("web")]
    theatre = Theatre(units)
    theatre.ask("start", "web")
    theatre.run(until=1)
    step = theatre.ask("isolate", "i.target", "noiso", mode="isolate")
    assert set(step.refusals) == {"noiso"}
    theatre.run(until=5)
    assert theatre.life("web").state is State.RUNNING


def test_a_unit_that_is_set_aside_ends_its_job_and_is_not_upheld() -> None:
    units = [unit("me", upholds=["bad"]), unit("bad", type="notify", restart=RestartSection(policy="no"))]
    theatre = Theatre(units)
    theatre.ask("start", "me", "bad")
    theatre.run(until=1)
    step = theatre.feed(SetAside("bad", "two managers crashed"))
    assert [(job.unit, job.state.value) for job in step.jobs] == [("bad", "failed")]
    theatre.run(until=1000)
    assert (theatre.life("bad").state, theatre.life("bad").spawns) == (State.FAILED, 1)
