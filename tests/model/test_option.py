"""Declaring options and reading the declarations back."""

from __future__ import annotations

import pytest
from msgspec import Struct

from maestro.model.option import (
    REQUIRED,
    Change,
    choices,
    describe,
    item_type,
    option,
    subsections,
    without_none,
)
from maestro.model.unit import AgentFile, AgentSection, HealthSection, ReadinessSection, RestartSection
from maestro.model.values import Seconds, StartLimit


class Plugin(Struct, frozen=True, kw_only=True):
    """A section as a plugin declares it."""

    name: str = option(doc="What it is called.")
    tries: int = option(3, "How often.", since="0.2", change=Change.RELOAD, at_least=1, at_most=9)
    word: str = option("a", "A word.", pattern="[a-z]+")


def test_declarations_are_read_back() -> None:
    name, tries, word = describe(Plugin)
    assert (name.name, name.type, name.required, name.default) == ("name", str, True, REQUIRED)
    assert (tries.default, tries.doc, tries.since, tries.change) == (3, "How often.", "0.2", Change.RELOAD)
    assert tries.bounds == (1, 9, None)
    assert word.bounds == (None, None, "[a-z]+")


def test_a_required_option_must_be_given() -> None:
    with pytest.raises(TypeError, match="What it is called"):
        Plugin()
    assert Plugin(name="x").tries == 3


def test_defaults_are_the_declared_ones() -> None:
    assert AgentSection().restart.delay == Seconds(1)
    assert AgentSection(start_timeout=Seconds(5)).start_timeout == Seconds(5)
    assert [step.wait for step in AgentSection().stop.sequence] == [Seconds(30), Seconds(10)]


def test_sections() -> None:
    assert [(s.name, s.required) for s in subsections(AgentFile)] == [
        ("unit", False),
        ("condition", False),
        ("assert", False),
        ("agent", True),
        ("resources", False),
        ("sandbox", False),
        ("health", False),
        ("logs", False),
        ("budget", False),
        ("install", False),
    ]
    (readiness,) = subsections(HealthSection)
    assert (readiness.type, readiness.optional) == (ReadinessSection, True)


def test_types() -> None:
    types = {option.name: option.type for option in describe(RestartSection)}
    assert choices(types["on_give_up"]) == ("cooldown", "fail")
    assert item_type(types["start_limits"]) is StartLimit
    assert without_none(types["reset_after"]) is Seconds
    assert choices(int) == ()
    assert item_type(int) is None
