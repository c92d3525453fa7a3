"""Lives of units on a virtual clock: restarts, stops, order, recovery."""

from __future__ import annotations

import pytest

from maestro.engine import policy
from maestro.engine.events import Notified
from maestro.engine.jobs import JobState
from maestro.engine.state import Coarse, Goal, Life, Result, State
from maestro.model.unit import RestartSection, StopSection
from maestro.model.values import Percentage, Seconds, StartLimit, StopStep
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
    assert theatre.life("web").cause == "stopped, had to be killed"


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


# ------------------------------------------------------------------------------------------- order


def chain(*names: str) -> list[object]:
    return [
        unit(name, requires=names[:i][-1:], after=names[:i][-1:], type="notify")
        for i, name in enumerate(names)
    ]


def test_a_dependant_waits_for_ready_and_stops_first() -> None:
    theatre = Theatre(chain("db", "api", "web"), lambda *_: Play(ready=2, slow=1))  # type: ignore[arg-type]
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert [theatre.times(name, State.RUNNING) for name in ("db", "api", "web")] == [[2], [4], [6]]
    theatre.ask("stop", "db")
    theatre.run(until=20)
    assert [theatre.times(name, State.DEAD)[-1] for name in ("web", "api", "db")] == [11, 12, 13]


def test_a_restart_of_a_requirement_goes_round_the_whole_chain_in_order() -> None:
    theatre = Theatre(chain("db", "api"), lambda *_: Play(ready=1, slow=1))  # type: ignore[arg-type]
    theatre.ask("start", "api")
    theatre.run(until=10)
    theatre.ask("restart", "db")
    theatre.run(until=20)
    assert theatre.times("api", State.STOPPING) == [10]
    assert theatre.times("db", State.STOPPING) == [11]
    assert theatre.times("db", State.RUNNING) == [1, 13]
    assert theatre.times("api", State.RUNNING) == [2, 14]


def test_a_dependant_that_waited_starts_when_the_failed_dependency_recovers() -> None:
    db = unit("db", type="notify", restart=RestartSection(policy="no"))
    web = unit("web", requires=("db",), after=("db",))
    theatre = Theatre(
        [db, web], lambda name, n: FOREVER if name == "web" else crash(1) if n == 1 else Play(ready=1)
    )
    job = theatre.ask("start", "web").jobs[0]
    theatre.run(until=5)
    assert theatre.life("web").coarse is Coarse.WAITING
    assert theatre.life(
        "web"
    ).cause == "waits for db, which has failed: ended with exit status 1 before it was ready" or (
        "waits for db, which has failed" in theatre.life("web").cause
    )
    assert any(one.job == job.id and one.words.startswith("start: dependency") for one in theatre.news)
    theatre.ask("start", "db")
    theatre.run(until=10)
    assert theatre.life("web").state is State.RUNNING


def test_giving_up_reaches_every_dependant() -> None:
    restart = RestartSection(delay=Seconds(0), start_limits=(StartLimit("2/10s"),), on_give_up="fail")
    units = [
        unit("db", type="notify", restart=restart),
        unit("api", requires=("db",), after=("db",)),
        unit("web", requires=("api",), after=("api",)),
    ]
    theatre = Theatre(units, lambda name, _: crash(0.1) if name == "db" else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=50)
    assert "gave up" in theatre.life("api").cause
    assert theatre.life("web").hopeless
    assert "gave up" in theatre.life("web").cause


def test_a_wanted_unit_may_fail() -> None:
    theatre = Theatre(
        [
            unit("log", restart=RestartSection(policy="no"), type="notify"),
            unit("web", wants=("log", "nobody"), after=("log", "nobody")),
        ],
        lambda name, _: crash(3) if name == "log" else FOREVER,
    )
    theatre.ask("start", "web")
    theatre.run(until=5)
    assert theatre.times("web", State.RUNNING) == [3]


def test_units_that_do_not_know_each_other_start_together() -> None:
    units = [unit(f"a{i}", type="notify") for i in range(50)]
    theatre = Theatre(
        [*units, unit("all.target", wants=[one.name for one in units])], lambda *_: Play(ready=1)
    )
    theatre.ask("start", "all.target")
    theatre.run(until=3)
    assert {theatre.times(one.name, State.RUNNING)[0] for one in units} == {1}
    assert theatre.times("all.target", State.RUNNING) == [1]


def test_a_cycle_is_named_edge_by_edge_and_refused() -> None:
    theatre = Theatre(
        [
            unit("a", after=("b",), requires=("b",)),
            unit("b", after=("c",), requires=("c",)),
            unit("c", after=("a",)),
        ]
    )
    refusal = theatre.ask("start", "a").refusals["a"]
    assert refusal.code == "cycle"
    for edge in ("b before a", "c before b", "a before c"):
        assert edge in refusal.words
    assert theatre.life("a").state is State.DEAD


def test_a_requirement_that_does_not_exist_is_refused_by_name() -> None:
    theatre = Theatre([unit("a", requires=("nobody",))])
    assert "requires nobody" in theatre.ask("start", "a").refusals["a"].words
    assert theatre.ask("start", "nowhere").refusals["nowhere"].code == "no-such-unit"


# ------------------------------------------------------------------------------------------- verbs


def test_the_last_verb_wins() -> None:
    theatre = Theatre([unit()], lambda *_: Play(slow=1))
    jobs = [theatre.ask(verb, "web").jobs[-1] for verb in ("start", "stop", "start", "stop", "start")]
    theatre.run(until=10)
    assert theatre.life("web").state is State.RUNNING
    assert theatre.two_at_once == []
    ended = {one.job: one.words for one in theatre.news if one.kind == "job"}
    assert len({job.id for job in jobs}) == 5
    assert "canceled" in ended[jobs[1].id]
    assert "done" in ended[jobs[4].id]


def test_a_restart_of_what_is_down_starts_it() -> None:
    theatre = Theatre([unit()])
    theatre.ask("restart", "web")
    theatre.run(until=1)
    assert theatre.life("web").state is State.RUNNING


def test_a_start_of_what_runs_is_done_at_once() -> None:
    theatre = Theatre([unit()])
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert theatre.ask("start", "web").jobs[-1].state is JobState.DONE
    assert theatre.life("web").spawns == 1


def test_a_stop_during_a_pause_ends_it() -> None:
    theatre = Theatre([unit()], lambda *_: crash(0))
    theatre.ask("start", "web")
    theatre.run(until=0.5)
    assert theatre.ask("stop", "web").jobs[-1].state is JobState.DONE
    theatre.run(until=100)
    assert theatre.life("web").spawns == 1


def test_reload_is_refused_where_it_means_nothing() -> None:
    theatre = Theatre([unit(), unit("hup", reload_signal="HUP")])
    assert theatre.ask("reload", "web").refusals["web"].code == "no-reload"
    assert theatre.ask("reload", "hup").refusals["hup"].code == "not-running"


def test_starting_a_stopping_requirement_waits_for_the_stop() -> None:
    theatre = Theatre(chain("db", "web"), lambda *_: Play(ready=0, slow=5))  # type: ignore[arg-type]
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "db")
    theatre.run(until=2)
    theatre.ask("start", "web")
    theatre.run(until=30)
    assert theatre.life("web").state is State.RUNNING
    assert theatre.life("db").state is State.RUNNING
    assert theatre.two_at_once == []


# ------------------------------------------------------------------------------------------- the manager dies


@pytest.mark.parametrize("keeper", [False, True])
def test_timers_go_on_where_they_were(keeper: bool) -> None:
    theatre = Theatre([unit(restart=UNLIMITED)], lambda *_: crash(0))
    theatre.ask("start", "web")
    theatre.run(until=4)
    theatre.kill_manager(keeper=keeper)
    theatre.run(until=20)
    assert theatre.times("web", State.SPAWNING) == [0, 1, 3, 7, 15]


def test_an_end_that_nobody_saw_is_told_truly_by_the_keeper() -> None:
    theatre = Theatre([unit(restart=RestartSection(policy="no"))])
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.alive.clear()
    from maestro.engine.events import Ended

    theatre.unacknowledged["web#1"] = Ended(agent="web#1", code=42)
    theatre.kill_manager()
    assert theatre.life("web").cause == "ended with exit status 42"


def test_an_end_that_even_the_keeper_did_not_see_is_called_lost() -> None:
    theatre = Theatre([unit(restart=RestartSection(policy="no"))])
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.alive.clear()
    theatre.kill_manager(keeper=True)
    theatre.run(until=2)
    assert theatre.life("web").result is Result.LOST


def test_lives_survive_encoding() -> None:
    import msgspec

    theatre = Theatre([unit(restart=UNLIMITED)], lambda *_: crash(0))
    theatre.ask("start", "web")
    theatre.run(until=4)
    life = theatre.life("web")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(life), type=Life) == life


def test_the_jitter_option_is_a_percentage() -> None:
    rule = RestartSection(jitter=Percentage("50%"), delay=Seconds(10))
    assert policy.pause(rule, 1, 0.5) == pytest.approx(12.5)


def test_an_agent_that_no_store_knows_is_kept_not_doubled() -> None:
    from maestro.engine.events import Looked

    theatre = Theatre([unit()])
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.world.restore({}, [])  # the store was lost
    theatre.feed(Looked({"web#1": (100, 100)}, {}, False))
    life = theatre.life("web")
    assert (life.state, life.agent, life.spawns) == (State.RUNNING, "web#1", 1)
    theatre.ask("start", "web")
    theatre.ask("restart", "web")
    theatre.run(until=2)
    assert theatre.life("web").agent == "web#2"
    assert theatre.two_at_once == []


def test_a_stray_second_copy_is_killed() -> None:
    from maestro.engine.events import Looked, Send

    theatre = Theatre([unit()])
    theatre.ask("start", "web")
    theatre.run(until=1)
    step = theatre.feed(Looked({"web#1": (100, 100), "web#0": (99, 99)}, {}, False))
    assert Send("web#0", "KILL", True) in step.deeds
