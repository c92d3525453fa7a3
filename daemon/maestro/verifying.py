"""`maestroctl verify`: the daemon's own way of loading units, without a daemon."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from maestro.drivers.unit_files import UnitDirectories
from maestro.engine import together
from maestro.engine.graph import Graph
from maestro.model import names
from maestro.model.library import Library, load_all
from maestro.model.load import Loaded, Settings
from maestro.model.plain import Mistake
from maestro.model.problem import Problem, in_order
from maestro.model.unit import Unit
from maestro.offline import sections

SAMPLE = "instance"  # a template is checked with it


def verify(files: Sequence[str], directories: Sequence[str], environment: str = "") -> tuple[Problem, ...]:
    """All problems of these files, seen among the installed units that they would live with."""
    library = _library(files, directories, environment, Settings(sections=sections()))
    paths = set(map(os.path.abspath, files))
    own = [problem for problem in library.problems if os.path.abspath(problem.path) in paths]
    mine = [unit for unit in map(_unit, (library.get(name) for name in _names(files))) if unit is not None]
    graph = Graph(library.units.values())
    return in_order([*own, *together.missing(mine, library.has), *together.circle(mine, graph)])


def _library(
    files: Sequence[str], directories: Sequence[str], environment: str, settings: Settings
) -> Library:
    reader = UnitDirectories(directories, os.geteuid(), environment)
    installed = reader.read()
    drafts = {os.path.basename(path): reader.draft(path) for path in files}
    sources = replace(installed, files={**installed.files, **drafts})
    return load_all(sources, _names(files), settings)


def _names(files: Iterable[str]) -> list[str]:
    found = []
    for path in files:
        try:
            name = names.split_file(os.path.basename(path))
        except Mistake:
            continue  # told among the problems
        found.append((name.with_instance(SAMPLE) if name.is_template else name).full)
    return found


def _unit(loaded: Loaded | None) -> Unit | None:
    return loaded.unit if loaded else None
