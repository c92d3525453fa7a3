"""What a new manager makes of the keeper's table."""

from __future__ import annotations

import pytest

from maestro.engine.events import Asked
from maestro.engine.state import Life
from maestro.manager import resume
from maestro.model.unit import RestartSection
from maestro.model.values import Seconds
from maestro.ports import Ended, Entry, Saved, Table
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import Rig, rig

AT_ONCE = unit(restart=RestartSection(policy="always", delay=Seconds("0")))
STAYS_DOWN = unit(restart=RestartSection(policy="no"))
SAVED = Saved(facts={"keeper": "k", "boot": "b", "session": "open"})


def ended(number: int) -> Entry:
    agent = f"web#{number}"
    return Entry(agent=agent, pid=number, start=1, ended=Ended(agent=agent, code=number, at=1.0))


def taken_up(one: Rig, committed: Life, *entries: Entry) -> None:
    one.manager.restore({"web": committed}, [], {})
    table = Table(keeper="k", entries=entries, streams={}, held={})
    seen = resume.take_up(one.manager, one.carrier, table)
    assert resume.begin(one.manager, one.carrier, seen, table, SAVED, "b") is None


def test_the_end_of_a_restart_that_was_not_committed_is_kept_until_it_is() -> None:
    """The keeper would start it a second time under the same number, and nobody would know how the first has ended."""

    async def go() -> None:
        async with rig(AT_ONCE) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            await one.manager.settle()
            committed = one.manager.world.life("web")
        async with rig(AT_ONCE) as other:
            other.store.gate.clear()
            taken_up(other, committed, ended(1), ended(2))
            assert other.keeper.asked("acknowledge") == []
            other.store.gate.set()
            await other.manager.settle()
            assert other.keeper.asked("acknowledge") == [("web#1",), ("web#2",)]
            assert other.keeper.asked("spawn") == [("web#3",)]
            assert other.manager.world.life("web").restarts == 2

    play(go())


@pytest.mark.parametrize("committed", [Life(spawns=1), Life(spawns=2)], ids=["ahead", "past"])
def test_an_end_that_nobody_waits_for_is_forgotten(committed: Life) -> None:
    async def go() -> None:
        async with rig(STAYS_DOWN) as one:
            taken_up(one, committed, ended(2))
            await one.manager.settle()
            assert one.keeper.asked("acknowledge") == [("web#2",)]

    play(go())
