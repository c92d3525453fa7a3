"""What the host has left is looked at when a start needs to know, and when the kernel says that memory is short."""

from __future__ import annotations

from collections.abc import Callable

from maestro.engine.events import Asked
from maestro.manager.headroom import Headroom
from maestro.model.unit import Unit
from maestro.testing.loop import play
from tests.engine.hosts import TOTAL, M, agent, limited
from tests.manager.rig import Rig, rest, rig, turns


class Memory:
    """Of a host; `ring` is the kernel's word."""

    def __init__(self) -> None:
        self.available = TOTAL
        self.looks = 0
        self.ring: Callable[[], None] = lambda: None

    def begin(self, ring: Callable[[], None]) -> None:
        self.ring = ring

    def memory(self) -> tuple[int, int]:
        self.looks += 1
        return TOTAL, self.available


class Groups:
    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self.asked: list[str] = []

    def memory(self, unit: Unit) -> int:
        self.asked.append(unit.name)
        return self.used.get(unit.name, 0) * M

    def tasks(self, unit: Unit) -> int:
        return 0

    def most_tasks(self) -> int:
        return 1000


def furnished(one: Rig) -> tuple[Memory, Groups]:
    memory, groups = Memory(), Groups()
    Headroom(one.manager, memory, groups).begin()
    return memory, groups


def start(one: Rig, *names: str) -> None:
    for name in names:
        one.manager.feed(Asked("start", (name,)))


def test_only_who_reserves_or_waits_costs_a_look() -> None:
    async def act() -> None:
        async with rig(agent("plain"), agent("big", "1G"), agent("more", "1500M")) as one:
            memory, groups = furnished(one)
            start(one, "plain")
            await rest(100)
            assert (memory.looks, groups.asked) == (0, [])
            start(one, "big")
            await turns()
            one.spawned("big#1")
            await rest(100)
            assert (memory.looks, one.state("big")) == (1, "running")
            start(one, "more")
            await rest(10.5)
            assert one.state("more") == "waiting"
            assert 10 <= memory.looks <= 14, "once a second"
            one.ended("big#1", 0)
            await rest(1)
            assert ("more#1",) in one.keeper.asked("spawn")
            looks = memory.looks
            await rest(100)
            assert memory.looks == looks

    play(act())


def test_a_slice_is_looked_at_for_those_in_it() -> None:
    inside, other = limited("in.slice", "100M"), limited("other.slice", "100M")

    async def act() -> None:
        async with rig(inside, other, agent("web", "50M", slice="in.slice")) as one:
            _, groups = furnished(one)
            groups.used["in.slice"] = 60
            start(one, "web")
            await turns()
            assert one.manager.world.life("web").cause == (
                "waits for memory: it asks for 50M, and 40M of in.slice is free"
            )
            assert "other.slice" not in groups.asked
            groups.used["in.slice"] = 10
            await rest(1.5)
            assert one.keeper.asked("spawn") == [("web#1",)]

    play(act())


def test_the_kernels_word_freezes_only_where_there_is_little() -> None:
    async def act() -> None:
        async with rig(agent("low"), agent("high", priority=1)) as one:
            memory, groups = furnished(one)
            start(one, "low", "high")
            await turns()
            one.spawned("low#1", 101)
            one.spawned("high#1", 102)
            memory.ring()
            await turns()
            assert one.keeper.asked("freeze") == []
            assert groups.asked == []
            memory.available = 100 * M
            memory.ring()
            await turns()
            assert one.keeper.asked("freeze") == [("low#1", True)]
            memory.available = 500 * M
            await rest(33)
            assert one.keeper.asked("freeze") == [("low#1", True), ("low#1", False)]
            assert {"memory-pressure", "frozen", "thawed"} <= set(one.told)
            looks = memory.looks
            await rest(100)
            assert memory.looks == looks, "nothing presses any more"

    play(act())
