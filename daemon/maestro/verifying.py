"""`maestroctl verify`: the daemon's own way of loading units, without a daemon."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from maestro.drivers.unit_files import UnitDirectories
from maestro.engine import together
from maestro.engine.graph import Graph
from maestro.model import names
from maestro.model.library import Library, load_all
from maestro.model.load import Loaded, Settings
from maestro.model.plain import Mistake
from maestro.model.problem import Problem, in_order
from maestro.model.unit import Unit
from maestro.offline import is_drop_in, sections, with_draft

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
    sources = reader.read()
    for path in files:
        sources = with_draft(sources, reader.draft(path))
    return load_all(sources, _names(files), settings)


def _names(files: Iterable[str]) -> list[str]:
    found = []
    for path in files:
        try:
            name = names.split_file(_file(path))
        except Mistake:
            continue  # told among the problems
        found.append((name.with_instance(SAMPLE) if name.is_template else name).full)
    return found


def _file(path: str) -> str:
    """The name of the unit's file that this is, or is laid over."""
    return os.path.basename(os.path.dirname(path).removesuffix(".d") if is_drop_in(path) else path)


def _unit(loaded: Loaded | None) -> Unit | None:
    return loaded.unit if loaded else None
