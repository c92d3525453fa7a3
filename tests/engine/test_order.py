"""Units that hang together: order, recovery, cycles, and which verb wins."""

from __future__ import annotations

import pytest

from maestro.engine import policy
from maestro.engine.events import Asked
from maestro.engine.jobs import JobState
from maestro.engine.state import Coarse, State
from maestro.model.unit import RestartSection, StopSection
from maestro.model.values import Percentage, Seconds, StartLimit
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

UNLIMITED = RestartSection(start_limits=())


def crash(after: float = 0.5, code: int = 1) -> Play:
    return Play(ends=after, code=code)


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


def test_the_jitter_option_is_a_percentage() -> None:
    rule = RestartSection(jitter=Percentage("50%"), delay=Seconds(10))
    assert policy.pause(rule, 1, 0.5) == pytest.approx(12.5)


def test_mixed_asks_the_main_process_and_kills_what_outlives_it() -> None:
    stop = StopSection(kill_mode="mixed")
    theatre = Theatre([unit(stop=stop)], lambda *_: Play(leaves=2))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("stop", "web")
    theatre.run(until=2)
    assert theatre.times("web", State.DEAD) == [1]


def test_requests_that_join_find_their_job_again() -> None:
    theatre = Theatre([unit()], lambda *_: Play(slow=5))
    theatre.ask("start", "web")
    theatre.run(until=1)
    jobs = [theatre.feed(Asked("restart", ("web",), request)).jobs[-1] for request in ("one", "two")]
    assert jobs[0].id == jobs[1].id
    assert jobs[1].requests == ("one", "two")


def test_a_job_remembers_only_so_many_requests() -> None:
    theatre = Theatre([unit()], lambda *_: Play(slow=5))
    for number in range(200):
        jobs = theatre.feed(Asked("start", ("web",), f"{number % 150}")).jobs
    assert len(jobs[-1].requests) == len(set(jobs[-1].requests)) == 64
    assert jobs[-1].requests[-1] == "49"
