"""Sections that say the same are kept once, and only where nobody could tell them apart."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from maestro.model import sharing
from maestro.model.load import load_text
from maestro.model.sharing import shared
from maestro.model.timespan import Seconds
from maestro.model.unit import Unit
from maestro.model.values import Size


class Section(Struct, frozen=True, kw_only=True):
    value: Any = None
    inner: Any = None


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_kept", {})


def unit_of(text: str, name: str = "web") -> Unit:
    unit = load_text(f"{name}.agent.yaml", text.encode(), f"/etc/{name}.agent.yaml").unit
    assert unit is not None
    return unit


TEXT = "agent: {exec: [/bin/sleep, infinity], environment: {A: b}, restart: {delay: 2}}"


def test_units_that_say_the_same_share_it() -> None:
    one, other = unit_of(TEXT), unit_of(TEXT, "db")
    assert one.agent is other.agent
    assert (one.name, other.name) == ("web", "db")
    assert one.origins["agent.exec"].path != other.origins["agent.exec"].path


def test_what_differs_is_not_shared_and_what_is_in_it_is() -> None:
    one, other = unit_of(TEXT), unit_of(TEXT.replace("infinity", "2"))
    assert one.agent is not None
    assert other.agent is not None
    assert one.agent != other.agent
    assert one.agent.restart is other.agent.restart


def test_what_follows_from_its_name_is_its_own() -> None:
    text = "agent: {exec: [/bin/echo, '%n']}"
    one, other = unit_of(text), unit_of(text, "db")
    assert one.agent is not None
    assert other.agent is not None
    assert (one.agent.exec[1], other.agent.exec[1]) == ("web", "db")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (Size(2), Seconds(2)),
        ((1,), (True,)),
        (Section(value=0), Section(value=False)),
    ],
)
def test_what_is_equal_and_not_the_same_is_not_shared(one: object, other: object) -> None:
    first, second = Section(value=one), Section(value=other)
    assert first == second
    assert shared(first) is first
    assert shared(second) is second


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_what_may_be_changed_is_not_shared(value: object) -> None:
    first, second = Section(value=value), Section(value=value)
    assert shared(first) is first
    assert shared(second) is second


def test_only_so_many_are_kept() -> None:
    for number in range(3 * sharing._MOST):
        shared(Section(value=number))
    assert len(sharing._kept) <= sharing._MOST
    assert shared(Section(value=number)) is shared(Section(value=number))
