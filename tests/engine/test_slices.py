"""A slice: what is in it starts after it, stops and stands still with it."""

from __future__ import annotations

from maestro.engine.state import State
from maestro.model.unit import Unit
from maestro.testing.theatre import FOREVER, Theatre, unit

ABOVE, BELOW = "tenants.slice", "tenants-acme.slice"


def theatre(*more: Unit) -> Theatre:
    units = [unit(ABOVE), unit(BELOW), unit("web", slice=BELOW), unit("db", slice=ABOVE), unit("free"), *more]
    made = Theatre(units, lambda *_: FOREVER)
    made.ask("start", "web", "db", "free")
    made.run(until=1)
    return made


def states(made: Theatre, *names: str) -> list[State]:
    return [made.life(name).state for name in names]


def test_a_start_takes_its_slices_along_and_a_stop_of_one_all_in_it() -> None:
    made = theatre()
    assert states(made, ABOVE, BELOW, "web") == [State.RUNNING] * 3
    made.ask("stop", BELOW)
    made.run(until=5)
    assert states(made, ABOVE, BELOW, "web", "db") == [State.RUNNING, State.DEAD, State.DEAD, State.RUNNING]
    assert made.life("web").stopped == f"stopped, for web is in {BELOW}"
    made.ask("start", "web")
    made.run(until=6)
    made.ask("stop", ABOVE)
    made.run(until=12)
    assert states(made, ABOVE, BELOW, "web", "db") == [State.DEAD] * 4
    assert made.life("free").state is State.RUNNING


def test_a_restart_of_a_slice_restarts_what_runs_in_it() -> None:
    made = theatre()
    made.ask("stop", "db")
    made.run(until=5)
    made.ask("restart", ABOVE)
    made.run(until=12)
    assert states(made, ABOVE, BELOW, "web", "db") == [*[State.RUNNING] * 3, State.DEAD]
    assert (made.life("web").agent, made.life("free").agent) == ("web#2", "free#1")


def test_all_in_a_frozen_slice_stands_still_at_any_depth() -> None:
    made = theatre()
    made.ask("freeze", ABOVE)
    assert states(made, ABOVE, BELOW, "web", "db") == [State.FROZEN] * 4
    assert made.still == {"web#1", "db#1"}
    assert made.life("web").cause == f"frozen with {BELOW}"
    made.run(until=61)
    made.ask("thaw", ABOVE)
    assert states(made, ABOVE, BELOW, "web", "db") == [State.RUNNING] * 4
    assert made.still == set()
    assert made.life("web").cause == f"thawed with {BELOW}, after 1 min"


def test_what_was_frozen_by_itself_stays_so_when_its_slice_goes_on() -> None:
    made = theatre()
    made.ask("freeze", "web")
    made.ask("freeze", ABOVE)
    made.ask("thaw", ABOVE)
    assert states(made, BELOW, "web", "db") == [State.RUNNING, State.FROZEN, State.RUNNING]
    made.ask("thaw", "web")
    assert made.still == set()


def test_nothing_in_a_frozen_slice_is_thawed_alone_or_started() -> None:
    made = theatre(unit("late", slice=BELOW))
    made.ask("freeze", ABOVE)
    step = made.ask("thaw", "web")
    assert step.refusals["web"].words == f"cannot thaw web: {BELOW}, which it is in, is frozen"
    made.ask("start", "late")
    made.run(until=3)
    assert made.life("late").state is State.WAITING
    assert made.life("late").cause == f"waits for {BELOW}, which is frozen"
    made.ask("thaw", ABOVE)
    made.run(until=4)
    assert made.life("late").state is State.RUNNING


def test_a_frozen_slice_can_be_stopped_and_restarted() -> None:
    made = theatre()
    made.ask("freeze", ABOVE)
    made.ask("restart", ABOVE)
    made.run(until=8)
    assert states(made, ABOVE, BELOW, "web", "db") == [State.RUNNING] * 4
    made.ask("freeze", ABOVE)
    made.ask("stop", ABOVE)
    made.run(until=16)
    assert states(made, ABOVE, BELOW, "web", "db") == [State.DEAD] * 4
    assert made.still == set()
