"""A restart leaves before it is committed, where nothing has to come before it; and not more than that."""

from __future__ import annotations

from maestro.engine.events import Asked, Ended, Looked, RemovePidFile
from maestro.model.unit import RestartSection, StopSection, Unit
from maestro.model.values import Seconds
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import Rig, rest, rig, turns


def restarting() -> Unit:
    return unit(restart=RestartSection(policy="always", delay=Seconds("0")))


async def up_and_committed(one: Rig) -> None:
    """From then on the store takes nothing until its gate is set."""
    one.manager.feed(Asked("start", ("web",)))
    await one.manager.settle()
    one.spawned("web#1")
    await one.manager.settle()
    one.store.gate.clear()


def test_a_restart_leaves_before_it_is_committed() -> None:
    """The end that it follows is the keeper's to remember until then."""

    async def go() -> None:
        async with rig(restarting()) as one:
            await up_and_committed(one)
            one.ended("web#1", 1)
            await turns()
            assert one.keeper.asked("spawn") == [("web#1",), ("web#2",)]
            await rest(1)
            assert one.keeper.asked("acknowledge") == []
            one.store.gate.set()
            await one.manager.settle()
            assert one.keeper.asked("acknowledge") == [("web#1",)]

    play(go())


def test_a_manager_that_dies_before_a_restart_is_committed_is_followed_by_one_that_orders_the_same() -> None:
    async def go() -> None:
        async with rig(restarting()) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            await one.manager.settle()
            committed = one.manager.world.life("web")
            ended = Ended(agent="web#1", code=1)
            one.store.gate.clear()
            one.carrier.ended(ended)
            await turns()
            assert one.keeper.asked("spawn")[-1] == ("web#2",)
        async with rig(restarting()) as other:
            other.manager.restore({"web": committed}, [], {})
            other.manager.feed(Looked({"web#2": (101, 1)}, {"web#1": ended}, fresh=False))
            other.spawned("web#2", 101)
            await other.manager.settle()
            life = other.manager.world.life("web")
            assert (life.state.value, life.agent, life.pid) == ("running", "web#2", 101)
            assert (other.keeper.asked("spawn"), other.keeper.asked("send")) == ([("web#2",)], [])
            assert "stray" not in other.told

    play(go())


def test_a_restart_waits_for_what_is_to_be_done_before_it() -> None:
    """The pid file of the process before, say: removed later, it would be that of the next."""

    async def go() -> None:
        async with rig(restarting(), unit("db")) as one:
            await up_and_committed(one)
            one.manager.do(RemovePidFile("web", "/run/web.pid"))
            one.ended("web#1", 1)
            await turns()
            assert one.keeper.asked("spawn") == [("web#1",)]
            one.store.gate.set()
            await one.manager.settle()
            assert one.keeper.asked("spawn") == [("web#1",), ("web#2",)]

    play(go())


def test_a_restart_that_had_to_wait_still_comes_before_what_was_asked_of_it() -> None:
    async def go() -> None:
        async with rig(restarting()) as one:
            await up_and_committed(one)
            one.manager.do(RemovePidFile("web", "/run/web.pid"))
            await turns()  # that is being committed now
            one.ended("web#1", 1)
            one.manager.feed(Asked("stop", ("web",)))
            await turns()
            one.store.gate.set()
            await one.manager.settle()
            sent = [order[:2] for order in one.keeper.orders if order[0] in ("spawn", "send")]
            assert sent == [("spawn", "web#1"), ("spawn", "web#2"), ("send", "web#2")]

    play(go())


def test_what_another_is_started_for_an_end_waits_until_that_is_committed() -> None:
    """The next manager would find it running, and not know for what: only a restart follows from what the keeper has."""

    async def go() -> None:
        stop = StopSection(kill_mode="process")  # so that its group is not given back first
        web = unit(restart=RestartSection(policy="no"), stop=stop, on_success=("db",))
        async with rig(web, unit("db")) as one:
            await up_and_committed(one)
            one.ended("web#1")
            await turns()
            assert one.keeper.asked("spawn") == [("web#1",)]
            one.store.gate.set()
            await one.manager.settle()
            assert one.keeper.asked("spawn") == [("web#1",), ("db#1",)]

    play(go())


def test_no_unit_is_further_ahead_of_the_store_than_by_one_restart() -> None:
    """A keeper that is killed then cannot be told of one in between, and the next would start it beside the last."""

    async def go() -> None:
        async with rig(restarting()) as one:
            await up_and_committed(one)
            one.ended("web#1", 1)
            one.spawned("web#2", 101)
            one.ended("web#2", 1)
            assert one.keeper.asked("spawn") == [("web#1",), ("web#2",)]
            await rest(1)  # the first is being committed
            assert one.keeper.asked("spawn") == [("web#1",), ("web#2",)]
            one.store.gate.set()
            await one.manager.settle()
            one.spawned("web#3", 102)
            one.store.gate.clear()
            one.manager.note_fact("n", "1")
            await rest(1)
            one.ended("web#3", 1)
            assert one.keeper.asked("spawn")[2:] == [("web#3",), ("web#4",)]  # nothing of it is uncommitted
            one.spawned("web#4", 103)
            one.ended("web#4", 1)
            assert one.keeper.asked("spawn")[2:] == [("web#3",), ("web#4",)]

    play(go())


def test_what_is_being_committed_keeps_a_second_restart_back_too() -> None:
    async def go() -> None:
        async with rig(restarting()) as one:
            await up_and_committed(one)
            one.ended("web#1", 1)
            await rest(1)  # that is being committed now
            one.spawned("web#2", 101)
            one.ended("web#2", 1)
            await turns()
            assert one.keeper.asked("spawn") == [("web#1",), ("web#2",)]
            one.store.gate.set()
            await one.manager.settle()
            assert one.keeper.asked("spawn") == [("web#1",), ("web#2",), ("web#3",)]

    play(go())
