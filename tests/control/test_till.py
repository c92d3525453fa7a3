"""Budgets as the desk shows and changes them."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from maestro.control import protocol as p
from maestro.control.service import Refused
from maestro.engine.events import Used
from maestro.testing.loop import play
from tests.control.office import GOOD, ROOT, Behind
from tests.control.test_desk import manned, unit

SPARE = (
    GOOD.replace("/bin/true", "/bin/sleep 9")
    + "budget: {cpu_seconds: {month: 4h, invocation: 5h}, runs: {month: 10}}\n"
)


async def begun(behind: Behind) -> None:
    async for _ in behind.desk.verb(ROOT, p.Start(units=("web",), wait=False)):
        pass
    behind.spawned("web#1")
    behind.manager.feed(Used(counters={"web#1": {"cpu_seconds": 14_400.0}}))


def test_what_was_used_is_shown_and_changes_nothing() -> None:
    async def go() -> None:
        async with manned(Behind(web=SPARE, db=GOOD)) as behind:
            await begun(behind)
            before = behind.manager.world.ledger.of("web")
            view = await behind.desk.budget(ROOT, p.Budget())
            assert [one.unit for one in view.budgets] == ["web"]
            month, invocation, runs = view.budgets[0].limits
            assert (month.resource, month.window, month.unit, month.percent) == (
                "cpu_seconds",
                "month",
                "seconds",
                100,
            )
            assert (month.used, month.left, month.exhausted) == (14_400.0, 0.0, True)
            assert (invocation.percent, invocation.ends, invocation.ends_at) == (80, None, "")
            assert (runs.unit, runs.used, runs.left) == ("count", 1.0, 9.0)
            assert behind.manager.world.ledger.of("web") == before
            assert (await behind.desk.budget(ROOT, p.Budget(units=("d*",)))).budgets == ()
            assert "nope" in (await behind.desk.budget(ROOT, p.Budget(units=("nope",)))).errors
            assert (
                await unit(behind, "web")
            ).budget == "100% of cpu_seconds of this month are used (4h of 4h)"
            assert (await unit(behind, "db")).budget == ""

    play(go())


def test_a_grant_is_done_once_and_in_the_audit_log() -> None:
    async def go() -> None:
        async with manned(Behind(web=SPARE, db=GOOD)) as behind:
            await begun(behind)
            assert behind.state("web") == "frozen"
            caller = replace(ROOT, request_id="r1")
            request = p.Grant(units=("web", "db"), resource="cpu_seconds", amount="1h", window="month")
            view = await behind.desk.change_budget(caller, request)
            assert view.changes == ("web: 1h of cpu_seconds more, until the month is over",)
            assert view.errors["db"].code == "no-budget"
            assert behind.state("web") == "running"
            again = await behind.desk.change_budget(caller, request)
            assert again.errors == view.errors
            entry = behind.manager.world.ledger.of("web").entries["cpu_seconds/month"]
            assert entry.granted == 3600
            [audit] = [json.loads(row.body) for row in await behind.store.audit(9) if b"grant" in row.body]
            assert audit["action"] == "budget grant 1h of cpu_seconds this month of web db"
            assert audit["result"] == "db: no-budget"

    play(go())


def test_a_reset_forgets() -> None:
    async def go() -> None:
        async with manned(Behind(web=SPARE)) as behind:
            await begun(behind)
            view = await behind.desk.change_budget(ROOT, p.ResetBudget(units=("web",)))
            assert view.changes == ("web: what was used of its budget is forgotten",)
            assert behind.state("web") == "running"
            [one] = (await behind.desk.budget(ROOT, p.Budget())).budgets
            assert {limit.percent for limit in one.limits} == {0}
            assert one.totals["cpu_seconds"] == 14_400

    play(go())


@pytest.mark.parametrize(
    ("resource", "amount", "message", "hint"),
    [
        ("cpu_secnods", "1h", "there is no resource 'cpu_secnods'", "did you mean cpu_seconds?"),
        (
            "usd",
            "1",
            "there is no resource 'usd'",
            "there are cpu_seconds, wall_time, bytes_written, restarts, runs",
        ),
        ("cpu_seconds", "1x", "'1x' is not a duration", "write a duration such as 30s, 1min 30s or 500ms"),
        ("runs", "0", "'0' is not an amount that can be granted", "write one such as 5"),
    ],
)
def test_what_cannot_be_granted_is_refused(resource: str, amount: str, message: str, hint: str) -> None:
    async def go() -> None:
        async with manned(Behind(web=SPARE)) as behind:
            with pytest.raises(Refused) as caught:
                await behind.desk.change_budget(
                    ROOT, p.Grant(units=("web",), resource=resource, amount=amount)
                )
            error = caught.value.error
            assert (error.code, error.message, error.hint) == ("bad-request", message, hint)

    play(go())
