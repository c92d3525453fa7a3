"""`after: [db started]`: what waits only until the main process of another runs."""

from __future__ import annotations

import pytest

from maestro.engine.graph import Graph
from maestro.engine.jobs import JobState
from maestro.engine.state import State
from maestro.model.order import READY, STARTED
from maestro.model.unit import RestartSection, Unit
from maestro.model.values import Seconds
from maestro.testing.theatre import DONE, FOREVER, Play, Theatre, unit
from tests.engine.around import NEVER, STOP, commands

PREPARES = commands("/bin/prepare")


def pair(kind: str = "requires", **options: object) -> tuple[Unit, Unit]:
    """web, which goes on as soon as db is started."""
    db = unit("db", type="notify", stop=STOP, **options)
    return db, unit("web", stop=STOP, after=["db started"], **{kind: ["db"]})


def play(units: tuple[Unit, ...], *db: Play, prepares: Play = DONE) -> Theatre:
    def cast(name: str, number: int) -> Play:
        return db[min(number, len(db)) - 1] if name == "db" else FOREVER

    return Theatre(units, cast, commands=lambda *_: prepares)


@pytest.mark.parametrize("kind", ["requires", "wants", "binds_to", "milestone"])
def test_it_starts_while_the_other_is_still_getting_ready(kind: str) -> None:
    theatre = play(pair(kind), Play(ready=5))
    theatre.ask("start", "web")
    theatre.run(until=3)
    assert [theatre.life(name).state for name in ("db", "web")] == [State.STARTING, State.RUNNING]
    theatre.run(until=20)
    assert theatre.times("web", State.RUNNING) == [0]
    assert theatre.times("db", State.RUNNING) == [5]


@pytest.mark.parametrize("kind", ["requires", "wants"])
def test_the_commands_before_the_other_are_waited_for(kind: str) -> None:
    theatre = play(pair(kind, exec_start_pre=PREPARES), Play(ready=5), prepares=Play(ends=2))
    theatre.ask("start", "web")
    theatre.run(until=1)
    assert theatre.life("web").cause == "waits for db to be started"
    theatre.run(until=20)
    assert theatre.times("web", State.RUNNING) == [2]


def test_while_the_other_is_restarted_it_is_waited_for_again() -> None:
    restart = RestartSection(delay=Seconds(3))
    db, web = pair(restart=restart, exec_start_pre=PREPARES)
    theatre = play((db, web), Play(cannot="no such file"), Play(ready=5))
    job = theatre.ask("start", "web").jobs[0]
    theatre.run(until=1)
    assert theatre.life("web").cause == "waits for db to be started, but it is being restarted: no such file"
    assert theatre.news[-1].words.startswith(f"start: {JobState.DEPENDENCY}")
    assert job.unit == "web"
    theatre.run(until=20)
    assert theatre.times("db", State.STARTING) == theatre.times("web", State.RUNNING) == [3]


def test_what_failed_is_waited_for_by_who_requires_it_and_by_nobody_else() -> None:
    for kind, state in (("requires", State.WAITING), ("wants", State.RUNNING)):
        theatre = play(pair(kind, restart=NEVER, exec_start_pre=PREPARES), prepares=Play(ends=1, code=3))
        theatre.ask("start", "web")
        theatre.run(until=5)
        assert theatre.life("db").state is State.FAILED
        assert theatre.life("web").state is state


def test_what_nobody_has_started_is_not_waited_for() -> None:
    web = unit("web", after=["db started"])
    theatre = play((unit("db", type="notify"), web))
    theatre.ask("start", "web")
    assert theatre.run(until=1).life("web").state is State.RUNNING


def test_a_oneshot_is_started_before_it_has_ended_and_after() -> None:
    job = unit("db", type="oneshot", restart=NEVER)
    theatre = play((job, unit("web", requires=["db"], after=["db started"])), Play(ends=4))
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert theatre.times("web", State.RUNNING) == [0]
    theatre.ask("restart", "web")
    assert theatre.run(until=20).life("web").state is State.RUNNING


def test_the_order_of_a_stop_stays() -> None:
    theatre = play(pair(), Play(ready=1, slow=1))
    theatre.ask("start", "web")
    theatre.run(until=5)
    theatre.ask("stop", "db")
    theatre.run(until=20)
    assert theatre.times("web", State.STOPPING) == [5]
    assert theatre.times("db", State.STOPPING) == theatre.times("web", State.DEAD)


def test_a_start_waits_for_a_stop_that_is_under_way() -> None:
    db, _ = pair()
    theatre = play((db, unit("web", after=["db started"])), Play(ready=1, slow=2))
    theatre.ask("start", "db")
    theatre.run(until=5)
    theatre.ask("stop", "db")
    theatre.ask("start", "web")
    assert theatre.life("web").cause == "waits for db to be started, but it is still stopping"
    assert theatre.run(until=20).times("web", State.RUNNING) == theatre.times("db", State.DEAD) == [7]


def test_who_is_bound_to_it_goes_round_with_it() -> None:
    theatre = play(pair("binds_to", restart=RestartSection(delay=Seconds(3))), Play(ends=2), Play(ready=5))
    theatre.ask("start", "web")
    theatre.run(until=30)
    assert theatre.times("web", State.RUNNING) == [0, 5]
    assert theatre.times("db", State.STARTING) == [0, 5]


# ------------------------------------------------------------------------------------------- who says what


def phase(*units: Unit) -> str:
    return Graph(units).phase("db", "web")


def test_what_both_say_holds() -> None:
    weak, strong = unit("web", after=["db started"]), unit("db", before=["web"])
    assert phase(weak) == STARTED
    assert phase(weak, strong) == phase(strong, weak) == phase(strong) == READY
    graph = Graph([weak, strong])
    graph.put(unit("db"))
    assert graph.phase("db", "web") == STARTED
    graph.put(strong)
    graph.remove("web")
    assert graph.phase("db", "web") == READY


def test_a_target_waits_as_it_says_and_for_the_others_by_default() -> None:
    graph = Graph([unit("all.target", wants=["db", "web"], after=["db started"])])
    assert graph.awaited("all.target") == {"db": STARTED, "web": READY}


def test_a_circle_is_one_whatever_the_phase() -> None:
    theatre = play((unit("db", after=["web started"]), unit("web", requires=["db"], after=["db started"])))
    refused = theatre.ask("start", "web").refusals["web"]
    assert refused.code == "cycle"


def test_one_of_several_commands_is_started_once_the_first_is() -> None:
    """Who is bound to it, and needs it only started, runs on while the next command begins."""
    job = unit(
        "job",
        type="oneshot",
        exec=("/bin/one",),
        exec_more=commands("/bin/two", "/bin/three"),
        remain_after_exit=True,
    )
    web = unit("web", binds_to=["job"], after=["job started"])
    theatre = Theatre([job, web], lambda name, _: Play(ends=1.0) if name == "job" else FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=10)
    assert theatre.life("job").state is State.EXITED
    assert theatre.times("web", State.SPAWNING) == [0]
