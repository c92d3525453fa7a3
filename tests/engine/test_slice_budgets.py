"""Budgets of slices on a virtual clock: what is in one uses it together, and goes on when no budget holds it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from maestro.engine.events import Granted, Reread, Reset, Used
from maestro.engine.state import State
from maestro.model.budget import BudgetSection, Count, Counts, Durations
from maestro.model.slices import SliceRef
from maestro.model.unit import ResourcesSection, RestartSection, StopSection, Unit
from maestro.model.values import Percentage, Seconds, StopStep
from maestro.testing.theatre import FOREVER, Play, Theatre, unit
from tests.engine.around import befall
from tests.engine.test_accounts import many, plays

MIDNIGHT = 1_795_219_200.0  # 2026-11-21 00:00 UTC
STOP = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL 5s")))
OUTER, INNER = "team.slice", "team-a.slice"
_NONE = BudgetSection()


def budget(action: str = "freeze", **amounts: dict[str, Any]) -> BudgetSection:
    kinds = {"runs": (Counts, Count), "restarts": (Counts, Count)}
    made: dict[str, Any] = {}
    for name, windows in amounts.items():
        many_of, one = kinds.get(name, (Durations, Seconds))
        made[name] = many_of({window: one(amount) for window, amount in windows.items()})
    return BudgetSection(on_exhausted=action, **made)  # type: ignore[arg-type]


def play(*slices: tuple[str, BudgetSection], own: BudgetSection = _NONE, **options: Any) -> Theatre:
    """Two agents in the inner slice and one in the outer, that run since midnight."""
    budgets = dict(slices)
    made = Theatre(
        [
            *(unit(name, budget=budgets.get(name, _NONE)) for name in (OUTER, INNER)),
            unit("web", slice=INNER, budget=own, stop=STOP, **options),
            unit("db", slice=INNER, stop=STOP, **options),
            unit("lead", slice=OUTER, stop=STOP, **options),
        ],
        lambda *_: FOREVER,
    )
    made.epoch = MIDNIGHT
    made.ask("start", "web", "db", "lead")
    made.run(until=0)
    return made


def spend(made: Theatre, **cpu: float) -> None:
    made.feed(Used(counters={made.life(name).agent: {"cpu_seconds": used} for name, used in cpu.items()}))


def used(made: Theatre, holder: str, key: str = "cpu_seconds/day") -> float:
    return made.world.ledger.of(holder).entries[key].used


def test_what_agents_use_is_charged_to_all_slices_that_they_are_in() -> None:
    day = budget(cpu_seconds={"day": "1h"})
    made = play((OUTER, day), (INNER, day))
    spend(made, web=100, db=200, lead=300)
    spend(made, web=150, db=200, lead=300)
    assert (used(made, INNER), used(made, OUTER)) == (350, 650)
    assert made.committed[INNER] == made.world.ledger.of(INNER)


def test_all_in_it_stand_still_until_its_window_is_over() -> None:
    made = play((INNER, budget(cpu_seconds={"day": "4h"})))
    spend(made, web=7200, db=7199)
    assert made.still == set()
    spend(made, db=7200)
    assert made.still == {"web#1", "db#1"}
    assert made.life("lead").state is made.life(INNER).state is State.RUNNING
    assert made.life("web").cause == (
        "frozen: budget of slice team-a.slice exhausted: cpu_seconds of today are used up (4h of 4h); "
        "goes on at 00:00 UTC, or by `maestroctl budget grant team-a.slice cpu_seconds 1h`"
    )
    kinds = [(news.unit, news.kind) for news in made.news if news.kind.startswith("budget")]
    assert kinds == [(INNER, "budget-warning"), (INNER, "budget-exhausted")], "each once, of the slice"
    refusal = made.ask("thaw", "web").refusals["web"]
    assert (refusal.code, refusal.hint.split()[-1]) == ("exhausted", INNER)
    made.run(until=86_400)
    assert made.still == set()
    assert made.life("web").agent == "web#1"
    assert used(made, INNER) == 0


def test_it_goes_on_only_when_neither_budget_holds_it() -> None:
    made = play((INNER, budget(cpu_seconds={"day": "1h"})), own=budget(cpu_seconds={"day": "30min"}))
    spend(made, web=1800)
    assert made.life("web").stilled_by == ("web",)
    spend(made, db=1800)
    life = made.life("web")
    assert (life.stilled_by, made.life("db").stilled_by) == (("web", INNER), (INNER,))
    assert "cpu_seconds of today are used up (30min of 30min) and budget of slice team-a.slice" in life.cause
    assert "`maestroctl budget grant web cpu_seconds 1h` and `maestroctl budget grant team-a" in life.cause
    made.feed(Granted(holder="web", resource="cpu_seconds", amount=60))
    assert made.still == {"web#1", "db#1"}
    assert made.life("web").cause.startswith("frozen: budget of slice team-a.slice exhausted")
    made.feed(Reset(holder=INNER))
    assert made.still == set()
    spend(made, web=1860)
    assert made.still == {"web#1"}
    assert used(made, INNER) == 60, "what was reset is not counted again"


def test_a_grant_for_the_outer_slice_frees_nobody_of_the_inner() -> None:
    hour = budget(cpu_seconds={"hour": "10min"})
    made = play((OUTER, hour), (INNER, hour))
    spend(made, web=600)
    assert made.still == {"web#1", "db#1", "lead#1"}
    made.feed(Granted(holder=OUTER, resource="cpu_seconds", amount=600))
    assert made.still == {"web#1", "db#1"}
    made.run(until=3600)
    assert made.still == set()


def test_time_of_all_in_it_counts_and_is_known_ahead() -> None:
    made = play((OUTER, budget(wall_time={"day": "3h"})))
    made.run(until=3599)
    assert made.still == set()
    made.run(until=3601)
    assert made.still == {"web#1", "db#1", "lead#1"}
    assert used(made, OUTER, "wall_time/day") == pytest.approx(3 * 3600, abs=0.1)
    made.run(until=80_000)
    assert used(made, OUTER, "wall_time/day") == pytest.approx(3 * 3600, abs=0.1), (
        "not while they stand still"
    )


@pytest.mark.parametrize("action", ["freeze", "drain", "stop"])
def test_a_start_in_it_waits_and_says_why(action: str) -> None:
    made = play((OUTER, budget(action, cpu_seconds={"hour": "10min"})))
    made.ask("stop", "db")
    made.run(until=10)
    spend(made, web=600)
    made.ask("start", "db")
    assert made.life("db").state is State.WAITING
    assert made.life("db").cause.startswith("waits: budget of slice team.slice exhausted: cpu_seconds")
    made.run(until=30)
    assert made.life("web").state is (State.FROZEN if action == "freeze" else State.WAITING)
    made.run(until=3601)
    assert {made.life(name).state for name in ("web", "db", "lead")} == {State.RUNNING}


def test_throttle_slows_all_and_notify_only_tells() -> None:
    made = play((INNER, budget("throttle", cpu_seconds={"hour": "10min"})))
    spend(made, web=600)
    assert made.slow == {"web#1", "db#1"}
    made.run(until=3600)
    assert made.slow == set()
    made = play((INNER, budget("notify", cpu_seconds={"hour": "10min"})))
    spend(made, web=600)
    assert (made.slow, made.still) == (set(), set())
    assert [news.unit for news in made.news if news.kind == "budget-exhausted"] == [INNER]


def test_the_sternest_of_two_budgets_counts() -> None:
    made = play(
        (INNER, budget("stop", cpu_seconds={"hour": "10min"})), own=budget(cpu_seconds={"day": "10min"})
    )
    spend(made, web=600)
    made.run(until=10)
    assert {made.life(name).state for name in ("web", "db")} == {State.WAITING}
    made.run(until=3601)
    assert made.life("db").state is State.RUNNING
    assert "waits for its budget: cpu_seconds of today" in made.life("web").cause


def test_runs_of_all_in_it_are_counted() -> None:
    made = play((INNER, budget(runs={"day": 3})))
    made.ask("restart", "web")
    made.run(until=10)
    assert used(made, INNER, "runs/day") == 3
    made.ask("restart", "db")
    made.run(until=20)
    assert made.life("db").state is State.WAITING
    assert (
        "budget of slice team-a.slice exhausted: runs of today are used up (3 of 3)" in made.life("db").cause
    )


@pytest.mark.parametrize("keeper", [False, True])
def test_it_survives_the_manager(keeper: bool) -> None:
    made = play((INNER, budget(cpu_seconds={"day": "1h"})))
    spend(made, web=1800)
    made.feed(Used(counters={"db#1": {"cpu_seconds": 100.0}}, keep=False))
    made.kill_manager(keeper=keeper)
    assert used(made, INNER) == 1800, "a sum without the reading that it is the sum of was not committed"
    if keeper:
        return
    spend(made, web=1800, db=1800)
    assert used(made, INNER) == 3600
    assert made.still == {"web#1", "db#1"}
    made.kill_manager()
    assert made.still == {"web#1", "db#1"}


@pytest.mark.parametrize("name", ["web", "db"])
def test_sums_and_readings_are_committed_together(name: str) -> None:
    made = play((INNER, budget(cpu_seconds={"day": "1h"})))
    made.run(until=5)
    made.feed(Used(counters={"web#1": {"cpu_seconds": 100.0}}, keep=False))
    made.ask("freeze", name)
    made.kill_manager()
    spend(made, web=100)
    assert used(made, INNER) == 100, "not twice, and not nothing"


def test_a_budget_that_comes_or_goes_with_a_file_holds_from_then_on() -> None:
    made = play()
    spend(made, web=7200)
    for one in (unit(INNER, budget=budget(cpu_seconds={"day": "1h"})), unit(INNER)):
        made.world.put(one)
        made.feed(Reread())
        spend(made, web=12_000)
        assert made.still == ({"web#1", "db#1"} if one.budget.cpu_seconds else set())


def test_the_time_between_a_budget_that_is_taken_away_and_given_back_is_nobodys() -> None:
    """Of a slice, and of an agent itself."""
    day = budget(wall_time={"day": "10h"})
    for holder, made, members in ((INNER, play((INNER, day)), 2), ("web", play(own=day), 1)):
        before = made.world.units[holder]
        made.run(until=600)
        for one, until in ((replace(before, budget=_NONE), 4000), (before, 4600)):
            made.world.put(one)
            made.feed(Reread())
            made.run(until=until)
        made.feed(Reread())
        assert 600 * members <= used(made, holder, "wall_time/day") <= 1200 * members + 1


def test_who_moves_to_another_slice_is_let_go() -> None:
    made = play((INNER, budget(cpu_seconds={"day": "1h"})))
    spend(made, web=3600)
    moved = made.world.units["web"]
    made.world.put(
        Unit(
            name="web",
            kind="agent",
            unit=moved.unit,
            agent=moved.agent,
            resources=ResourcesSection(slice=SliceRef(OUTER)),
        )
    )
    made.feed(Reread())
    assert made.still == {"db#1"}
    spend(made, web=9000)
    assert used(made, INNER) == 3600


# ------------------------------------------------------------------------------------------- whole lives

QUICK = RestartSection(delay=Seconds("200ms"), start_limits=(), jitter=Percentage(0))
NAMES = ("web", "db")
acts = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(
                ["start", "stop", "restart", "freeze", "thaw", "start!", "stop!", "freeze!", "thaw!"]
            ),
            st.sampled_from([*NAMES, INNER]),
        ),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.5, 12.0, 100.0, 4000.0])),
        st.tuples(st.just("kill"), st.booleans()),
        st.tuples(st.just("away"), st.sampled_from([0.2, 30.0, 4000.0])),
        st.tuples(st.just("burn"), st.sampled_from([("web", 10.0), ("db", 10.0), ("db", 40.0)])),
        st.tuples(st.just("grant"), st.sampled_from([INNER, OUTER, "web"])),
    ),
    min_size=1,
    max_size=25,
)


def burn(made: Theatre, burnt: dict[str, float], name: str, cpu: float) -> None:
    life = made.life(name)
    if life.agent in made.alive and not life.stands_still:
        burnt[life.agent] = burnt.get(life.agent, 0.0) + cpu
        made.feed(Used(counters={life.agent: {"cpu_seconds": burnt[life.agent]}}, keep=False))


@many
@given(
    st.lists(plays, min_size=1, max_size=4),
    acts,
    st.sampled_from(["notify", "throttle", "freeze", "drain", "stop"]),
    st.sampled_from(["freeze", "stop"]),
)
def test_promises(cast: list[Play], acts: list[tuple[str, Any]], inner: str, outer: str) -> None:
    options: dict[str, Any] = {"restart": QUICK, "stop": STOP, "type": "notify", "start_timeout": Seconds(10)}
    own = budget(cpu_seconds={"hour": 15})
    made = Theatre(
        [
            unit(OUTER, budget=budget(outer, cpu_seconds={"hour": 60}, wall_time={"hour": 300})),
            unit(INNER, budget=budget(inner, cpu_seconds={"hour": 20}, runs={"hour": 9})),
            unit("web", slice=INNER, budget=own, **options),
            unit("db", slice=INNER, **options),
        ],
        lambda _, number: cast[number % len(cast)],
    )
    made.epoch = 1.8e9
    burnt: dict[str, float] = {}
    for act in acts:
        if act[0] == "burn":
            burn(made, burnt, *act[1])
        elif act[0] == "grant":
            made.feed(Granted(holder=act[1], resource="cpu_seconds", amount=5.0))
        else:
            befall(made, [act])
    agree(made)
    made.ask("stop", *NAMES, INNER)
    made.run(until=made.now + 30)
    for name in NAMES:
        assert made.life(name).state in (State.DEAD, State.FAILED), "a stop converges whatever is used up"
    made.ask("start", *NAMES)
    made.run(until=made.now + 7200)
    agree(made)


def agree(made: Theatre) -> None:
    """What holds at any moment."""
    assert made.two_at_once == []
    ledger, lives = made.world.ledger, [made.life(name) for name in NAMES]
    assert made.still == {life.agent for life in lives if life.stands_still}
    for name, life in zip(NAMES, lives, strict=True):
        assert ledger.of(name).running == (bool(life.agents) and not life.stands_still)
        assert bool(life.stilled_by) == life.stilled, "it stands still for somebody's sake"
    for holder in (OUTER, INNER):
        sums = ledger.of(holder).totals
        for resource in ("cpu_seconds", "wall_time", "runs"):
            parts = sum(ledger.of(name).totals.get(resource, 0.0) for name in NAMES)
            assert sums.get(resource, 0.0) == pytest.approx(parts), "nothing is lost, nothing counted twice"
