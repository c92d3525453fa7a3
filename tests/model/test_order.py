"""`after`: a unit, and how far it has to be."""

from __future__ import annotations

import pytest

from maestro.model import names
from maestro.model.load import Settings, load_pieces, load_text
from maestro.model.order import Predecessor
from maestro.model.plain import Given, Mistake
from maestro.model.yaml_events import parse


def test_its_parts() -> None:
    for text, shown, unit, phase in (
        ("db", "db", "db", "ready"),
        ("db.agent ready", "db", "db", "ready"),
        (" db\tstarted ", "db started", "db", "started"),
        ("a:started", "a:started", "a:started", "ready"),
    ):
        one = Predecessor(text)
        assert (one, one.unit, one.phase) == (shown, unit, phase)


@pytest.mark.parametrize(
    ("plain", "message", "hint"),
    [
        ("db startd", "'startd' is no phase of a unit: it is started or ready", "did you mean db started?"),
        ("db up", "'up' is no phase of a unit: it is started or ready", "write db, or db started"),
        ("db started now", "'started now' is no phase of a unit: it is started or ready", "did you mean db started?"),
        ({"db": "started"}, "expected a unit and a phase, found a mapping", "write db started"),
        ({}, "expected a unit and a phase, found a mapping", "write vectordb started"),
        ("", "the name is empty", "write the name of a unit"),
        ("w@ started", "'w@' is a template, not a unit", "name an instance: w@1"),
    ],
)  # fmt: skip
def test_mistakes(plain: object, message: str, hint: str) -> None:
    with pytest.raises(Mistake) as caught:
        Predecessor.read(Given(plain))
    [fault] = caught.value.faults
    assert (fault.message, fault.hint) == (message, hint)


def after(*pieces: str) -> tuple[str, ...]:
    base, *above = (parse(text.encode(), f"piece{place}") for place, text in enumerate(pieces))
    loaded = load_pieces(names.split("web"), [base, *above])
    assert loaded.unit is not None, loaded.problems
    return tuple(map(str, loaded.unit.unit.after))


def test_a_drop_in_adds_and_has_the_last_word_on_a_unit() -> None:
    base = "agent: {exec: x}\nunit: {after: [cache, db]}\n"
    assert after(base, "unit: {after: [db started, log]}") == ("cache", "db started", "log")
    assert after(base, "unit: {after: db started}", "unit: {after: db}") == ("cache", "db")
    assert after(base, "unit: {after: !reset [db started]}") == ("db started",)


def test_it_may_not_wait_for_itself() -> None:
    loaded = load_text("x.agent.yaml", b"agent: {exec: x}\nunit: {after: [x started]}", "f", Settings())
    assert [str(problem) for problem in loaded.problems] == [
        "f:2:15: unit.after: x names itself (leave it out)"
    ]
