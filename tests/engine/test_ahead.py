"""A manager after one whose last restarts were carried out, but not committed: a disk that hung, or refused, or the moment between."""

from __future__ import annotations

import pytest

from maestro.engine.events import Acknowledge, Ended, Looked, Send
from maestro.engine.state import Life, State
from maestro.model.unit import RestartSection
from maestro.model.values import Seconds
from maestro.testing.theatre import FOREVER, Play, Theatre, unit
from tests.engine.around import commands

PREPARES = commands("/bin/prepare")
AT_ONCE = RestartSection(policy="always", delay=Seconds("0"), start_limits=())


def committed(theatre: Theatre, name: str = "web") -> Life:
    """What the store has of a unit from then on: its first process, whatever follows it."""
    theatre.ask("start", name)
    theatre.run(until=1)
    return theatre.life(name)


def test_of_several_that_have_ended_each_end_counts_and_the_one_that_runs_stays() -> None:
    theatre = Theatre([unit(restart=AT_ONCE)])
    known = committed(theatre)
    theatre.alive = {"web#3": FOREVER}
    ends = {f"web#{number}": Ended(agent=f"web#{number}", code=number, at=1.0) for number in (1, 2)}
    theatre.unacknowledged = dict(ends)
    theatre.world.set_life("web", known)
    step = theatre.feed(Looked({"web#3": (103, 103)}, ends, False))
    theatre.run(until=2)
    assert [deed for deed in step.deeds if isinstance(deed, Send)] == []
    assert {deed.agent for deed in step.deeds if isinstance(deed, Acknowledge)} == {"web#1", "web#2"}
    life = theatre.life("web")
    assert (life.state, life.agent, life.spawns, life.restarts) == (State.RUNNING, "web#3", 3, 2)
    told = [one.words for one in step.news if one.kind == "restart-scheduled"]
    assert ["exit status 1" in told[0], "exit status 2" in told[1]] == [True, True]
    assert theatre.two_at_once == []


@pytest.mark.parametrize("before", [(), PREPARES], ids=["alone", "after a command"])
def test_a_later_one_that_runs_is_the_one_that_counts_though_the_ends_before_it_are_forgotten(
    before: tuple[object, ...],
) -> None:
    """The disk refused for long: the keeper has been told to forget the ends."""
    theatre = Theatre([unit(restart=AT_ONCE, exec_start_pre=before)])
    known = committed(theatre)
    theatre.alive = {"web#57": FOREVER}
    theatre.world.set_life("web", known)
    step = theatre.feed(Looked({"web#57": (157, 157)}, {}, False))
    theatre.run(until=2)
    assert [deed for deed in step.deeds if isinstance(deed, Send)] == []
    life = theatre.life("web")
    assert (life.state, life.agent, life.spawns) == (State.RUNNING, "web#57", 57)
    assert (list(theatre.alive), theatre.two_at_once) == (["web#57"], [])


def test_one_that_has_ended_meanwhile_is_not_begun_twice() -> None:
    theatre = Theatre([unit(restart=AT_ONCE)], lambda *_: Play())
    known = committed(theatre)
    theatre.alive = {}
    ends = {f"web#{number}": Ended(agent=f"web#{number}", code=number, at=1.0) for number in (1, 2)}
    theatre.unacknowledged = dict(ends)
    theatre.world.set_life("web", known)
    theatre.feed(Looked({}, ends, False))
    theatre.run(until=2)
    life = theatre.life("web")
    assert (life.state, life.agent, life.restarts) == (State.RUNNING, "web#3", 2)
    assert list(theatre.alive) == ["web#3"]
