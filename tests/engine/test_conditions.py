"""What follows when a start is left out: a condition did not hold, or an assert."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.events import Asked
from maestro.engine.state import Goal, Result, State
from maestro.model.conditions import CheckSection, PathCheck
from maestro.model.unit import RestartSection
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

WHY = "condition path_exists=/x was not met"


def stage(*units: Any, **plays: Play) -> Theatre:
    return Theatre(units, lambda name, number: plays.get(name, FOREVER))


def job_of(theatre: Theatre, name: str) -> str:
    return [one.words for one in theatre.news if one.kind == "job" and one.unit == name][-1]


def test_a_skipped_start_is_done_and_not_tried_again() -> None:
    theatre = stage(unit("web", restart=RestartSection(policy="always")), web=Play(skipped=WHY))
    theatre.ask("start", "web")
    theatre.run(1000)
    life = theatre.life("web")
    assert (life.state, life.goal, life.cause) == (State.DEAD, Goal.DOWN, f"skipped: {WHY}")
    assert (life.spawns, life.result, life.restarts) == (1, Result.SUCCESS, 0)
    assert job_of(theatre, "web") == f"start: done: skipped: {WHY}"
    assert [one.kind for one in theatre.news if one.unit == "web"] == ["starting", "skipped", "job"]


def test_who_requires_or_wants_a_skipped_unit_goes_on() -> None:
    theatre = stage(
        unit("db"), unit("web", requires=["db"], after=["db"]), unit("log", wants=["db"], after=["db"]),
        db=Play(skipped=WHY),
    )  # fmt: skip
    theatre.ask("start", "web", "log")
    theatre.run(1)
    assert {name: theatre.life(name).state for name in ("db", "web", "log")} == {
        "db": State.DEAD,
        "web": State.RUNNING,
        "log": State.RUNNING,
    }


def test_who_is_bound_to_a_skipped_unit_waits_for_it() -> None:
    plays = {"db": Play(skipped=WHY)}
    theatre = Theatre(
        (unit("db"), unit("web", binds_to=["db"], after=["db"])),
        lambda name, number: plays.get(name, FOREVER),
    )
    theatre.ask("start", "web")
    theatre.run(1)
    assert theatre.life("web").state is State.WAITING
    assert theatre.life("web").cause == f"waits for db, which was left out: skipped: {WHY}"
    assert job_of(theatre, "web").startswith("start: dependency")
    del plays["db"]
    theatre.ask("start", "db")
    theatre.run(2)
    assert theatre.life("web").state is State.RUNNING


def test_nothing_is_triggered_by_a_skip() -> None:
    theatre = stage(
        unit("web", on_success=["good"], on_failure=["bad"]), unit("good"), unit("bad"), web=Play(skipped=WHY)
    )
    theatre.ask("start", "web")
    theatre.run(1)
    assert not theatre.alive


def test_an_unmet_assert_is_a_failure_that_is_not_tried_again() -> None:
    theatre = stage(
        unit("web", restart=RestartSection(policy="always"), on_failure=["bad"]), unit("bad"),
        unit("top", requires=["web"], after=["web"]),
        web=Play(refused="assert user=nobody was not met"),
    )  # fmt: skip
    theatre.ask("start", "top", "web")
    theatre.run(1000)
    life = theatre.life("web")
    assert (life.state, life.result) == (State.FAILED, Result.ASSERT)
    assert life.cause == "assert user=nobody was not met"
    assert job_of(theatre, "web") == "start: failed: assert user=nobody was not met"
    assert theatre.life("bad").state is State.RUNNING
    assert theatre.life("top").state is State.WAITING


def test_a_later_start_looks_again() -> None:
    plays = [Play(skipped=WHY), FOREVER]
    theatre = Theatre([unit("web")], lambda name, number: plays[number - 1])
    for at in (1, 2):
        theatre.ask("start", "web")
        theatre.run(at)
    assert theatre.life("web").state is State.RUNNING
    assert not theatre.life("web").skipped


def test_a_stop_that_crosses_with_a_skip_is_a_stop() -> None:
    """Asked in the same batch: what both ask for is carried out after the commit."""
    theatre = stage(unit("web"), web=Play(skipped=WHY))
    started = theatre.feed(Asked("start", ("web",)), carry=False)
    stopped = theatre.feed(Asked("stop", ("web",)), carry=False)
    for deed in (*started.deeds, *stopped.deeds):
        theatre.carry(deed)
    theatre.run(1)
    assert theatre.life("web").cause == "stopped on request"


def test_a_manager_that_dies_before_it_looked_leaves_it_to_the_next() -> None:
    theatre = stage(unit("web"), web=Play(skipped=WHY))
    theatre.ask_in_vain("start", "web")
    theatre.run(1)
    assert theatre.life("web").cause == f"skipped: {WHY}"


# ------------------------------------------------------------------------------------------- targets

ASKS = CheckSection(path_exists=(PathCheck("/x"),))


def house(check: Play) -> Theatre:
    """A target with a condition, one that it wants, and one that requires it."""
    return stage(
        unit("all.target", wants=["extra"], condition=ASKS, on_failure=["bad"]),
        unit("extra"),
        unit("top", requires=["all.target"], after=["all.target"]),
        unit("bad"),
        **{"all.target": check},
    )


def test_a_target_whose_conditions_hold_is_reached() -> None:
    theatre = house(FOREVER)
    theatre.ask("start", "top")
    theatre.run(1)
    assert theatre.states("all.target") == [State.WAITING, State.SPAWNING, State.RUNNING]
    life = theatre.life("all.target")
    assert (life.cause, life.agent, life.alive) == ("reached", "", False)
    assert [one.kind for one in theatre.news if one.unit == "all.target"] == ["waiting", "ready"]
    assert theatre.life("top").state is State.RUNNING


def test_a_skipped_target_is_done_and_what_it_pulled_in_and_who_requires_it_run() -> None:
    theatre = house(Play(skipped=WHY))
    theatre.ask("start", "top", "all.target")
    theatre.run(1)
    life = theatre.life("all.target")
    assert (life.state, life.cause, life.agent) == (State.DEAD, f"skipped: {WHY}", "")
    assert job_of(theatre, "all.target") == f"start: done: skipped: {WHY}"
    assert [theatre.life(name).state for name in ("extra", "top")] == [State.RUNNING, State.RUNNING]
    assert not theatre.unacknowledged


def test_a_target_with_an_unmet_assert_has_failed() -> None:
    theatre = house(Play(refused="assert path_exists=/x was not met"))
    theatre.ask("start", "top", "all.target")
    theatre.run(1)
    assert theatre.life("all.target").state is State.FAILED
    assert job_of(theatre, "all.target") == "start: failed: assert path_exists=/x was not met"
    words = "waits for all.target, which has failed: assert path_exists=/x was not met"
    assert theatre.life("top").cause == words
    assert theatre.life("bad").state is State.RUNNING


def test_a_restart_of_a_target_looks_again() -> None:
    plays = [FOREVER, Play(skipped=WHY)]
    theatre = Theatre([unit("all.target", condition=ASKS)], lambda name, number: plays[number - 1])
    theatre.ask("start", "all.target")
    theatre.run(1)
    theatre.ask("restart", "all.target")
    theatre.run(2)
    assert theatre.life("all.target").cause == f"skipped: {WHY}"


@pytest.mark.parametrize(("verb", "state"), [("stop", State.DEAD), ("restart", State.RUNNING)])
def test_a_verb_that_crosses_with_the_look_at_a_target_wins(verb: str, state: State) -> None:
    theatre = Theatre([unit("all.target", condition=ASKS)])
    begun = theatre.feed(Asked("start", ("all.target",)), carry=False)
    assert theatre.life("all.target").state is State.SPAWNING
    for deed in (*begun.deeds, *theatre.feed(Asked(verb, ("all.target",)), carry=False).deeds):
        theatre.carry(deed)
    assert theatre.run(1).life("all.target").state is state


@pytest.mark.parametrize("keeper", [False, True])
def test_a_manager_that_dies_before_it_looked_at_a_target_leaves_it_to_the_next(keeper: bool) -> None:
    theatre = stage(unit("all.target", condition=ASKS), **{"all.target": Play(skipped=WHY)})
    theatre.feed(Asked("start", ("all.target",)), carry=False)
    theatre.kill_manager(keeper=keeper)
    assert theatre.run(1).life("all.target").cause == f"skipped: {WHY}"
    theatre.kill_manager(keeper=keeper)
    assert theatre.run(2).life("all.target").cause == f"skipped: {WHY}"


def test_a_target_that_is_upheld_and_skipped_is_not_tried_without_end() -> None:
    holder = unit("holder", upholds=["all.target"])
    theatre = stage(holder, unit("all.target", condition=ASKS), **{"all.target": Play(skipped=WHY)})
    theatre.ask("start", "holder")
    theatre.run(600)
    assert 3 < theatre.life("all.target").spawns < 40
