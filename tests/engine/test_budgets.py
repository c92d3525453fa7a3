"""Budgets on a virtual clock: who is held, until when, and what an operator can do about it."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.events import Granted, Reread, Reset, Used
from maestro.engine.jobs import JobState
from maestro.engine.state import Coarse, State
from maestro.model.budget import BudgetSection, Count, Counts, Durations
from maestro.model.unit import RestartSection, StopSection
from maestro.model.values import Percentage, Seconds, StopStep
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

MIDNIGHT = 1_795_219_200.0  # 2026-11-21 00:00 UTC
STOP = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL 5s")))
OFTEN = RestartSection(delay=Seconds(1), jitter=Percentage(0), factor=1, start_limits=())


def seconds(**windows: str) -> Durations:
    return Durations({window: Seconds(text) for window, text in windows.items()})


def counts(**windows: int) -> Counts:
    return Counts({window: Count(number) for window, number in windows.items()})


def theatre(play: Play = FOREVER, *, starts_at: float = 0.0, **options: Any) -> Theatre:
    """A unit that is started at that many seconds after midnight. `budget` is given as its options."""
    budget = BudgetSection(**options.pop("budget"))
    options.setdefault("stop", STOP)
    found = Theatre([unit("web", budget=budget, **options)], lambda *_: play)
    found.epoch = MIDNIGHT + starts_at
    found.ask("start", "web")
    found.run(until=0)
    return found


def spend(one: Theatre, cpu: float) -> None:
    """Its counter stands there now."""
    one.feed(Used(counters={one.life("web").agent: {"cpu_seconds": cpu}}))


def told(one: Theatre, kind: str) -> list[str]:
    return [news.words for news in one.news if news.kind == kind]


def grant(one: Theatre, resource: str, amount: float, window: str = "") -> dict[str, Any]:
    return one.feed(Granted(holder="web", resource=resource, amount=amount, window=window)).refusals


def used(one: Theatre, key: str) -> float:
    return one.world.ledger.of("web").entries[key].used


# ------------------------------------------------------------------------------------------- freeze


def test_what_is_used_up_stands_still_until_its_window_is_over() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="4h")}, starts_at=3600)
    one.run(until=7200)
    spend(one, 14_000)
    assert one.life("web").state is State.RUNNING
    one.run(until=7201)
    spend(one, 14_400)
    life = one.life("web")
    assert (life.state, life.coarse, one.still) == (State.FROZEN, Coarse.ACTIVE, {"web#1"})
    assert life.cause == (
        "frozen: cpu_seconds of today are used up (4h of 4h); goes on at 00:00 UTC, "
        "or by `maestroctl budget grant web cpu_seconds 1h`"
    )
    one.run(until=82_799)
    assert one.life("web").state is State.FROZEN
    one.run(until=82_800)
    assert (one.life("web").state, one.still) == (State.RUNNING, set())
    assert one.life("web").agent == "web#1", "the same process"
    assert used(one, "cpu_seconds/day") == 0


def test_a_grant_lets_it_go_on_and_is_gone_with_the_window() -> None:
    one = theatre(budget={"cpu_seconds": seconds(hour="30min", day="40min")})
    spend(one, 1800)
    assert one.life("web").stilled
    assert grant(one, "cpu_seconds", 600, "hour") == {}
    assert one.life("web").state is State.RUNNING
    spend(one, 2400)
    assert "cpu_seconds of this hour are used up (40min of 40min)" in one.life("web").cause
    one.run(until=3600)
    assert one.life("web").state is State.FROZEN, "the day is used up as well"
    assert one.life("web").stilled
    grant(one, "cpu_seconds", 600)
    assert one.life("web").state is State.RUNNING
    assert one.world.ledger.of("web").entries["cpu_seconds/hour"].granted == 600
    one.run(until=90_000)
    spend(one, 2401)
    assert {entry.granted for entry in one.world.ledger.of("web").entries.values()} == {0}


def test_a_reset_forgets_what_was_used_and_does_not_count_it_again() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")})
    spend(one, 3600)
    one.feed(Reset(holder="web"))
    assert one.life("web").state is State.RUNNING
    spend(one, 3600)
    assert used(one, "cpu_seconds/day") == 0
    spend(one, 3601)
    assert used(one, "cpu_seconds/day") == 1


def test_nobody_thaws_what_has_nothing_left() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")})
    spend(one, 3600)
    refusal = one.ask("thaw", "web").refusals["web"]
    assert refusal.code == "exhausted"
    assert refusal.words.startswith(
        "cannot thaw web: cpu_seconds of today are used up (1h of 1h); goes on at"
    )
    assert one.life("web").state is State.FROZEN


def test_what_an_operator_froze_stays_frozen() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")})
    spend(one, 3600)
    one.ask("freeze", "web")
    one.run(until=86_400)
    assert one.life("web").state is State.FROZEN
    one.ask("thaw", "web")
    assert one.life("web").state is State.RUNNING
    one.ask("freeze", "web")
    spend(one, 7300)
    grant(one, "cpu_seconds", 3600)
    assert one.life("web").state is State.FROZEN


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_stop_and_a_restart_are_heeded(verb: str) -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")})
    spend(one, 3600)
    one.ask(verb, "web")
    one.run(until=1)
    assert one.still == set()
    assert ("web#1", "KILL") not in one.signals, "it could hear of it"
    assert one.life("web").state is (State.DEAD if verb == "stop" else State.WAITING)


def test_one_that_comes_up_is_held_with_its_start_time_out() -> None:
    """A oneshot is never up: and this is how it keeps what it has worked out."""
    one = theatre(
        Play(ready=3700.0),
        type="notify",
        start_timeout=Seconds(5000),
        budget={"wall_time": seconds(hour="1h", day="1h")},
    )
    one.run(until=3600.5)
    assert (one.life("web").state, one.still) == (State.STARTING, {"web#1"})
    one.run(until=80_000)
    assert one.life("web").state is State.STARTING, "its time-out rests"
    grant(one, "wall_time", 3600, "day")
    assert one.still == set()
    assert one.life("web").timers["start"] == pytest.approx(80_000 + 1400)
    one.run(until=80_001)
    assert one.life("web").state is State.RUNNING


# ------------------------------------------------------------------------------------------- starts


def test_a_start_waits_and_says_why() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")}, starts_at=3600)
    spend(one, 3600)
    one.ask("stop", "web")
    one.run(until=1)
    one.ask("start", "web")
    life = one.life("web")
    assert (life.state, life.coarse) == (State.WAITING, Coarse.WAITING)
    assert life.cause == (
        "waits for its budget: cpu_seconds of today are used up (1h of 1h); starts at 00:00 UTC, "
        "or by `maestroctl budget grant web cpu_seconds 1h`"
    )
    assert not one.world.book.jobs, "nobody waits for hours"
    one.run(until=82_800)
    assert one.life("web").state is State.RUNNING


def test_who_asks_for_it_is_told_at_once() -> None:
    one = theatre(budget={"runs": counts(day=1)})
    one.ask("stop", "web")
    one.run(until=1)
    step = one.ask("start", "web")
    assert [job.state for job in step.jobs] == [JobState.DEPENDENCY]
    assert "runs of today are used up (1 of 1)" in step.jobs[0].words


def test_all_that_is_used_up_is_told_with_what_ends_it() -> None:
    one = theatre(budget={"runs": counts(day=1), "cpu_seconds": seconds(hour="1h")})
    spend(one, 3600)
    one.ask("restart", "web")
    one.run(until=1)
    assert one.life("web").cause == (
        "waits for its budget: cpu_seconds of this hour are used up (1h of 1h) and runs of today are used up (1 of 1); "
        "starts at 00:00 UTC, or by `maestroctl budget grant web cpu_seconds 1h` and `maestroctl budget grant web runs 5`"
    )
    grant(one, "runs", 1)
    assert "cpu_seconds" in one.life("web").cause
    assert "runs" not in one.life("web").cause
    grant(one, "cpu_seconds", 1)
    one.run(until=2)
    assert one.life("web").state is State.RUNNING


def test_the_last_run_that_is_allowed_is_not_cut_short() -> None:
    one = theatre(Play(ends=10.0, code=1), restart=OFTEN, budget={"runs": counts(day=3)})
    one.run(until=1000)
    assert (one.life("web").state, one.life("web").spawns) == (State.WAITING, 3)
    one.run(until=86_401)
    assert one.life("web").spawns == 4


def test_restarts_are_counted_and_starts_by_hand_are_not() -> None:
    one = theatre(Play(ends=10.0, code=1), restart=OFTEN, budget={"restarts": counts(day=2)})
    one.run(until=1000)
    assert (one.life("web").state, one.life("web").spawns) == (State.WAITING, 3)
    assert "restarts of today are used up (2 of 2)" in one.life("web").cause
    one.ask("start", "web")
    one.run(until=1005)
    assert (one.life("web").state, one.life("web").spawns) == (State.RUNNING, 4)
    one.run(until=1100)
    assert one.life("web").state is State.WAITING
    assert used(one, "restarts/day") == 2


# ------------------------------------------------------------------------------------------- the other actions


def test_stop_stops_and_starts_again_with_the_window() -> None:
    one = theatre(budget={"cpu_seconds": seconds(hour="1h"), "on_exhausted": "stop"})
    spend(one, 3600)
    one.run(until=1)
    assert (one.life("web").state, one.alive) == (State.WAITING, {})
    assert "stopped: cpu_seconds of this hour are used up" in " ".join(told(one, "stopped"))
    one.run(until=3601)
    assert (one.life("web").state, one.life("web").agent) == (State.RUNNING, "web#2")


def test_what_is_used_up_for_an_invocation_is_stopped_for_good() -> None:
    one = theatre(budget={"cpu_seconds": seconds(invocation="1h"), "on_exhausted": "stop"})
    spend(one, 3600)
    one.run(until=100_000)
    assert one.life("web").state is State.DEAD
    assert (
        one.life("web").cause
        == "stopped, for its budget: cpu_seconds of this invocation are used up (1h of 1h)"
    )
    one.ask("start", "web")
    one.run(until=100_001)
    assert one.life("web").state is State.RUNNING


def test_an_invocation_that_is_frozen_is_ended_by_a_restart() -> None:
    one = theatre(budget={"cpu_seconds": seconds(invocation="1h")})
    spend(one, 3600)
    assert one.life("web").cause.endswith(
        "goes on by `maestroctl budget grant web cpu_seconds 1h`, or by a restart"
    )
    one.run(until=10**7)
    assert one.life("web").state is State.FROZEN
    one.ask("restart", "web")
    one.run(until=10**7 + 1)
    assert (one.life("web").state, used(one, "cpu_seconds/invocation")) == (State.RUNNING, 0)


def test_throttle_makes_it_slow_until_its_window_is_over() -> None:
    one = theatre(budget={"cpu_seconds": seconds(hour="1h"), "on_exhausted": "throttle"})
    spend(one, 3600)
    assert (one.life("web").state, one.slow) == (State.RUNNING, {"web#1"})
    one.slow.clear()
    one.kill_manager(keeper=True)
    one.run(until=1)
    assert one.slow == {"web#1"}, "ordered again"
    one.run(until=3600)
    assert one.slow == set()


def test_notify_only_tells_and_each_once() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="100s"), "on_exhausted": "notify"})
    for cpu in range(0, 200, 7):
        spend(one, cpu)
    assert told(one, "budget-warning") == ["84% of cpu_seconds of today are used (1min 24s of 1min 40s)"]
    assert told(one, "budget-exhausted") == [
        "cpu_seconds of today are used up (1min 45s of 1min 40s); on_exhausted: notify"
    ]
    assert one.life("web").state is State.RUNNING
    one.run(until=86_400)
    spend(one, 300)
    assert len(told(one, "budget-exhausted")) == 2


# ------------------------------------------------------------------------------------------- time


def test_time_is_counted_without_readings_and_not_while_it_stands_still() -> None:
    one = theatre(budget={"wall_time": seconds(day="2h")})
    one.run(until=3600)
    one.ask("freeze", "web")
    one.run(until=7200)
    one.ask("thaw", "web")
    one.run(until=10_799)
    assert one.life("web").state is State.RUNNING
    assert len(told(one, "budget-warning")) == 1
    one.run(until=10_800.1)
    assert one.life("web").stilled
    assert used(one, "wall_time/day") == pytest.approx(7200)


@pytest.mark.parametrize("jump", [-600.0, 1800.0])
def test_a_clock_that_is_set_changes_no_consumption(jump: float) -> None:
    one = theatre(budget={"wall_time": seconds(day="4h")}, starts_at=3600)
    one.run(until=3600)
    one.epoch += jump
    one.run(until=7200)
    one.ask("stop", "web")
    one.run(until=7201)
    assert used(one, "wall_time/day") == pytest.approx(7200, abs=1)


def test_a_clock_put_back_over_midnight_gives_no_second_day() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")}, starts_at=10)
    spend(one, 3600)
    one.epoch -= 60
    one.run(until=30)
    assert one.life("web").stilled


def test_a_clock_that_was_far_ahead_holds_nobody_for_years() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")}, starts_at=400 * 86_400.0)
    spend(one, 3600)
    one.epoch = MIDNIGHT
    one.run(until=61)
    assert one.life("web").state is State.RUNNING


# ------------------------------------------------------------------------------------------- refusals, deaths, changes


def test_what_has_no_such_budget_is_refused() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")})
    assert grant(one, "runs", 1)["web"].words == "web has no budget of runs"
    assert grant(one, "runs", 1)["web"].hint == "it has: cpu_seconds (day)"
    assert (
        grant(one, "cpu_seconds", 1, "month")["web"].words
        == "web has no budget of cpu_seconds in a window month"
    )


@pytest.mark.parametrize("keeper", [False, True], ids=["manager", "keeper too"])
def test_it_stays_held_when_the_manager_dies(keeper: bool) -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")})
    spend(one, 3600)
    one.kill_manager(keeper=keeper, away=10.0)
    one.run(until=20)
    assert (one.life("web").state, one.still) == (State.FROZEN, {"web#1"})
    one.run(until=86_400)
    assert (one.life("web").state, one.still) == (State.RUNNING, set())


def test_a_budget_that_is_taken_out_of_the_file_holds_nobody() -> None:
    one = theatre(budget={"cpu_seconds": seconds(day="1h")})
    spend(one, 3600)
    one.world.put(unit("web", stop=STOP))
    one.feed(Reread())
    assert (one.life("web").state, one.still) == (State.RUNNING, set())


def test_one_that_gets_a_budget_while_it_runs_is_counted_from_then_on() -> None:
    one = Theatre([unit("web", stop=STOP)], lambda *_: FOREVER)
    one.epoch = MIDNIGHT
    one.ask("start", "web")
    one.run(until=1000)
    one.world.put(unit("web", stop=STOP, budget=BudgetSection(wall_time=seconds(day="1h"))))
    one.feed(Reread())
    one.run(until=4599)
    assert one.life("web").state is State.RUNNING
    one.run(until=4600.1)
    assert one.life("web").stilled
