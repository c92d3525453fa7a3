"""maestroctl budget."""

from __future__ import annotations

import json
from typing import Any

import pytest

from maestro.cli.render.budgets import table
from maestro.cli.text import Paint
from maestro.control.budgeting import BudgetView, HolderView, LimitView
from tests.cli.conftest import Ctl
from tests.control.fake import Served


def limit(**fields: Any) -> LimitView:
    given: dict[str, Any] = {
        "resource": "cpu_seconds",
        "unit": "seconds",
        "window": "day",
        "used": 8760.0,
        "limit": 14_400.0,
        "granted": 0.0,
        "left": 5640.0,
        "percent": 60,
        "began": 1.0,
        "ends": 2.0,
        "ends_at": "00:00 UTC",
        "exhausted": False,
    }
    return LimitView(**(given | fields))


def holder(*limits: LimitView) -> BudgetView:
    one = HolderView(unit="web", on_exhausted="freeze", warn_at=80, time_zone="UTC", limits=limits, totals={})
    return BudgetView(budgets=(one,))


def test_a_table(ctl: Ctl, served: Served) -> None:
    written = limit(
        resource="bytes_written",
        unit="bytes",
        window="invocation",
        used=3 << 29,
        limit=1 << 31,
        left=100.0,
        ends_at="",
        granted=1024.0,
    )
    served.service.budgets = holder(
        limit(), written, limit(resource="runs", unit="count", used=1.0, limit=5.0, left=4.0)
    )
    lines = [" ".join(line.split()) for line in ctl("budget").out.splitlines()]
    assert lines == [
        "UNIT RESOURCE WINDOW USED LIMIT LEFT % ON EXHAUSTED UNTIL",
        "web cpu_seconds day 2 h 26 min 4 h 1 h 34 min 60% freeze 00:00 UTC",
        "web bytes_written invocation 1.5G 2.0G (+1.0K) 100 60% freeze its end",
        "web runs day 1 5 4 60% freeze 00:00 UTC",
    ]
    assert json.loads(ctl("budget", "--output", "json").out)["budgets"][0]["unit"] == "web"


def test_what_is_used_up_is_red() -> None:
    import msgspec

    view = msgspec.to_builtins(holder(limit(exhausted=True, percent=100), limit(percent=85)))
    shown = table(view["budgets"], None, Paint(True)).splitlines()
    assert "\x1b[31m100%" in shown[1]
    assert "\x1b[33m85%" in shown[2]


def test_no_budgets(ctl: Ctl) -> None:
    assert ctl("budget").out == "no unit has a budget\n"
    assert (
        ctl("budget", "web").out == "none of these has a budget of its own; status tells of those of slices\n"
    )


def test_grants_and_resets_are_asked_for(ctl: Ctl, served: Served) -> None:
    assert ctl("budget", "grant", "web", "cpu_seconds", "1h", "--window", "day").out == "web: done\n"
    assert ctl("budget", "reset", "web").code == 0
    asked = [
        request
        for _, request in served.service.asked
        if "udget" in type(request).__name__ or "Grant" in type(request).__name__
    ]
    assert [str(one) for one in asked] == [
        "Grant(units=('web',), resource='cpu_seconds', amount='1h', window='day')",
        "ResetBudget(units=('web',), resource='')",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ("grant", "web"),
        ("grant", "web", "runs"),
        ("reset",),
        ("reset", "a", "b", "c"),
        ("web", "--window", "day"),
    ],
)
def test_what_makes_no_sense_is_told(ctl: Ctl, words: tuple[str, ...]) -> None:
    said = ctl("budget", *words)
    assert said.code == 2
    assert said.err
