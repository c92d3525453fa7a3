"""What follows when a start is left out: a condition did not hold, or an assert."""

from __future__ import annotations

from typing import Any

from maestro.engine.events import Asked
from maestro.engine.state import Goal, Result, State
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
