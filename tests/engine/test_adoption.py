"""What a new manager makes of what the old one left: nothing lost, nothing doubled, timers where they were."""

from __future__ import annotations

import msgspec
import pytest

from maestro.engine.events import Asked, Ended, Looked, Send, Spawn
from maestro.engine.state import Life, Result, State
from maestro.engine.world import World
from maestro.model.unit import RestartSection
from maestro.testing.theatre import FOREVER, Play, Theatre, unit
from tests.engine.around import NEVER, STOP

UNLIMITED = RestartSection(start_limits=())


def crash(after: float) -> Play:
    return Play(ends=after, code=1)


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
    theatre = Theatre([unit(restart=UNLIMITED)], lambda *_: crash(0))
    theatre.ask("start", "web")
    theatre.run(until=4)
    life = theatre.life("web")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(life), type=Life) == life


def test_an_agent_that_no_store_knows_is_kept_not_doubled() -> None:
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
    theatre = Theatre([unit()])
    theatre.ask("start", "web")
    theatre.run(until=1)
    step = theatre.feed(Looked({"web#1": (100, 100), "web#0": (99, 99)}, {}, False))
    assert Send("web#0", "KILL", True) in step.deeds


def test_an_order_that_a_dead_keeper_never_carried_out_is_given_again() -> None:
    theatre = Theatre([unit(restart=RestartSection(policy="no"))])
    theatre.world.put(theatre.declared["web"])
    step = theatre.world.feed(Asked("start", ("web",)), 0.0, 0.0)
    assert [type(deed) for deed in step.deeds] == [Spawn]  # committed, and never carried out
    theatre.kill_manager(keeper=True)
    theatre.run(until=1)
    assert (theatre.life("web").state, theatre.life("web").agent) == (State.RUNNING, "web#1")
    assert theatre.two_at_once == []


def test_an_instance_that_no_store_knows_is_made_of_its_template_and_kept() -> None:
    theatre = Theatre([unit("w@1")])
    theatre.ask("start", "w@1")
    theatre.run(until=1)
    theatre.world = World(theatre.declared.get)  # nothing is loaded: an instance is made when it is asked for
    theatre.feed(Looked({"w@1#1": (100, 100), "gone#4": (7, 7)}, {}, False))
    assert (theatre.life("w@1").state, theatre.life("w@1").agent) == (State.RUNNING, "w@1#1")
    assert set(theatre.alive) == {"w@1#1"}, "and what has no unit any more is left alone"


def test_what_is_left_gets_its_signal_though_the_manager_died_before_it_was_sent() -> None:
    """The main process has ended, and what it left is asked to end: committed, and not carried out."""
    theatre = Theatre([unit("web", stop=STOP, restart=NEVER)], lambda *_: Play(leaves=2))
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.alive.clear()
    end = Ended(agent="web#1", code=0, left=("7 (child)",))
    theatre.unacknowledged["web#1"], theatre.leftovers["web#1"] = end, 2
    theatre.feed(end, carry=False)
    assert (theatre.life("web").state, theatre.signals) == (State.STOPPING, [])
    theatre.kill_manager()
    assert theatre.signals == [("web#1", "TERM")]


def test_what_a_frozen_one_left_goes_on_though_the_manager_died_before_it_was_told() -> None:
    theatre = Theatre([unit("web", stop=STOP, restart=NEVER)], lambda *_: FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("freeze", "web")
    theatre.alive.clear()
    end = Ended(agent="web#1", signal=9, left=("7 (child)",))
    theatre.unacknowledged["web#1"], theatre.leftovers["web#1"] = end, 1
    theatre.feed(end, carry=False)
    theatre.kill_manager()
    assert theatre.still == set()


def test_the_end_of_a_followed_process_is_told_truly_though_the_manager_died_before_it_knew_of_it() -> None:
    """The keeper followed what the first process had left, and that has ended since."""
    theatre = Theatre([unit("web", type="forking", restart=NEVER)], lambda *_: FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.alive.clear()
    theatre.feed(Ended(agent="web#1", code=0, at=1.0, left=("7 (daemon)",)), carry=False)
    assert theatre.life("web").awaits == ("pid",)
    theatre.unacknowledged["web#1"] = Ended(agent="web#1", code=3, at=2.0)
    theatre.kill_manager()
    theatre.run(until=5)
    assert theatre.life("web").cause == "ended with exit status 3"
    assert theatre.life("web").ready_at is not None
