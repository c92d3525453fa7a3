"""`logs --grep`: matched by maestroctl, so that a bad expression holds up nobody but its author."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.cli.commands import logs
from maestro.control.trouble import CallError


def given(**options: Any) -> dict[str, Any]:
    return {"grep": None, "follow": False, "lines": "", "since": None, "until": None, **options}


def lines(*texts: str, unit: str = "a") -> list[dict[str, Any]]:
    return [{"unit": unit, "text": text} for text in texts]


def test_the_last_of_the_lines_that_match() -> None:
    all_of_them = lines(*(f"line {n}" for n in range(100)))
    found = logs._wanted(all_of_them, given(grep="[05]$", lines="3"))
    assert [line["text"] for line in found] == ["line 85", "line 90", "line 95"]


def test_a_follower_gets_them_as_they_come() -> None:
    found = iter(logs._wanted(lines("yes", "no", "yes"), given(grep="yes", follow=True, lines="1")))
    assert [line["text"] for line in found] == ["yes", "yes"]


def test_what_is_no_expression_is_said() -> None:
    with pytest.raises(CallError, match="not a regular expression"):
        logs._wanted([], given(grep="("))
