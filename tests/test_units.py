"""The units that ship load, are enabled by links that lead somewhere, and run as anyone with Python alone."""

from __future__ import annotations

import ast
import os
import shutil
import sys
from pathlib import Path

import pytest

import maestro_postmortem
from maestro.drivers.unit_files import UnitDirectories
from maestro.model import names
from maestro.model.library import Library, load_all
from maestro.model.load import Settings
from maestro.model.unit import AgentSection

UNITS = Path(__file__).parents[1] / "units"
LINKS = sorted(UNITS.glob("*.wants/*"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The units as the daemon loads them; from a copy, because a clone made under umask 002 would be refused."""
    copy = tmp_path_factory.mktemp("checkout") / "units"
    shutil.copytree(UNITS, copy, symlinks=True)
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o022)
    sources = UnitDirectories((str(copy),), os.getuid()).read()
    linked = [unit for units in sources.links.values() for unit in units]
    return load_all(sources, linked, Settings(sections=maestro_postmortem.maestro_sections()))


def test_every_unit_loads(library: Library) -> None:
    assert [str(problem) for problem in library.problems] == []
    assert {"clock", "index", "vectordb", "researcher", "default.target"} <= set(library.units)
    assert set(library.templates) == {"worker@"}


def test_two_instances_of_the_template_are_enabled(library: Library) -> None:
    wanted = library.units["default.target"].unit.wants
    assert set(wanted) == {"clock", "researcher", "worker@eu", "worker@us"}
    assert library.units["worker@eu"].agent is not None


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name)
def test_a_link_leads_to_the_unit_it_names(link: Path) -> None:
    name = names.split_file(link.name)
    meant = name.template.file if name.template else name.file
    assert os.readlink(link) == f"../{meant}"
    assert link.exists()


def test_references_lead_to_units_that_ship(library: Library) -> None:
    for unit in list(library.units.values()):
        for other in (*unit.unit.requires, *unit.unit.wants, *unit.unit.after, *unit.unit.before):
            assert library.get(other) is not None, f"{unit.name} names {other}"


def _agents(library: Library) -> dict[str, AgentSection]:
    return {name: unit.agent for name, unit in library.units.items() if unit.agent is not None}


def test_examples_need_no_more_than_python_and_no_user(library: Library) -> None:
    for name, agent in _agents(library).items():
        program, options, text = agent.exec
        assert (program, options) == ("python3", "-uc"), name
        assert agent.user is None, name
        assert agent.working_directory == "/", name
        modules = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
        imported = {alias.name for node in modules for alias in node.names}
        assert imported <= sys.stdlib_module_names, name
