"""How a manager ends: shutting down, leaving, making room; and what an operator is told."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from maestro.engine.events import Asked
from maestro.engine.state import Life
from maestro.manager import tasks
from maestro.manager.plugins import Plugins
from maestro.manager.session import Closing, Session
from maestro.model.unit import RestartSection, Unit
from maestro.model.values import Seconds
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import Rig, turns


class Door:
    def __init__(self) -> None:
        self.state = "new"

    def serve(self) -> None:
        self.state = "open"

    def close(self) -> None:
        self.state = "closed"


class Stage:
    """A session that runs beside the test."""

    def __init__(self, *units: Unit) -> None:
        self.rig = Rig(*units)
        self.plugins = Plugins("/nowhere")
        closing = Closing(self.rig.logs, self.plugins, self.rig.store)
        self.session = Session(self.rig.manager, self.rig.carrier, self.rig.keeper, closing, 77)
        self.door = self.session.server = Door()
        self.task: asyncio.Task[int] = tasks.spawn(self.session.run(), "session")

    async def begin(self, *names: str) -> None:
        self.rig.manager.feed(Asked("start", names))
        await self.rig.manager.settle()
        for number, name in enumerate(names):
            self.rig.spawned(f"{name}#1", 100 + number)
        await self.rig.manager.settle()


def test_a_shutdown_stops_all_in_order_and_then_retires() -> None:
    async def go() -> None:
        stage = Stage(unit("db"), unit("web", requires=["db"], after=["db"]))
        await stage.begin("db", "web")
        await stage.rig.manager.settle()
        stage.rig.spawned("web#1", 101)
        stage.session.end("shutdown")
        await turns()
        assert [order[0] for order in stage.rig.keeper.asked("send")] == ["web#1"]
        assert not stage.rig.keeper.asked("retire")
        stage.rig.ended("web#1")
        await turns(20)
        assert [order[0] for order in stage.rig.keeper.asked("send")] == ["web#1", "db#1"]
        stage.rig.ended("db#1")
        assert await stage.task == 0
        assert stage.rig.keeper.orders[-1] == ("retire",)
        assert stage.door.state == "closed"
        assert any(batch.facts.get("session") == "closed" for batch in stage.rig.store.batches)

    play(go())


@pytest.mark.parametrize(("how", "order", "status"), [("leave", "retire", 0), ("reexec", "reexec", 77)])
def test_agents_run_on_where_nobody_asked_them_to_stop(how: str, order: str, status: int) -> None:
    async def go() -> None:
        stage = Stage(unit())
        await stage.begin("web")
        stage.session.end(how)
        assert await stage.task == status
        assert stage.rig.keeper.orders[-1] == (order,)
        assert not stage.rig.keeper.asked("send")
        assert not any(batch.facts.get("session") == "closed" for batch in stage.rig.store.batches)

    play(go())


def test_a_second_terminate_kills() -> None:
    async def go() -> None:
        stage = Stage(unit())
        await stage.begin("web")
        stage.rig.carrier.told("terminate")
        await turns()
        stage.rig.carrier.told("terminate")
        await turns()
        assert [(agent, number) for agent, number, _ in stage.rig.keeper.asked("send")] == [
            ("web#1", 15),
            ("web#1", 9),
        ]
        stage.rig.ended("web#1", code=None, signal=9)
        assert await stage.task == 0

    play(go())


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("shutdown", "maestrod stops every agent and ends, asked by uid 7"),
        ("leave", "maestrod ends, and the agents run on, asked by uid 7"),
        ("reexec", "maestrod makes room for new code, asked by uid 7"),
    ],
)
def test_an_end_is_told_and_kept(how: str, words: str) -> None:
    async def go() -> None:
        stage = Stage(unit())
        heard: list[str] = []
        stage.rig.hub.listen(lambda told: heard.append(told.what.words))
        stage.session.end(how, "uid 7")
        await stage.task
        assert heard[0] == words
        assert any(words.encode() in row.body for row in stage.rig.store.rows)

    play(go())


def test_what_is_told_to_end_twice_ends_once() -> None:
    async def go() -> None:
        stage = Stage(unit())
        stage.session.end("shutdown")
        stage.session.end("shutdown")
        stage.session.end("leave")
        assert await stage.task == 0
        assert stage.rig.keeper.orders == [("retire",)]

    play(go())


def test_a_life_without_a_unit_does_not_hold_a_shutdown_up() -> None:
    """Its file is gone and its definition unreadable: nobody could stop it by its rules, so it is killed."""

    async def go() -> None:
        stage = Stage(unit())
        await stage.begin("web")
        del stage.rig.manager.world.units["web"]
        stage.session.end("shutdown")
        await turns(20)
        assert stage.rig.keeper.asked("send") == [("web#1", 9, True)]
        assert await asyncio.wait_for(stage.task, 100) == 0

    play(go())


def test_without_its_keeper_a_manager_does_not_stay() -> None:
    async def go() -> None:
        stage = Stage(unit())
        await turns()
        stage.rig.carrier.lost()
        stage.rig.carrier.lost()
        assert await stage.task == 1
        assert stage.door.state == "closed"

    play(go())


@pytest.mark.parametrize("disk", ["works", "hangs"])
def test_what_a_keeper_told_before_it_was_killed_is_committed(disk: str) -> None:
    """Nobody else knows how that process has ended."""

    async def go() -> None:
        at_once = RestartSection(policy="always", delay=Seconds("0"))
        stage = Stage(unit(restart=at_once))
        await stage.begin("web")
        before = len(stage.rig.store.batches)
        stage.rig.ended("web#1", 3)
        stage.rig.carrier.lost()
        if disk == "hangs":
            stage.rig.store.gate.clear()
        assert await stage.task == 1
        if disk == "works":
            bodies = [batch.lives.get("web") for batch in stage.rig.store.batches[before:]]
            assert [msgspec.msgpack.decode(one, type=Life).agent for one in bodies if one] == ["web#2"]

    play(go())


def test_reload_ends_nothing() -> None:
    async def go() -> None:
        stage = Stage(unit())
        read: list[int] = []
        stage.session.on_reload = lambda: read.append(1)
        stage.rig.carrier.told("reload")
        await turns()
        assert read == [1]
        assert not stage.task.done()
        stage.session.end("leave")
        await stage.task

    play(go())


def test_a_bug_in_the_committer_ends_the_manager() -> None:
    async def go() -> None:
        stage = Stage(unit())

        async def broken(batch: object) -> str | None:
            raise ZeroDivisionError

        stage.rig.store.commit = broken  # type: ignore[method-assign]
        stage.rig.manager.note_fact("a", "b")
        with pytest.raises(ZeroDivisionError):
            await stage.task

    play(go())


def test_an_operator_is_told_what_is_wrong() -> None:
    async def go() -> None:
        stage = Stage(unit("a", after=["b"]), unit("b", after=["a"]))
        assert any("in a circle" in notice for notice in stage.session.notices(stage.rig.catalogue))
        stage.session.open_trouble = "the store was damaged"
        stage.rig.store.trouble = "disk full"
        stage.rig.manager.note_fact("a", "b")
        await turns()
        found = stage.session.notices(stage.rig.catalogue)
        assert found[0] == "the store was damaged"
        assert found[1] == "the store cannot be written: disk full; states are kept in memory"
        stage.session.end("leave")
        await stage.task

    play(go())
