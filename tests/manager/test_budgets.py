"""Counters are read while something has a budget of them, and what was read is committed now and then."""

from __future__ import annotations

import msgspec

from maestro.engine.budgets import Account
from maestro.engine.events import Asked
from maestro.engine.state import Life, State
from maestro.manager.budgets import KEPT_EVERY, PERIOD, Meter
from maestro.manager.resume import restore
from maestro.model.budget import BudgetSection, Count, Counts, Durations
from maestro.model.values import Seconds
from maestro.ports import Saved, Usage
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import Rig, rest, rig, turns

CPU = BudgetSection(cpu_seconds=Durations({"month": Seconds(100)}))


class Kernel:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cpu: float | None = 0.0

    def usage(self, unit: str, life: Life) -> Usage | None:
        self.asked.append(life.agent)
        return None if self.cpu is None else Usage(cpu=self.cpu)


async def started(one: Rig) -> None:
    one.manager.feed(Asked("start", ("web",)))
    await turns()
    one.spawned("web#1")
    await turns()


def kept(one: Rig) -> list[Account]:
    bodies = [batch.accounts["web"] for batch in one.store.batches if "web" in batch.accounts]
    return [msgspec.msgpack.decode(body, type=Account) for body in bodies if body is not None]


def test_what_is_used_up_is_frozen() -> None:
    async def go() -> None:
        async with rig(unit("web", budget=CPU)) as one:
            kernel = Kernel()
            Meter(one.manager, kernel.usage)
            await started(one)
            kernel.cpu = 99.0
            await rest(PERIOD * 1.5)
            assert one.state("web") == "running"
            kernel.cpu = 100.5
            await rest(PERIOD)
            assert one.state("web") == "frozen"
            assert one.keeper.asked("freeze") == [("web#1", True)]
            assert kept(one)[-1].totals == {
                "cpu_seconds": 100.5,
                "wall_time": kept(one)[-1].totals["wall_time"],
                "runs": 1,
            }
            lives = [
                batch
                for batch in one.store.batches
                if "web" in batch.lives and b"frozen" in (batch.lives["web"] or b"")
            ]
            assert "web" in lives[0].accounts, "the state and what it follows from are one commit"

    play(go())


def test_sums_are_committed_now_and_then() -> None:
    async def go() -> None:
        async with rig(unit("web", budget=CPU)) as one:
            kernel = Kernel()
            Meter(one.manager, kernel.usage)
            await started(one)
            before = len(kept(one))
            for _ in range(2 * KEPT_EVERY):
                assert kernel.cpu is not None
                kernel.cpu += 0.5
                await rest(PERIOD)
            assert 1 <= len(kept(one)) - before <= 3

    play(go())


def test_nothing_is_read_where_nothing_has_such_a_budget() -> None:
    async def go() -> None:
        runs = BudgetSection(runs=Counts({"day": Count(3)}))
        async with rig(unit("web", budget=runs), unit("db")) as one:
            kernel = Kernel()
            Meter(one.manager, kernel.usage)
            one.manager.feed(Asked("start", ("db",)))
            await started(one)
            await rest(PERIOD * 5)
            assert kernel.asked == []

    play(go())


def test_reading_ends_with_what_runs() -> None:
    async def go() -> None:
        async with rig(unit("web", budget=CPU)) as one:
            kernel = Kernel()
            kernel.cpu = None  # nobody can say
            Meter(one.manager, kernel.usage)
            await started(one)
            await rest(PERIOD * 3.5)
            assert set(kernel.asked) == {"web#1"}
            one.manager.feed(Asked("stop", ("web",)))
            await turns()
            one.ended("web#1", signal=15, code=None, cpu=7.0)
            await turns()
            asked = len(kernel.asked)
            await rest(PERIOD * 5)
            assert len(kernel.asked) == asked
            assert kept(one)[-1].totals["cpu_seconds"] == 7.0, "its end said so"

    play(go())


def test_after_a_boot_time_begins_anew_and_sums_do_not() -> None:
    async def go() -> None:
        async with rig(unit("web", budget=CPU)) as one:
            account = Account(
                totals={"runs": 3.0}, agent="web#3", seen={"cpu_seconds": 9.0}, at=1e9, running=True
            )
            life = Life(state=State.RUNNING, agent="web#3", spawns=3)
            saved = Saved(
                lives={"web": msgspec.msgpack.encode(life)},
                accounts={"web": msgspec.msgpack.encode(account), "odd": b"?"},
                facts={"boot": "before"},
            )
            restore(one.manager, one.catalogue, saved, "now")
            found = one.manager.world.ledger.of("web")
            assert (found.totals, found.running, found.at, found.seen) == ({"runs": 3.0}, False, 0.0, {})

    play(go())
