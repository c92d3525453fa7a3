"""What is used is counted once: whenever the manager dies, whatever counters begin again, whoever resets what."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.engine import budgets
from maestro.engine.budgets import Account
from maestro.engine.events import Ended, Granted, Used
from maestro.engine.state import ALIVE, Goal, State
from maestro.model.budget import BudgetSection, Count, Counts, Durations
from maestro.model.unit import RestartSection, StopSection, Unit
from maestro.model.values import Seconds, StopStep
from maestro.testing.theatre import Play, Theatre, unit
from tests.engine.around import befall

pytestmark = pytest.mark.timeout(1800)  # a long search, on a busy machine
MANY = int(os.environ.get("MAESTRO_INTERLEAVINGS", "5200")) // 17
many = settings(
    max_examples=max(MANY, 20), deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
SECTION = BudgetSection(
    cpu_seconds=Durations({"month": Seconds(1e9), "hour": Seconds(1e9)}),
    wall_time=Durations({"month": Seconds(1e9)}),
)

MONTH = budgets.terms_of(SECTION)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("burn"), st.floats(0, 100)),
        st.tuples(st.just("read"), st.booleans()),  # whether it is committed
        st.tuples(st.just("die"), st.just(0)),  # the manager
        st.tuples(st.just("again"), st.just(0)),  # the agent ends, and another begins at 0
        st.tuples(st.just("boot"), st.just(0)),
        st.tuples(st.just("pass"), st.floats(0, 5000)),
    ),
    max_size=40,
)


@many
@given(steps)
def test_sums_are_what_counters_said(acts: list[tuple[str, Any]]) -> None:
    """Nothing twice, nothing lost: an account and its readings go to the disk as one."""
    committed = account = Account()
    now, wall, number, counter, true = 0.0, 1.8e9, 1, 0.0, 0.0

    def read() -> Account:
        measured, deltas = budgets.measure(account, f"web#{number}", {"cpu_seconds": counter}, now)
        return budgets.charge(MONTH, measured, deltas, wall, now - account.at)

    for act, what in acts:
        match act:
            case "burn":
                counter, true = counter + what, true + what
            case "read":
                account = read()
                committed = account if what else committed
            case "die":  # and the next one is told by the disk
                account = msgspec.msgpack.decode(msgspec.msgpack.encode(committed), type=Account)
            case "again" | "boot":
                account = committed = read()  # the end says what was used in all
                number, counter = number + 1, 0.0
                if act == "boot":
                    account, now = budgets.rebooted(account), 0.0
            case "pass":
                now, wall = now + what, wall + what
    account = read()
    assert account.totals.get("cpu_seconds", 0.0) == pytest.approx(true)
    hour = account.entries["cpu_seconds/hour"]
    assert hour.used <= true + 1e-6
    assert hour.started <= wall < hour.ends


@many
@given(st.floats(0, 7200), st.floats(0.1, 7200))
def test_of_a_long_pause_each_window_gets_its_share(before: float, pause: float) -> None:
    """An agent that is busy all the time has used as much of an hour as there was of it."""
    start = 1_800_000_000.0 // 3600 * 3600
    account = budgets.running(Account(), True, 0.0)
    account = budgets.turned(MONTH, account, start + before)
    account, deltas = budgets.measure(account, "web#1", {"cpu_seconds": pause}, pause)
    account = budgets.charge(MONTH, account, deltas, start + before + pause, pause)
    age = start + before + pause - account.entries["cpu_seconds/hour"].started
    assert account.entries["cpu_seconds/hour"].used == pytest.approx(min(age, pause))
    assert account.totals["wall_time"] == pytest.approx(pause)


# ------------------------------------------------------------------------------------------- whole lives

STOP = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL 5s")))
QUICK = RestartSection(delay=Seconds("200ms"), start_limits=())


def spare(action: Any) -> Unit:
    return unit(
        "web",
        restart=QUICK,
        stop=STOP,
        type="notify",
        start_timeout=Seconds(10),
        budget=BudgetSection(
            cpu_seconds=Durations({"hour": Seconds(20), "invocation": Seconds(50)}),
            wall_time=Durations({"hour": Seconds(100)}),
            runs=Counts({"hour": Count(5)}),
            restarts=Counts({"day": Count(9)}),
            on_exhausted=action,
        ),
    )


plays = st.builds(
    Play,
    ready=st.sampled_from([None, 0.0, 0.0, 0.3, 2.0]),
    ends=st.sampled_from([None, None, 0.1, 7.0, 60.0]),
    code=st.sampled_from([0, 1]),
    heeds=st.sampled_from([("TERM",), ()]),
)
lives = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(
                [
                    "start",
                    "stop",
                    "restart",
                    "freeze",
                    "thaw",
                    "start!",
                    "stop!",
                    "restart!",
                    "freeze!",
                    "thaw!",
                ]
            ),
            st.just("web"),
        ),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.5, 12.0, 100.0, 4000.0])),
        st.tuples(st.just("kill"), st.booleans()),
        st.tuples(st.just("away"), st.sampled_from([0.2, 30.0, 4000.0])),
        st.tuples(st.just("burn"), st.sampled_from([1.0, 10.0, 40.0])),
        st.tuples(st.just("grant"), st.sampled_from(["cpu_seconds", "wall_time", "runs"])),
    ),
    min_size=1,
    max_size=25,
)


@many
@given(
    st.lists(plays, min_size=1, max_size=4),
    lives,
    st.sampled_from(["notify", "throttle", "freeze", "drain", "stop"]),
)
def test_promises(cast: list[Play], acts: list[tuple[str, Any]], action: str) -> None:
    theatre = Theatre([spare(action)], lambda _, number: cast[number % len(cast)])
    theatre.epoch = 1.8e9
    burnt: dict[str, float] = {}
    for act in acts:
        life = theatre.life("web")
        if act[0] == "burn":
            if theatre.alive and not life.stands_still:
                burnt[life.agent] = burnt.get(life.agent, 0.0) + act[1]
                theatre.feed(Used(counters={life.agent: {"cpu_seconds": burnt[life.agent]}}, keep=False))
        elif act[0] == "grant":
            theatre.feed(Granted(holder="web", resource=act[1], amount=5.0))
        else:
            befall(theatre, [act])
    for agent, cpu in burnt.items():  # what was not committed is read again, or told by the end
        if agent == theatre.life("web").agent and agent in theatre.alive:
            theatre.feed(Used(counters={agent: {"cpu_seconds": cpu}}))
    assert theatre.two_at_once == []
    life, account = theatre.life("web"), theatre.world.ledger.of("web")
    assert account.running == (bool(life.agents) and not life.stands_still)
    frozen = {life.agent} if life.stands_still else set()
    assert theatre.still == frozen, "what stands still is what is frozen"
    assert account.totals.get("runs", 0) == life.spawns, "each start is counted once"
    assert (
        theatre.slow == ({life.agent} if life.throttled and life.agent in theatre.alive else set())
        or action == "throttle"
    )
    theatre.ask("stop", "web")
    theatre.run(until=theatre.now + 30)
    assert theatre.life("web").state in (State.DEAD, State.FAILED), "a stop converges whatever is used up"
    theatre.ask("start", "web")
    theatre.run(until=theatre.now + (60 if action == "notify" else 7200))
    life = theatre.life("web")
    assert not (life.goal is Goal.DOWN and life.state in ALIVE)
    assert life.coarse == "inactive" or life.cause
    if life.state is State.WAITING:
        assert "waits for its budget" in life.cause


def test_an_end_and_the_readings_before_it_are_one_sum() -> None:
    theatre = Theatre([spare("notify")], lambda *_: Play(ready=0.0))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.feed(Used(counters={"web#1": {"cpu_seconds": 3.0}}))
    theatre.alive.clear()
    theatre.feed(Ended(agent="web#1", code=0, cpu=3.5))
    assert theatre.world.ledger.of("web").totals["cpu_seconds"] == 3.5


def test_what_a_group_used_is_not_counted_less_by_its_main_process() -> None:
    theatre = Theatre([spare("notify")], lambda *_: Play(ready=0.0))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.feed(Used(counters={"web#1": {"cpu_seconds": 9.0}}))
    theatre.alive.clear()
    theatre.feed(Ended(agent="web#1", code=0, cpu=3.5))
    assert theatre.world.ledger.of("web").totals["cpu_seconds"] == 9.0


def test_the_end_tells_how_long_it_had_run_while_nobody_watched() -> None:
    theatre = Theatre([spare("notify")], lambda *_: Play(ready=0.0))
    theatre.ask("start", "web")
    theatre.run(until=30)
    theatre.now = 500.0
    theatre.alive.clear()
    theatre.feed(Ended(agent="web#1", code=0, at=40.0))
    assert theatre.world.ledger.of("web").totals["wall_time"] == pytest.approx(40.0)
