"""What is wrong between units of which each is fine by itself: requirements that are not there, and orders that run in a circle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from maestro.engine.graph import Graph, tell_cycle
from maestro.model import names
from maestro.model.problem import Problem
from maestro.model.slices import is_within
from maestro.model.unit import Unit


def missing(units: Iterable[Unit], exists: Callable[[str], bool]) -> Iterator[Problem]:
    """Requirements that there is no file for: a start would be refused."""
    for unit in units:
        for name in map(str, unit.unit.requires):
            if not exists(name):
                hint = "write that file, or use wants"
                yield _problem(unit, "unit.requires", f"{name} {does_not_exist(name)}", hint)


def shared_uids(units: Iterable[Unit]) -> Iterator[Problem]:
    """Slices that set aside the same numbers of users, though neither is within the other: the later one is told."""
    seen: list[Unit] = []
    for unit in sorted(units, key=lambda one: one.name):
        mine = unit.slice.uid_range
        if unit.kind != "slice" or mine is None:
            continue
        for other in seen:
            theirs = other.slice.uid_range
            assert theirs is not None
            apart = mine.last < theirs.first or theirs.last < mine.first
            if not apart and not is_within(unit.name, other.name):
                yield _problem(
                    unit,
                    "slice.uid_range",
                    f"{mine} overlaps {theirs} of {other.name}",
                    "give each its own numbers",
                )
        seen.append(unit)


def circle(units: Sequence[Unit], graph: Graph) -> Iterator[Problem]:
    """The shortest circle of the order, told of the first of these units that is part of it."""
    cycle = graph.cycle()
    at = next((unit for unit in units if any(unit.name in (edge.first, edge.second) for edge in cycle)), None)
    if at is not None:
        option = "unit.after" if at.unit.after else "unit.before"
        message = f"the order runs in a circle: {tell_cycle(cycle)}"
        yield _problem(at, option, message, "take one of these lines out")


def does_not_exist(name: str) -> str:
    """`does not exist: there is no db.agent.yaml`."""
    unit = names.split(name)
    template = f" and no {unit.template.file}" if unit.template is not None else ""
    return f"does not exist: there is no {unit.file}{template}"


def _problem(unit: Unit, option: str, message: str, hint: str) -> Problem:
    origin = unit.origins.get(option)
    where = (origin.path, origin.line, origin.column) if origin else (unit.path, 1, 1)
    return Problem(*where, option, message, hint)
