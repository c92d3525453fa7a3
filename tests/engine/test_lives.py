"""Lives of units on a virtual clock: restarts, stops, order, recovery."""

from __future__ import annotations

import pytest

from maestro.engine import policy
from maestro.engine.events import Notified
from maestro.engine.state import Coarse, Goal, Result, State
from maestro.model.unit import RestartSection, StopSection
from maestro.model.values import Seconds, StartLimit, StopStep
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

UNLIMITED = RestartSection(start_limits=())


def crash(after: float = 0.5, code: int = 1) -> Play:
    return Play(ends=after, code=code)


# ------------------------------------------------------------------------------------------- restarts


def test_pauses_double_up_to_the_longest() -> None:
    theatre = Theatre([unit(restart=UNLIMITED)], lambda *_: crash(0.0))
    theatre.ask("start", "web")
    theatre.run(until=200)
    assert theatre.times("web", State.SPAWNING) == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_jitter_is_drawn_once_and_added_on_top() -> None:
    theatre = Theatre([unit(restart=UNLIMITED)], lambda *_: crash(0.0), chance=0.5)
    theatre.ask("start", "web")
    theatre.run(until=5)
    assert theatre.times("web", State.SPAWNING) == pytest.approx([0, 1.1, 3.3])


def test_a_month_of_crashes_is_a_second_of_test() -> None:
    theatre = Theatre([unit(restart=UNLIMITED)], lambda *_: crash())
    theatre.ask("start", "web")
    theatre.run(until=30 * 86400)
    assert theatre.life("web").restarts > 42_000
    assert theatre.two_at_once == []


def test_the_pause_starts_again_after_a_healthy_run() -> None:
    runs = {1: crash(0), 2: crash(0), 3: crash(100), 4: crash(0)}
    theatre = Theatre([unit(restart=UNLIMITED)], lambda _, number: runs.get(number, FOREVER))
    theatre.ask("start", "web")
    theatre.run(until=300)
    assert theatre.times("web", State.SPAWNING) == [0, 1, 3, 104, 106]


def test_a_run_shorter_than_the_current_pause_is_not_healthy() -> None:
    restart = RestartSection(start_limits=(), delay=Seconds(100), max_delay=Seconds(400))
    theatre = Theatre([unit(restart=restart)], lambda *_: crash(90))
    theatre.ask("start", "web")
    theatre.run(until=1000)
    assert theatre.times("web", State.SPAWNING) == [0, 190, 480, 970]


def test_giving_up_is_a_cool_down_and_then_a_fresh_start() -> None:
    restart = RestartSection(delay=Seconds(0), start_limits=(StartLimit("3/10s"),), cooldown=Seconds(100))
    theatre = Theatre([unit(restart=restart)], lambda *_: crash(0))
    theatre.ask("start", "web")
    theatre.run(until=99)
    life = theatre.life("web")
    assert (life.state, life.coarse, life.goal) == (State.COOLDOWN, Coarse.FAILED, Goal.UP)
    assert "gave up after 3/10s" in life.cause
    assert theatre.world.next_ring() == 100
    theatre.run(until=101)
    assert theatre.life("web").spawns == 8  # one by hand and three automatic, twice


def test_giving_up_may_be_the_end() -> None:
    restart = RestartSection(delay=Seconds(0), start_limits=(StartLimit("3/10s"),), on_give_up="fail")
    theatre = Theatre([unit(restart=restart)], lambda *_: crash(0))
    theatre.ask("start", "web")
    theatre.run(until=1000)
    assert theatre.life("web").state is State.FAILED
    assert theatre.life("web").spawns == 4


def test_a_start_by_hand_is_never_refused_by_a_limit_and_clears_it() -> None:
    restart = RestartSection(delay=Seconds(0), start_limits=(StartLimit("3/10s"),), on_give_up="fail")
    theatre = Theatre([unit(restart=restart)], lambda *_: crash(0))
    for _ in range(5):
        assert theatre.ask("start", "web").refusals == {}
        theatre.run(until=theatre.now + 0.1)
    assert theatre.life("web").spawns == 20


def test_a_start_by_hand_ends_the_pause() -> None:
    theatre = Theatre([unit(restart=UNLIMITED)], lambda _, number: crash(0) if number < 6 else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=16)
    assert theatre.life("web").state is State.BACKOFF
    job = theatre.ask("start", "web").jobs[0]
    theatre.run(until=17)
    assert theatre.life("web").state is State.RUNNING
    assert any(one.job == job.id and "done" in one.words for one in theatre.news)


RESULTS = [Result.SUCCESS, Result.EXIT_CODE, Result.SIGNAL, Result.TIMEOUT, Result.WATCHDOG, Result.RESOURCES]
TRUTH = {  # systemd.service(5); rows are policies, columns as in RESULTS
    "no": "......",
    "always": "XXXXXX",
    "on-success": "X.....",
    "on-failure": ".XXXXX",
    "on-abnormal": "..XXXX",
    "on-abort": "..X...",
    "on-watchdog": "....X.",
}


@pytest.mark.parametrize("name", TRUTH)
def test_the_truth_table_of_policies(name: str) -> None:
    agent = unit(restart=RestartSection(policy=name)).agent  # type: ignore[arg-type]
    assert agent is not None
    row = "".join("X" if policy.restarts(agent, result, None) else "." for result in RESULTS)
    assert row == TRUTH[name]


def test_a_oneshot_that_did_its_work_is_done() -> None:
    theatre = Theatre([unit(type="oneshot")], lambda *_: crash(200, 0))
    job = theatre.ask("start", "web").jobs[0]
    theatre.run(until=199)
    assert theatre.life("web").coarse is Coarse.ACTIVATING  # no time-out unless the unit names one
    theatre.run(until=201)
    assert (theatre.life("web").state, theatre.life("web").result) == (State.DEAD, Result.SUCCESS)
    assert any(one.job == job.id and "done" in one.words for one in theatre.news)


def test_an_end_before_ready_is_a_fault_even_with_status_0() -> None:
    theatre = Theatre([unit(type="notify", restart=RestartSection(policy="no"))], lambda *_: crash(1, 0))
    theatre.ask("start", "web")
    theatre.run(until=2)
    assert (theatre.life("web").state, theatre.life("web").result) == (State.FAILED, Result.PROTOCOL)
    assert "before it was ready" in theatre.life("web").cause


def test_what_cannot_be_spawned_is_tried_again_and_says_why() -> None:
    theatre = Theatre(
        [unit(restart=UNLIMITED)], lambda *_: Play(cannot="cannot change directory to /srv: no such file")
    )
    theatre.ask("start", "web")
    theatre.run(until=0.5)
    assert theatre.life("web").state is State.BACKOFF
    assert theatre.life("web").cause == "cannot change directory to /srv: no such file"


# ------------------------------------------------------------------------------------------- readiness


def test_notify_is_ready_when_it_says_so() -> None:
    theatre = Theatre([unit(type="notify")], lambda *_: Play(ready=5))
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert theatre.times("web", State.RUNNING) == [5]


def test_what_does_not_get_ready_is_stopped_and_tried_again() -> None:
    theatre = Theatre([unit(type="notify", start_timeout=Seconds(10), restart=UNLIMITED)], lambda *_: FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=11.5)
    assert theatre.times("web", State.SPAWNING) == [0, 11]
    assert any(one.kind == "timeout" and "READY=1" in one.words for one in theatre.news)


def test_a_missed_watchdog_is_aborted_and_restarted() -> None:
    theatre = Theatre(
        [unit(type="notify", watchdog=Seconds(10), restart=UNLIMITED)],
        lambda *_: Play(ready=1, heeds=("ABRT",)),
    )
    theatre.ask("start", "web")
    theatre.run(until=5)
    theatre.feed(Notified("web#1", {"WATCHDOG": "1"}))
    theatre.run(until=14.9)
    assert theatre.life("web").state is State.RUNNING
    theatre.run(until=15.5)
    assert (theatre.life("web").state, theatre.life("web").result) == (State.BACKOFF, Result.WATCHDOG)


def test_an_agent_may_push_its_stop_out_but_not_for_ever() -> None:
    stop = StopSection(sequence=(StopStep("TERM 10s"), StopStep("KILL")), drain_max=Seconds(100))
    theatre = Theatre([unit(stop=stop)], lambda *_: Play(heeds=()))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    for _ in range(20):
        theatre.feed(Notified("web#1", {"EXTEND_TIMEOUT_USEC": "20000000"}))
        theatre.run(until=theatre.now + 9)
    assert theatre.times("web", State.DEAD) == [101]


# ------------------------------------------------------------------------------------------- stops


def test_a_stop_goes_through_its_steps() -> None:
    stop = StopSection(sequence=(StopStep("INT 5s"), StopStep("TERM 10s"), StopStep("KILL 5s")))
    theatre = Theatre([unit(stop=stop)], lambda *_: Play(heeds=()))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=100)
    assert theatre.times("web", State.DEAD) == [16]
    assert theatre.life("web").cause == "stopped on request, had to be killed"


def test_leftovers_are_ended_before_the_next_copy() -> None:
    theatre = Theatre(
        [unit(restart=UNLIMITED)], lambda _, n: Play(ends=1, code=1, leaves=2) if n == 1 else FOREVER
    )
    theatre.ask("start", "web")
    theatre.run(until=20)
    assert theatre.life("web").state is State.STOPPING
    assert "0 (left) and 1 (left)" in theatre.life("web").cause
    theatre.run(until=60)
    assert theatre.life("web").state is State.RUNNING
    assert theatre.times("web", State.SPAWNING) == [0, 32]
    assert theatre.two_at_once == []


def test_what_even_kill_does_not_end_is_said_and_never_started_beside() -> None:
    class Undying(Theatre):
        def _signal(self, deed: object) -> None:
            pass

    theatre = Undying([unit()], lambda *_: FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("restart", "web")
    theatre.run(until=1000)
    assert theatre.life("web").state is State.STOPPING
    assert "still there" in theatre.life("web").cause
    assert theatre.life("web").spawns == 1


# ------------------------------------------------------------------------------------------- since when


def test_a_life_knows_when_its_start_was_asked_for_and_when_it_was_ordered() -> None:
    db = unit("db", type="notify")
    web = unit("web", requires=("db",), after=("db",))
    theatre = Theatre([db, web], lambda name, _: Play(ready=4.0) if name == "db" else FOREVER)
    theatre.run(until=10)
    theatre.ask("start", "web")
    theatre.run(until=12)
    theatre.ask("start", "web")  # somebody is impatient: it has been asked for all the same
    theatre.run(until=20)
    assert (theatre.life("web").asked, theatre.life("web").began) == (10, 14)
    assert (theatre.life("db").asked, theatre.life("db").began, theatre.life("db").ready_at) == (10, 10, 14)


def test_a_restart_counts_from_the_end_of_its_pause() -> None:
    theatre = Theatre([unit(restart=UNLIMITED)], lambda _, number: crash(3.0) if number == 1 else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=30)
    assert (theatre.life("web").asked, theatre.life("web").began) == (4, 4)
    theatre.ask("restart", "web")
    theatre.run(until=40)
    assert theatre.life("web").asked == 30
