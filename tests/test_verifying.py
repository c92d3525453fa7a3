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


def test_a_drop_in_is_seen_over_its_unit(units: Path, tmp_path: Path) -> None:
    write(units / "w@.agent.yaml", GOOD)
    folder = tmp_path / "w@.agent.yaml.d"
    folder.mkdir()
    draft = write(folder / "x.yaml", "agent: {watchdog: 3s, exce: x}\n")
    assert [problem.option for problem in verify([draft], [str(units)])] == ["agent.watchdog", "agent.exce"]
    assert verify([write(folder / "x.yaml", "unit: {description: mine}\n")], [str(units)]) == ()


def test_installed_drop_ins_are_laid_over_a_draft(units: Path, tmp_path: Path) -> None:
    draft = write(tmp_path / "web.agent.yaml", f"{GOOD}unit: {{after: [b]}}\n")
    (units / "web.agent.yaml.d").mkdir(mode=0o755)
    write(units / "web.agent.yaml.d/x.yaml", "unit: {after: !reset , requires: [ghost]}\n")
    write(units / "b.agent.yaml", f"{GOOD}unit: {{after: [web]}}\n")
    [problem] = verify([draft], [str(units)])
    assert problem.path == str(units / "web.agent.yaml.d/x.yaml")
    assert problem.message == "ghost does not exist: there is no ghost.agent.yaml"
