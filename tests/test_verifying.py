"""Checking files before they are used, among the units that they would live with."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.verifying import verify

GOOD = "agent: {exec: /bin/true}\n"


@pytest.fixture
def units(tmp_path: Path) -> Path:
    folder = tmp_path / "units"
    folder.mkdir(mode=0o755)
    return folder


def write(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o644)
    return str(path)


def test_a_missing_requirement_is_told(units: Path, tmp_path: Path) -> None:
    draft = write(tmp_path / "web.agent.yaml", f"{GOOD}unit:\n  requires: [db, ghost]\n")
    write(units / "db.agent.yaml", GOOD)
    [problem] = verify([draft], [str(units)])
    assert (problem.path, problem.line, problem.option) == (draft, 3, "unit.requires")
    assert problem.message == "ghost does not exist: there is no ghost.agent.yaml"


def test_a_circle_with_installed_units_is_told(units: Path, tmp_path: Path) -> None:
    draft = write(tmp_path / "a.agent.yaml", f"{GOOD}unit: {{after: [b]}}\n")
    write(units / "b.agent.yaml", f"{GOOD}unit: {{after: [a]}}\n")
    [problem] = verify([draft], [str(units)])
    assert (problem.path, problem.option) == (draft, "unit.after")
    assert problem.message.startswith("the order runs in a circle: ")


def test_what_is_wrong_among_others_only_is_not_told(units: Path, tmp_path: Path) -> None:
    draft = write(tmp_path / "web.agent.yaml", GOOD)
    write(units / "other.agent.yaml", f"{GOOD}unit: {{requires: [ghost], after: [b]}}\n")
    write(units / "b.agent.yaml", f"{GOOD}unit: {{after: [other]}}\n")
    assert verify([draft], [str(units)]) == ()
