"""Budgets as a file says them."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from maestro.model.budget import RESOURCES, BudgetSection, amount_of, limits, say
from maestro.model.load import load_text
from maestro.model.option import describe
from maestro.model.plain import Mistake
from maestro.model.unit import Unit


def loaded(budget: str) -> Any:
    return load_text(
        "web.agent.yaml", f"agent: {{exec: /bin/true}}\nbudget: {budget}\n".encode(), "web.agent.yaml"
    )


def unit(budget: str) -> Unit:
    found = loaded(budget)
    assert found.unit is not None, found.problems
    made: Unit = found.unit
    return made


def test_every_resource_has_its_option() -> None:
    options = {option.name: option.type for option in describe(BudgetSection)}
    assert {name: options[name] for name in RESOURCES} == {name: one.kind for name, one in RESOURCES.items()}


def test_amounts_are_read_as_other_options_are() -> None:
    section = unit(
        "{cpu_seconds: {day: 4h, hour: 30min}, bytes_written: {month: 10G}, runs: {week: 7}}"
    ).budget
    assert [(one.resource, one.window, one.amount) for one in limits(section)] == [
        ("cpu_seconds", "hour", 1800.0),
        ("cpu_seconds", "day", 14_400.0),
        ("bytes_written", "month", 10 * 1024**3),
        ("runs", "week", 7),
    ]
    assert (section.on_exhausted, section.time_zone, section.warn_at.fraction) == ("freeze", "UTC", 0.8)


def test_infinity_takes_a_limit_away() -> None:
    section = unit(
        "{cpu_seconds: {day: infinity}, bytes_written: {day: infinity}, runs: {day: infinity}}"
    ).budget
    assert limits(section) == ()
    assert section.runs["day"] == inf


@pytest.mark.parametrize(
    ("budget", "problem"),
    [
        (
            "{cpu_seconds: 4h}",
            "such as {hour: 30min, day: 4h}, found '4h' (say for how long: {day: 4h})",
        ),
        ("{cpu_seconds: {dya: 4h}}", "budget.cpu_seconds.dya: 'dya' is not a window (did you mean day?)"),
        (
            "{cpu_seconds: {day: 0}}",
            "a budget of nothing is used up before anything begins (write more than 0, or mask the unit: {day: 4h})",
        ),
        ("{runs: {day: 1.5}}", "budget.runs.day: expected a whole number such as 20, found 1.5"),
        (
            "{runs: {invocation: 3}}",
            "budget.runs.invocation: 'invocation' is not a window (write hour, day, week or month)",
        ),
        (
            "{time_zone: Europe/Brelin}",
            "budget.time_zone: there is no time zone 'Europe/Brelin' (write UTC, or a name such as Europe/Berlin)",
        ),
        (
            "{time_zone: ../../etc/passwd}",
            "budget.time_zone: there is no time zone '../../etc/passwd' (write UTC, or a name such as Europe/Berlin)",
        ),
        (
            "{time_zone: ''}",
            "budget.time_zone: there is no time zone '' (write UTC, or a name such as Europe/Berlin)",
        ),
        (
            "{time_zone: Europe}",
            "budget.time_zone: there is no time zone 'Europe' (write UTC, or a name such as Europe/Berlin)",
        ),
        ("{warn_at: 120%}", "budget.warn_at"),
        (
            "{on_exhausted: freez}",
            "budget.on_exhausted: 'freez' is not one of notify, throttle, freeze, drain, stop (did you mean freeze?)",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(budget: str, problem: str) -> None:
    [found] = loaded(budget).problems
    assert problem in str(found)


@pytest.mark.parametrize(
    ("resource", "amount", "said"),
    [
        ("cpu_seconds", 14_400, "4h"),
        ("cpu_seconds", 14_461.5, "4h 1min"),
        ("cpu_seconds", 0.25, "0.2s"),
        ("runs", 20, "20"),
        ("bytes_written", 1536 << 20, "1.5G"),
        ("bytes_written", 10, "10B"),
    ],
)
def test_amounts_in_words(resource: str, amount: float, said: str) -> None:
    assert say(resource, amount) == said


def test_amounts_that_can_be_granted() -> None:
    assert amount_of("cpu_seconds", "1h") == 3600
    assert amount_of("runs", "3") == 3
    for resource, text in (
        ("cpu_seconds", "0"),
        ("cpu_seconds", "infinity"),
        ("runs", "-1"),
        ("bytes_written", "infinity"),
    ):
        with pytest.raises(Mistake):
            amount_of(resource, text)


def test_a_slice_has_the_same_budget_but_no_invocations() -> None:
    text = "budget: {cpu_seconds: {day: 4h, invocation: 1h}, wall_time: {invocation: 1h}, on_exhausted: stop}"
    found = load_text("team.slice.yaml", text.encode(), "f")
    assert [(one.option, one.message) for one in found.problems] == [
        (
            f"budget.{name}.invocation",
            "a slice has no invocations: what is in it is started and stopped by itself",
        )
        for name in ("cpu_seconds", "wall_time")
    ]
    made = load_text("team.slice.yaml", b"budget: {cpu_seconds: {day: 4h}, runs: {week: 7}}", "f").unit
    assert made is not None
    assert [one.key for one in limits(made.budget)] == ["cpu_seconds/day", "runs/week"]
