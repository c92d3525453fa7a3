"""Several commands of a oneshot: each a main process, one after the other."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.engine.events import Asked, Looked, Spawn
from maestro.engine.state import Goal, Result, State
from maestro.model.unit import RestartSection, Unit
from maestro.model.values import Seconds
from maestro.testing.theatre import FOREVER, Play, Theatre, unit
from tests.engine.around import BAD, NEVER, STOP, commands

WELL = Play(ends=1.0)


def steps(*more: str, **options: Any) -> Unit:
    options.setdefault("restart", NEVER)
    lines = commands(*(more or ("/bin/two", "/bin/three")))
    return unit("job", type="oneshot", exec=("/bin/one",), exec_more=lines, stop=STOP, **options)


def play(one: Unit, *plays: Play, others: tuple[Unit, ...] = ()) -> Theatre:
    """`plays` are those of its processes, in the order of their start."""

    def cast(name: str, number: int) -> Play:
        return plays[min(number, len(plays)) - 1] if name == "job" else FOREVER

    theatre = Theatre([one, *others], cast)
    theatre.ask("start", "job", *(other.name for other in others))
    return theatre


def begun(theatre: Theatre) -> list[str]:
    return [one.words for one in theatre.news if one.kind == "starting" and one.unit == "job"]


def test_each_ends_well_before_the_next_and_the_last_is_the_end() -> None:
    theatre = play(steps(), WELL, others=(unit("web", requires=["job"], after=["job"]),))
    theatre.run(10)
    assert begun(theatre) == ["starting /bin/one", "starting /bin/two", "starting /bin/three"]
    assert theatre.times("job", State.SPAWNING) == [0, 1, 2]
    assert theatre.times("job", State.DEAD) == theatre.times("web", State.RUNNING) == [3]
    life = theatre.life("job")
    assert (life.goal, life.completed, life.spawns, life.line) == (Goal.DOWN, True, 3, 2)
    assert not theatre.unacknowledged


def test_one_that_fails_is_the_last() -> None:
    theatre = play(steps(), WELL, Play(ends=1.0, code=3), WELL)
    theatre.run(10)
    life = theatre.life("job")
    assert (life.state, life.result, life.cause) == (
        State.FAILED,
        Result.EXIT_CODE,
        "/bin/two ended with exit status 3",
    )
    assert len(begun(theatre)) == 2


@pytest.mark.parametrize("second", [BAD, Play(ends=0, signal=9), Play(cannot="no such file")])
def test_a_failure_that_does_not_count(second: Play) -> None:
    theatre = play(steps("-/bin/two", "/bin/three"), WELL, second, WELL)
    theatre.run(10)
    assert (theatre.life("job").state, len(begun(theatre))) == (State.DEAD, 3)
    assert theatre.life("job").result is Result.SUCCESS


def test_the_commands_around_it_run_once() -> None:
    one = steps(
        exec_start_pre=commands("/bin/pre"),
        exec_start_post=commands("/bin/post"),
        exec_stop=commands("/bin/stop"),
        exec_stop_post=commands("/bin/after"),
        remain_after_exit=True,
    )
    theatre = play(one, WELL)
    theatre.run(10)
    assert theatre.life("job").state is State.EXITED
    theatre.ask("stop", "job")
    theatre.run(20)
    assert [errand.option for errand in theatre.ran] == [
        "exec_start_pre", "exec_start_post", "exec_stop", "exec_stop_post",
    ]  # fmt: skip
    assert len(begun(theatre)) == 4  # the commands before it are told of as well


def test_each_has_the_whole_time() -> None:
    theatre = play(steps(start_timeout=Seconds(3)), Play(ends=2.0), Play(ends=2.0), FOREVER)
    theatre.run(20)
    assert theatre.life("job").result is Result.TIMEOUT
    assert theatre.times("job", State.STOPPING) == [7]


def test_what_one_leaves_running_is_killed_before_the_next() -> None:
    theatre = play(steps(), Play(ends=1.0, leaves=2, lingers=0.5), WELL)
    theatre.run(10)
    assert theatre.states("job")[:4] == [State.SPAWNING, State.STARTING, State.NEXT, State.SPAWNING]
    assert theatre.times("job", State.SPAWNING) == [0, 1.5, 2.5]
    assert theatre.signals == [("job#1", "KILL")]
    assert theatre.life("job").completed


def test_what_the_last_leaves_running_is_its_own_where_it_remains() -> None:
    theatre = play(steps("/bin/two", remain_after_exit=True), WELL, Play(ends=1.0, leaves=1))
    assert theatre.run(10).life("job").state is State.EXITED
    assert theatre.leftovers == {"job#2": 1}


@pytest.mark.parametrize("at", [0.5, 1.2, 1.7])
def test_a_stop_between_two_or_in_one(at: float) -> None:
    theatre = play(steps(), Play(ends=1.0, leaves=1, lingers=0.5), FOREVER)
    theatre.run(at)
    theatre.ask("stop", "job")
    theatre.run(20)
    assert (theatre.life("job").state, theatre.life("job").completed) == (State.DEAD, False)
    assert len(begun(theatre)) == (2 if at > 1.5 else 1)
    assert not theatre.alive
    assert not theatre.leftovers


def test_a_restart_begins_with_the_first() -> None:
    theatre = play(steps(restart=RestartSection(delay=Seconds(5))), WELL, BAD, WELL)
    theatre.run(30)
    assert [words.rpartition("/")[2] for words in begun(theatre)] == ["one", "two", "one", "two", "three"]
    theatre.ask("restart", "job")
    theatre.run(60)
    assert [words.rpartition("/")[2] for words in begun(theatre)][5:] == ["one", "two", "three"]


def test_who_waits_for_its_end_is_not_let_go_between_two() -> None:
    web = unit("web", wants=["job"], after=["job"])
    theatre = play(steps(), Play(ends=1.0, leaves=1, lingers=0.5), WELL, others=(web,))
    theatre.run(20)
    assert theatre.times("web", State.RUNNING) == theatre.times("job", State.DEAD)


# ------------------------------------------------------------------------------------------- the manager dies


@pytest.mark.parametrize("keeper", [False, True])
@pytest.mark.parametrize("at", [0.0, 0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0])
def test_a_new_manager_goes_on_with_the_right_one(at: float, keeper: bool) -> None:
    theatre = play(steps(), Play(ends=1.0, leaves=1, lingers=0.5), WELL)
    theatre.run(at)
    theatre.kill_manager(keeper=keeper)
    theatre.run(50)
    assert theatre.life("job").completed or keeper  # an end that nobody saw is a failure
    assert theatre.two_at_once == []
    assert begun(theatre) == list(dict.fromkeys(begun(theatre)))


def test_one_that_was_ordered_and_never_began_is_ordered_again_and_no_other() -> None:
    """Committed, and the manager dies before the deed has left; and before that, with the end in the keeper's record."""
    theatre = play(steps(), WELL)
    theatre.run(0.5)
    theatre.kill_manager(away=1.0)  # the first ends meanwhile
    assert (theatre.life("job").line, theatre.life("job").agent) == (1, "job#2")
    theatre.alive.clear()
    step = theatre.world.feed(Looked({}, {}, False), theatre.now, 0.0)
    assert [deed.agent for deed in step.deeds if isinstance(deed, Spawn)] == ["job#2"]


def test_conditions_are_looked_at_before_the_first_alone() -> None:
    why = "condition path_exists=/x was not met"
    theatre = play(steps(), WELL, Play(ends=1.0, skipped=why))
    theatre.run(10)
    assert theatre.life("job").completed
    assert not theatre.life("job").skipped
    theatre = play(steps(), Play(skipped=why))
    theatre.feed(Asked("start", ("job",)))
    assert theatre.run(10).life("job").skipped


def test_what_is_bound_to_its_beginning_runs_on_through_all_of_them() -> None:
    bound = unit("web", binds_to=["job"], after=["job started"])
    theatre = play(steps(remain_after_exit=True), WELL, others=(bound,))
    theatre.run(10)
    assert theatre.life("job").state is State.EXITED
    assert theatre.times("web", State.RUNNING) == [0]
    assert theatre.life("web").state is State.RUNNING
