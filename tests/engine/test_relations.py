"""What each kind of dependency means: one row a kind, one column for each thing that can become of the other side."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from maestro.engine.events import Quit
from maestro.engine.relations import RELATIONS
from maestro.engine.state import State
from maestro.model.unit import RestartSection, Unit
from maestro.model.values import Percentage, Seconds, StartLimit
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

ONCE = RestartSection(policy="no")
SOON = RestartSection(delay=Seconds(5), start_limits=())
FEW = RestartSection(delay=Seconds(0), start_limits=(StartLimit("1/1h"),), cooldown=Seconds(1000))


class Row(Struct, frozen=True):
    """What becomes of `me`, which says OPTION: [other]; `runs` is as it was, `waits` comes back by itself."""

    option: str
    start_pulls: bool = False  # a start of me starts the other
    missing: str = "runs"  # a start of me where there is no other: runs, refused
    stop: str = "runs"  # the other is stopped: runs, down
    restart: str = "runs"  # the other is restarted: runs, again
    failure: str = "runs"  # the other fails: runs, down, waits
    recovery: str = "runs"  # … and is then started by hand
    gives_up: str = "runs"  # the other breaks its start limit
    held: bool = False  # while the other is starting, I wait (with `after`)
    first_fails: str = "runs"  # the other fails before I could start (with `after`)
    my_stop: str = "runs"  # what my stop does to the other


TABLE = (
    Row("requires", True, "refused", stop="down", restart="again", held=True, first_fails="waits"),
    Row("wants", True, held=True),
    Row(
        "binds_to",
        True,
        "refused",
        stop="down",
        restart="again",
        failure="waits",
        gives_up="waits",
        held=True,
        first_fails="waits",
    ),
    Row("part_of", stop="down", restart="again"),
    Row("upholds", True, held=True),
    Row("milestone", True, "refused", held=True, first_fails="waits"),
    Row("propagates_stop_to", my_stop="down"),
    Row("propagates_reload_to"),
)


def the(row: Row, **other: Any) -> list[Unit]:
    said = {row.option: ["other"], "after": ["other"]}
    other.setdefault("restart", ONCE)
    return [unit("me", restart=ONCE, **said), unit("other", type="notify", **other)]


def up(row: Row, *plays: Play, **other: Any) -> Theatre:
    """Both run, and the other's first process goes as the first of `plays` says."""

    def script(name: str, number: int) -> Play:
        return plays[min(number, len(plays)) - 1] if name == "other" else FOREVER

    theatre = Theatre(the(row, **other), script)
    theatre.ask("start", "me", "other")
    return theatre.run(until=5)


def became(theatre: Theatre, name: str) -> str:
    life = theatre.life(name)
    if life.state is State.RUNNING:
        return "again" if life.spawns > 1 else "runs"
    if life.state is State.WAITING:
        return "waits"
    return "down"


READY = Play(ready=1)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.option)
class TestTruthTable:
    def test_start(self, row: Row) -> None:
        theatre = Theatre(the(row), lambda *_: READY)
        theatre.ask("start", "me")
        theatre.run(until=10)
        assert became(theatre, "me") == "runs"
        assert (became(theatre, "other") == "runs") == row.start_pulls

    def test_the_other_does_not_exist(self, row: Row) -> None:
        theatre = Theatre(the(row)[:1])
        step = theatre.ask("start", "me")
        assert ("refused" if step.refusals else became(theatre.run(until=5), "me")) == row.missing
        if step.refusals:
            assert f"me {row.option.replace('_', ' ')} other" in step.refusals["me"].words

    def test_the_other_is_stopped(self, row: Row) -> None:
        theatre = up(row, READY)
        theatre.ask("stop", "other")
        theatre.run(until=50)
        assert became(theatre, "me") == row.stop
        # Only what is upheld comes back.
        assert (became(theatre, "other") == "again") == (row.option == "upholds")

    def test_the_other_is_restarted(self, row: Row) -> None:
        theatre = up(row, READY)
        theatre.ask("restart", "other")
        theatre.run(until=50)
        assert became(theatre, "me") == row.restart
        assert became(theatre, "other") == "again"

    def test_the_other_fails_and_recovers(self, row: Row) -> None:
        theatre = up(row, Play(ready=1, ends=10, code=1), READY)
        theatre.run(until=10.5)
        assert became(theatre, "me") == row.failure
        theatre.ask("start", "other")
        theatre.run(until=50)
        assert became(theatre, "me") == {"waits": "again"}.get(row.failure, row.failure)

    def test_the_other_gives_up(self, row: Row) -> None:
        crash = Play(ready=1, ends=10, code=1)
        theatre = up(row, crash, crash, crash, restart=FEW)
        theatre.run(until=100)
        assert theatre.life("other").state is State.COOLDOWN
        assert became(theatre, "me") == row.gives_up

    def test_i_wait_for_one_that_is_starting(self, row: Row) -> None:
        theatre = Theatre(the(row), lambda *_: READY)
        theatre.ask("start", "me")
        theatre.run(until=0.5)
        assert (became(theatre, "me") == "waits") == row.held

    def test_the_other_fails_before_i_start(self, row: Row) -> None:
        theatre = Theatre(the(row), lambda name, _: Play(ends=1, code=1) if name == "other" else FOREVER)
        theatre.ask("start", "me")
        theatre.run(until=1.1)
        assert became(theatre, "me") == row.first_fails

    def test_i_am_stopped(self, row: Row) -> None:
        theatre = up(row, READY)
        theatre.ask("stop", "me")
        theatre.run(until=50)
        assert became(theatre, "other") == row.my_stop


def test_every_kind_of_dependency_is_in_the_table_or_has_tests_of_its_own() -> None:
    assert {row.option for row in TABLE} | {"requisite", "conflicts"} == set(RELATIONS)


# ------------------------------------------------------------------------------------------- requisite


def test_a_start_is_refused_while_a_requisite_is_down_and_goes_through_while_it_is_coming() -> None:
    theatre = Theatre(
        [unit("me", requisite=["other"], after=["other"]), unit("other", type="notify")], lambda *_: READY
    )
    refusal = theatre.ask("start", "me").refusals["me"]
    assert refusal.code == "requisite"
    assert refusal.words == "cannot start me: me requisite other; other is not up"
    theatre.ask("start", "other")
    assert not theatre.ask("start", "me").refusals
    theatre.run(until=5)
    assert became(theatre, "me") == "runs"


# ------------------------------------------------------------------------------------------- conflicts


@pytest.mark.parametrize("says", ["a", "b"])
def test_a_start_stops_what_conflicts_and_waits_for_its_end(says: str) -> None:
    other = {"a": "b", "b": "a"}[says]
    theatre = Theatre([unit(says, conflicts=[other]), unit(other)], lambda *_: Play(slow=3))
    theatre.ask("start", "a")
    theatre.run(until=5)
    theatre.ask("start", "b")
    assert became(theatre, "b") == "waits"
    assert "a" in theatre.life("b").cause
    theatre.run(until=20)
    assert (theatre.life("a").state, theatre.times("b", State.RUNNING)) == (State.DEAD, [8])
    assert theatre.life("a").cause == f"stopped, for {says} conflicts {other}"
    theatre.ask("start", "a")
    theatre.run(until=40)
    assert (theatre.life("b").state, theatre.life("a").state) == (State.DEAD, State.RUNNING)


def test_what_requires_both_sides_of_a_conflict_is_refused_with_the_chain() -> None:
    units = [
        unit("me", requires=["a", "b"]),
        unit("a", conflicts=["b"]),
        unit("b"),
    ]
    refusal = Theatre(units).ask("start", "me").refusals["me"]
    assert refusal.code == "conflict"
    assert "b would be stopped (me requires a, a conflicts b) and be started (me requires b)" in refusal.words


# ------------------------------------------------------------------------------------------- exclusive


def test_an_exclusive_thing_is_held_by_one_at_a_time() -> None:
    units = [unit(name, exclusive=["gpu0"]) for name in ("a", "b", "c")]
    theatre = Theatre(units)
    theatre.ask("start", "a", "b", "c")
    theatre.run(until=1)
    assert [became(theatre, name) for name in ("a", "b", "c")] == ["runs", "waits", "waits"]
    assert theatre.life("b").cause == "waits for a, which holds gpu0"
    theatre.ask("stop", "a")
    theatre.run(until=2)
    assert sorted(became(theatre, name) for name in ("b", "c")) == ["runs", "waits"]


# ------------------------------------------------------------------------------------------- upholds


def test_what_is_upheld_and_fails_is_started_again_with_a_growing_pause() -> None:
    units = [
        unit("me", upholds=["other"]),
        unit("other", restart=RestartSection(policy="no", jitter=Percentage(0))),
    ]
    theatre = Theatre(units, lambda name, _: FOREVER if name == "me" else Play(ends=0.5, code=1))
    theatre.ask("start", "me")
    theatre.run(until=20)
    assert theatre.times("other", State.SPAWNING) == [0, 1.5, 4, 8.5, 17]
    theatre.ask("stop", "me")
    theatre.run(until=1000)
    assert theatre.life("other").spawns == 5


# ------------------------------------------------------------------------------------------- taken along


def stops(theatre: Theatre, name: str) -> list[str]:
    return [one.words for one in theatre.news if (one.unit, one.kind) == (name, "stopped")]


def test_what_is_bound_says_what_it_was_stopped_for_and_not_what_it_was_started_for() -> None:
    units = [
        unit("default.target", wants=["web"]),
        unit("db", restart=FEW),
        unit("web", binds_to=["db"], after=["db"]),
    ]
    theatre = Theatre(
        units, lambda name, number: Play(ends=2, code=1) if (name, number) == ("db", 1) else FOREVER
    )
    theatre.ask("start", "default.target")
    theatre.run(until=30)
    assert became(theatre, "web") == "again"
    assert stops(theatre, "web") == [
        "stopped: bound to db, which is activating: ended with exit status 1, to be started again"
    ]


def test_a_start_during_a_stop_is_not_told_as_the_reason_of_the_stop() -> None:
    units = [unit("front", requires=["web"]), unit("web")]
    theatre = Theatre(units, lambda *_: Play(slow=2))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=2)
    theatre.ask("start", "front")
    theatre.run(until=5)
    assert became(theatre, "web") == "again"
    assert stops(theatre, "web") == ["stopped on request, to be started again"]


def test_a_start_during_an_end_by_a_fault_leaves_the_fault_as_the_reason() -> None:
    units = [unit("front", requires=["web"]), unit("web", restart=RestartSection(policy="no"))]
    theatre = Theatre(
        units, lambda _, number: Play(ends=1, code=3, leaves=1, lingers=2) if number == 1 else FOREVER
    )
    theatre.ask("start", "web")
    theatre.run(until=2)
    theatre.ask("start", "front")
    theatre.run(until=60)
    assert became(theatre, "web") == "again"
    assert stops(theatre, "web") == ["ended with exit status 3, to be started again"]


def test_an_end_by_itself_takes_down_what_the_stop_is_propagated_to() -> None:
    units = [unit("me", propagates_stop_to=["other"], restart=ONCE), unit("other")]
    theatre = Theatre(units, lambda name, _: Play(ends=5, code=1) if name == "me" else FOREVER)
    theatre.ask("start", "me", "other")
    theatre.run(until=10)
    assert became(theatre, "other") == "down"


def test_a_reload_is_passed_on_to_what_runs() -> None:
    units = [
        unit("me", propagates_reload_to=["other", "idle"], reload_signal="HUP"),
        unit("other", reload_signal="USR1"),
        unit("idle", reload_signal="HUP"),
    ]
    theatre = Theatre(units)
    theatre.ask("start", "me", "other")
    theatre.run(until=1)
    sent = theatre.ask("reload", "me").deeds
    assert [(deed.agent, deed.signal) for deed in sent] == [("me#1", "HUP"), ("other#1", "USR1")]  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------- ends that start


@pytest.mark.parametrize(
    ("option", "play", "restart", "started"),
    [
        ("on_failure", Play(ends=1, code=1), ONCE, True),
        ("on_failure", Play(ends=1, code=0), ONCE, False),
        ("on_failure", Play(ends=1, code=1), SOON, False),  # it is restarted: that is not failed yet
        ("on_failure", Play(ends=1, code=1), FEW, True),
        ("on_success", Play(ends=1, code=0), ONCE, True),
        ("on_success", Play(ends=1, code=1), ONCE, False),
        ("on_give_up", Play(ends=1, code=1), FEW, True),
        ("on_give_up", Play(ends=1, code=1), ONCE, False),
    ],
)
def test_an_end_starts_others(option: str, play: Play, restart: RestartSection, started: bool) -> None:
    units = [unit("me", restart=restart, **{option: ["helper"]}), unit("helper")]
    theatre = Theatre(units, lambda name, _: play if name == "me" else FOREVER)
    theatre.ask("start", "me")
    theatre.run(until=8)
    assert (became(theatre, "helper") == "runs") == started


def test_what_cannot_be_started_after_an_end_is_told() -> None:
    theatre = Theatre([unit("me", restart=ONCE, on_failure=["ghost"])], lambda *_: Play(ends=1, code=1))
    theatre.ask("start", "me")
    theatre.run(until=8)
    assert any(one.unit == "ghost" and "wanted by me" in one.words for one in theatre.news)


@pytest.mark.parametrize(
    ("play", "code"), [(Play(ends=1, code=7), 7), (Play(ends=1, code=None, signal=9), 137)]
)
def test_an_essential_unit_that_fails_for_good_ends_the_daemon_with_its_code(play: Play, code: int) -> None:
    theatre = Theatre([unit("me", restart=ONCE, essential=True)], lambda *_: play)
    theatre.ask("start", "me")
    quits: list[Quit] = []
    theatre.on_quit = quits.append
    theatre.run(until=5)
    assert quits == [Quit("me", code)]
