"""What a request does, and that the same request does it once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from maestro.control import protocol as p
from maestro.control.clerk import Office
from maestro.control.desk import Desk
from maestro.control.roles import Caller, Role
from maestro.engine.events import Asked
from maestro.manager.plugins import Plugins
from maestro.manager.transients import Transients
from maestro.model.unit import Unit
from maestro.model.values import SignalName
from maestro.testing.fakes import FakeFiles
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import Rig, rig

FILES = FakeFiles(**{"kept.agent.yaml": "agent: {exec: [kept]}\ninstall: {wanted_by: [default.target]}"})


def desk_of(one: Rig) -> Desk:
    office = Office(
        manager=one.manager,
        catalogue=one.catalogue,
        carrier=one.carrier,
        logs=one.logs,
        store=one.store,
        files=FakeFiles(),
        plugins=Plugins("/nowhere"),
        transients=Transients(one.manager, one.catalogue),
        processes=lambda pid: [],
        hints={},
        root="/",
        keeper_pid=1,
        started=0.0,
        is_ending=lambda: False,
        end=lambda how, by: None,
        notices=list,
    )
    return Desk(office)


@asynccontextmanager
async def manned(*units: Unit) -> AsyncIterator[tuple[Rig, Desk]]:
    async with rig(*units, files=FILES) as one:
        one.catalogue.load(one.manager.world, {})
        for each in units:
            one.manager.feed(Asked("start", (each.name,)))
            await one.manager.settle()
            one.spawned(f"{each.name}#1")
        await one.manager.settle()
        yield one, desk_of(one)


def caller(request: str, uid: int = 0) -> Caller:
    return Caller(uid=uid, gid=0, pid=1, role=Role.ADMIN, request_id=request)


async def last(views: AsyncIterator[p.VerbView]) -> p.VerbView:
    found = [view async for view in views]
    return found[-1]


def facts(one: Rig) -> dict[str, str]:
    """As the store has them."""
    return {name: value for batch in one.store.batches for name, value in batch.facts.items()}


def test_a_kill_asked_twice_by_the_same_request_is_one_signal() -> None:
    async def go() -> None:
        async with manned(unit()) as (one, desk):
            asked = p.Kill(units=("web", "nobody"), signal="USR1")
            first = await desk.kill(caller("x"), asked)
            assert set(first.errors) == {"nobody"}
            assert await desk.kill(caller("x"), asked) == first
            assert len(one.keeper.asked("send")) == 1
            await desk.kill(caller("y"), asked)
            await desk.kill(caller("x", uid=7), asked)
            await desk.kill(caller(""), asked)
            await desk.kill(caller(""), asked)
            assert len(one.keeper.asked("send")) == 5

    play(go())


def test_a_signal_leaves_when_it_is_committed_who_asked_for_it() -> None:
    """With the request's id: so a client that asks the next manager again is known, however soon this one died."""

    async def go() -> None:
        async with manned(unit()) as (one, desk):
            sent: list[bool] = []
            send = one.keeper.send

            def sending(*order: Any, **options: Any) -> None:
                sent.append("0:x" in facts(one).get("answered", ""))
                send(*order, **options)

            one.keeper.send = sending  # type: ignore[method-assign]
            await desk.kill(caller("x"), p.Kill(units=("web",)))
            assert sent == [True]
        async with manned(unit()) as (two, again):
            two.manager.answered.restore(facts(one)["answered"])
            await again.kill(caller("x"), p.Kill(units=("web",)))
            assert two.keeper.asked("send") == []

    play(go())


def test_a_reload_asked_twice_by_the_same_request_is_one_signal() -> None:
    """And one that waits to be stopped is reloaded no more: that is said, where a signal would do nothing."""

    async def go() -> None:
        db = unit("db", reload_signal=SignalName("HUP"))
        async with manned(db, unit("web", requires=["db"], after=["db"])) as (one, desk):
            for _ in range(2):
                await last(desk.verb(caller("x"), p.Reload(units=("db",))))
            hangups = [order for order in one.keeper.asked("send") if order[:2] == ("db#1", 1)]
            assert len(hangups) == 1
            one.manager.feed(Asked("stop", ("db",)))  # waits for web to end first
            answer = await last(desk.verb(caller("y"), p.Reload(units=("db",))))
            assert answer.errors["db"].code == "not-running"

    play(go())


def test_enable_now_finds_its_job_again() -> None:
    async def go() -> None:
        async with manned() as (one, desk):
            asked = p.Enable(units=("kept",), now=True)
            views = desk.link(caller("x"), asked)
            job = (await anext(views)).jobs[0]
            one.spawned("kept#1")
            await last(views)
            one.manager.feed(Asked("stop", ("kept",)))
            again = await last(desk.link(caller("x"), asked))
            assert [view.id for view in again.jobs] == [job.id]
            assert one.manager.world.life("kept").goal == "down", "it was not started again"

    play(go())


def test_what_is_remembered_is_bounded() -> None:
    async def go() -> None:
        async with rig() as one:
            for number in range(3000):
                one.manager.answered.remember(f"0:{number:024}", "{}")
            await one.manager.settle()
            assert len(facts(one)["answered"]) < 100_000
            assert one.manager.answered.recall(f"0:{2999:024}") == "{}"
            assert one.manager.answered.recall(f"0:{0:024}") is None
            one.manager.answered.restore("what another version wrote")

    play(go())
