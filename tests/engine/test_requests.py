"""What can be asked beside start and stop: modes, isolation, reloads, taking back, rehearsing."""

from __future__ import annotations

from maestro.engine.events import Asked
from maestro.engine.graph import Graph
from maestro.engine.relations import RELATIONS
from maestro.engine.state import State
from maestro.testing.theatre import FOREVER, Play, Theatre, unit
from tests.engine.test_relations import FEW, became


def test_isolate_stops_all_that_is_not_needed() -> None:
    units = [
        unit("rescue.target", requires=["shell"], allow_isolate=True),
        unit("shell"),
        unit("web"),
        unit("log", ignore_on_isolate=True),
    ]
    theatre = Theatre(units)
    theatre.ask("start", "web", "log")
    theatre.run(until=1)
    assert theatre.ask("isolate", "web", mode="isolate").refusals["web"].code == "no-isolate"
    theatre.ask("isolate", "rescue.target", mode="isolate")
    theatre.run(until=2)
    runs = {name for name in ("rescue.target", "shell", "web", "log") if became(theatre, name) == "runs"}
    assert runs == {"rescue.target", "shell", "log"}


def test_mode_fail_cancels_nothing() -> None:
    theatre = Theatre([unit("a", conflicts=["b"]), unit("b")], lambda *_: Play(slow=3))
    theatre.ask("start", "b")
    theatre.run(until=1)
    theatre.ask("stop", "b")
    refusal = theatre.ask("start", "b", mode="fail").refusals["b"]
    assert (refusal.code, refusal.words) == (
        "job-pending",
        "a stop of b is under way, which a start would cancel",
    )


def test_try_restart_leaves_what_does_not_run_alone() -> None:
    theatre = Theatre([unit("a")])
    step = theatre.ask("try-restart", "a")
    assert (step.refusals["a"].done, theatre.life("a").state) == (True, State.DEAD)
    theatre.ask("start", "a")
    theatre.run(until=1)
    theatre.ask("try-restart", "a")
    theatre.run(until=2)
    assert became(theatre, "a") == "again"


def test_reload_or_restart_reloads_where_that_can_be_done() -> None:
    theatre = Theatre([unit("a", reload_signal="HUP"), unit("b")])
    theatre.ask("reload-or-restart", "a", "b")
    theatre.run(until=1)
    theatre.ask("reload-or-restart", "a", "b")
    theatre.run(until=2)
    assert (became(theatre, "a"), became(theatre, "b")) == ("runs", "again")


def test_a_wanted_unit_that_lacks_something_is_left_out_and_told() -> None:
    units = [unit("default.target", wants=["good", "bad"]), unit("good"), unit("bad", requires=["ghost"])]
    theatre = Theatre(units)
    assert not theatre.ask("start", "default.target").refusals
    theatre.run(until=1)
    assert (became(theatre, "good"), became(theatre, "bad")) == ("runs", "down")
    assert [one.words for one in theatre.news if one.kind == "left-out"] == [
        "not started: cannot start bad: bad requires ghost; there is no unit ghost, or it does not load"
    ]


def test_of_a_circle_what_is_only_wanted_is_left_out_and_told() -> None:
    units = [
        unit("default.target", wants=["good", "a", "b"]),
        unit("good"),
        unit("a", after=["b"]),
        unit("b", after=["a"]),
    ]
    theatre = Theatre(units)
    assert not theatre.ask("start", "default.target").refusals
    theatre.run(until=1)
    assert became(theatre, "good") == "runs"
    assert {one.unit for one in theatre.news if one.kind == "left-out"} == {"a", "b"}


def test_a_unit_taken_out_of_the_graph_leaves_nothing_behind() -> None:
    units = [
        unit(name, exclusive=["gpu"], **{option: ["other"] for option in RELATIONS}) for name in ("a", "b")
    ]
    graph = Graph(units)
    for one in units:
        graph.remove(one.name)
    assert not graph.neighbours("other")
    assert not graph.neighbours("a")


# ------------------------------------------------------------------------------------------- cancel, reset-failed


def test_a_canceled_start_is_taken_back() -> None:
    theatre = Theatre([unit("db", type="notify"), unit("web", requires=["db"], after=["db"])])
    theatre.ask("start", "web")
    theatre.run(until=1)
    step = theatre.ask("cancel", "web")
    assert [(job.unit, job.state.value, job.words) for job in step.jobs] == [
        ("web", "canceled", "canceled on request")
    ]
    assert (theatre.life("web").state, theatre.life("db").state) == (State.DEAD, State.STARTING)
    assert theatre.ask("cancel", "web").refusals["web"].code == "no-job"


def test_what_was_canceled_says_so() -> None:
    units = [unit("db", type="notify"), unit("web", requires=["db"], after=["db"])]
    theatre = Theatre(units)
    theatre.ask("start", "web", "db")
    theatre.run(until=1)
    theatre.ask("cancel", "web")
    assert theatre.life("web").cause == "stopped, for its start was canceled"
    theatre.ask("cancel", "db")
    assert theatre.life("db").cause == "its start was canceled"
    theatre.run(until=2)
    assert theatre.life("db").cause == "stopped, for its start was canceled"


def test_a_start_that_is_stopped_before_it_ran_is_stopped_on_request() -> None:
    theatre = Theatre([unit("db", type="notify"), unit("web", requires=["db"], after=["db"])])
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    assert theatre.life("web").cause == "stopped on request"


def test_a_restart_that_ends_in_a_propagated_stop_is_not_done() -> None:
    """That its unit had been ready before says nothing of the restart."""
    units = [unit("lead", propagates_stop_to=["web"]), unit("web")]
    theatre = Theatre(units, lambda name, _: Play(ends=2) if name == "lead" else Play(slow=3))
    theatre.ask("start", "lead", "web")
    theatre.run(until=1)
    [job] = theatre.ask("restart", "web").jobs
    theatre.run(until=3)
    assert theatre.life("web").goal == "down"
    theatre.run(until=6)
    assert theatre.life("web").state is State.DEAD
    [ended] = [one.words for one in theatre.news if one.job == job.id]
    assert ended == "restart: canceled: stopped, for lead propagates stop to web"


def test_a_start_of_what_ran_before_that_ends_in_a_propagated_stop_is_not_done() -> None:
    units = [unit("lead", propagates_stop_to=["web"]), unit("db", type="notify"), unit("web", after=["db"])]
    theatre = Theatre(units, lambda name, _: Play(ends=2) if name == "lead" else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=2)
    theatre.ask("start", "db", "lead")
    [job] = theatre.ask("start", "web").jobs
    theatre.run(until=6)
    assert theatre.life("web").state is State.DEAD
    assert [one.words for one in theatre.news if one.job == job.id] == [
        "start: canceled: stopped, for lead propagates stop to web"
    ]


def test_a_stop_is_taken_back_until_it_has_begun() -> None:
    units = [unit("db"), unit("web", requires=["db"], after=["db"])]
    theatre = Theatre(units, lambda *_: Play(slow=5))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "db")
    assert not theatre.ask("cancel", "db").refusals
    theatre.run(until=10)
    assert (theatre.life("db").state, theatre.life("web").state) == (State.RUNNING, State.DEAD)
    theatre.ask("stop", "db")
    assert theatre.ask("cancel", "db").refusals["db"].code == "too-late"


def test_reset_failed_forgets_the_failure_and_the_count() -> None:
    theatre = Theatre([unit("me", restart=FEW)], lambda *_: Play(ends=1, code=1))
    theatre.ask("start", "me")
    theatre.run(until=10)
    assert theatre.life("me").state is State.COOLDOWN
    theatre.ask("reset-failed", "me")
    theatre.run(until=5000)
    assert (theatre.life("me").state, theatre.life("me").starts) == (State.DEAD, ())


def test_without_regard_to_dependencies_a_unit_starts_and_stops_alone() -> None:
    units = [unit("db", type="notify"), unit("web", requires=["db"], after=["db"])]
    theatre = Theatre(units, lambda *_: Play(ready=1))
    theatre.ask("start", "web", mode="ignore-dependencies")
    theatre.run(until=0.5)
    assert (became(theatre, "web"), became(theatre, "db")) == ("runs", "down")
    theatre.ask("start", "db")
    theatre.run(until=5)
    theatre.ask("stop", "db", mode="ignore-dependencies")
    theatre.run(until=6)
    assert (became(theatre, "web"), became(theatre, "db")) == ("runs", "down")


def test_a_rehearsal_changes_nothing() -> None:
    theatre = Theatre([unit("me", requires=["other"]), unit("other"), unit("bad", requires=["ghost"])])
    plan, refusals = theatre.world.rehearse(Asked("start", ("me", "bad")))
    assert [(job.unit, job.asked, job.why) for job in plan.jobs] == [
        ("me", True, ""),
        ("other", False, "me requires other"),
    ]
    assert refusals["bad"].code == "missing-requirement"
    assert theatre.life("me").state is State.DEAD
    assert not theatre.world.book.jobs
