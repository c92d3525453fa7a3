"""A unit from a unit file: every problem of the file at once, or the `Unit`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import replace

from maestro.model import names, profiles
from maestro.model.checks import Finding, findings
from maestro.model.merge import lists, merge
from maestro.model.names import UnitName
from maestro.model.option import describe, subsections
from maestro.model.plain import Mark, Mistake, Path, Plain, as_is, kind_of
from maestro.model.problem import Problem, in_order
from maestro.model.reading import Reading, show
from maestro.model.specifiers import Specifiers, resolver
from maestro.model.unit import AgentFile, Origin, SliceFile, StopSection, TargetFile, Unit
from maestro.model.values import StopStep
from maestro.model.yaml_events import Parsed, parse

Kind: TypeAlias = type[AgentFile] | type[TargetFile] | type[SliceFile]
FILES: Mapping[str, Kind] = {"agent": AgentFile, "target": TargetFile, "slice": SliceFile}
Sections = Mapping[str, type[Struct]]  # what plugins declared


class Settings(Struct, frozen=True):
    """What holds for every file. Without specifiers, texts are taken as they are."""

    specifiers: Specifiers | None = Specifiers()
    sections: Sections = {}


DEFAULTS = Settings()


class Loaded(Struct, frozen=True, kw_only=True, gc=False):
    """What became of one file, or of one instance of a template."""

    name: str
    path: str
    unit: Unit | None
    problems: tuple[Problem, ...] = ()
    masked: bool = False  # `path` keeps it from being started


def load_text(file: str, text: bytes, path: str, settings: Settings = DEFAULTS) -> Loaded:
    """A unit from the text of the file of this name."""
    try:
        name = names.split_file(file)
    except Mistake as mistake:
        return refused(file, path, str(mistake), mistake.faults[0].hint)
    return load_pieces(name, [parse(text, path)], settings)


def load_pieces(name: UnitName, pieces: Sequence[Parsed], settings: Settings = DEFAULTS) -> Loaded:
    """A unit from its file and what is laid over it, in this order."""
    kind, path = FILES[name.kind], pieces[0].path
    whole = merge(pieces, lists(kind, tuple(settings.sections.items())))
    if whole.broken:
        return Loaded(name=name.full, path=path, unit=None, problems=in_order(whole.problems))
    return load(name, whole.data, whole.marks, path, settings, whole.problems)


def refused(name: str, path: str, message: str, hint: str = "") -> Loaded:
    """A file that is not even looked into."""
    return Loaded(name=name, path=path, unit=None, problems=(Problem(path, 1, 1, "", message, hint),))


def load(
    name: UnitName,
    data: Plain,
    marks: Mapping[Path, Mark],
    path: str,
    settings: Settings = DEFAULTS,
    before: Iterable[Problem] = (),
) -> Loaded:
    """A unit from plain data. `before` are problems that are known already; with any, there is no unit."""
    kind = FILES[name.kind]
    resolve = as_is if settings.specifiers is None else resolver(name, settings.specifiers, path)
    reading = Reading(path, marks, resolve, homes(kind, tuple(settings.sections.items())))
    if data is not None and not isinstance(data, dict):
        reading.blame((), f"expected sections, found {kind_of(data)}", "begin with `agent:`")
        return Loaded(name=name.full, path=path, unit=None, problems=in_order([*before, *reading.problems]))
    unit = _unit(name, kind, data or {}, reading, settings.sections)
    if unit is not None:
        _cross_check(unit, reading)
    problems = in_order([*before, *reading.problems])
    return Loaded(name=name.full, path=path, unit=None if problems else unit, problems=problems)


def _unit(
    name: UnitName,
    kind: Kind,
    data: dict[str, Plain],
    reading: Reading,
    sections: Sections,
) -> Unit | None:
    ours = {s.name for s in subsections(kind)}
    plugins = {}
    for section, value in data.items():
        if section in sections and section not in ours:
            made = reading.section(sections[section], value, (section,))
            if made is not None:
                plugins[section] = made
    rest = {section: value for section, value in data.items() if section in ours or section not in sections}
    file = reading.section(kind, rest)
    if file is None:
        return None
    parts: dict[str, Any] = {s.field: getattr(file, s.field) for s in subsections(kind)}
    unit = Unit(
        name=name.full,
        kind=cast("Literal['agent', 'target', 'slice']", name.kind),
        **parts,
        plugins=plugins,
        origins=reading.origins,
        path=reading.path,
    )
    return profiles.applied(_with_kill(unit))


def _with_kill(unit: Unit) -> Unit:
    """KILL ends every stop: nothing is left running."""
    if unit.agent is None:
        return unit
    steps = unit.agent.stop.sequence
    if steps and steps[-1].signal == "KILL":
        return unit
    stop: StopSection = replace(unit.agent.stop, sequence=(*steps, StopStep("KILL")))
    return replace(unit, agent=replace(unit.agent, stop=stop))


def _cross_check(unit: Unit, reading: Reading) -> None:
    """Contradictions between options. One that could not be read contradicts nothing."""
    wrong = {re.sub(r"\[\d+\].*", "", problem.option) for problem in reading.problems}
    for finding in findings(unit):
        if not wrong.intersection((finding.option, *finding.others)):
            reading.blame(_path(finding), finding.message, finding.hint)


def _path(finding: Finding) -> Path:
    return tuple(int(step) if step.isdigit() else step for step in re.findall(r"[\w-]+", finding.option))


@cache
def homes(
    kind: type[Struct], sections: tuple[tuple[str, type[Struct]], ...] = ()
) -> Mapping[str, tuple[str, ...]]:
    """Where each option and section may stand: "delay" -> ("agent.restart",); "" is the top level."""
    found: dict[str, tuple[str, ...]] = {}
    todo: list[tuple[str, type[Struct]]] = [("", kind)]
    todo.extend(sections)
    for name, _ in sections:
        found[name] = ("",)
    while todo:
        at, section = todo.pop(0)
        inner = subsections(section)
        for name in (*(option.name for option in describe(section)), *(s.name for s in inner)):
            found[name] = (*found.get(name, ()), at)
        todo.extend((f"{at}.{s.name}" if at else s.name, s.type) for s in inner)
    return found


# ------------------------------------------------------------------------------------------------ showing


class Shown(Struct, frozen=True):
    """One option of a unit: its value in canonical form, and where it was set; None for a default."""

    option: str
    value: Plain
    origin: Origin | None


def dump(unit: Unit) -> dict[str, Plain]:
    """All options of a unit as plain data, of which `load` without specifiers makes the unit again."""
    plain = {s.name: _dump(getattr(unit, s.field)) for s in subsections(FILES[unit.kind])}
    return plain | {name: _dump(section) for name, section in unit.plugins.items()}


def _dump(section: Struct | None) -> Plain:
    if section is None:
        return None
    kind = type(section)
    plain = {option.name: show(getattr(section, option.field)) for option in describe(kind)}
    return plain | {s.name: _dump(getattr(section, s.field)) for s in subsections(kind)}


def shown(unit: Unit) -> tuple[Shown, ...]:
    """All options of a unit, in the order of their declaration."""
    found: list[Shown] = []
    for inner in subsections(FILES[unit.kind]):
        found.extend(_shown(getattr(unit, inner.field), inner.name, unit))
    for name, section in unit.plugins.items():
        found.extend(_shown(section, name, unit))
    return tuple(found)


def _shown(section: Struct | None, at: str, unit: Unit) -> Iterator[Shown]:
    if section is None:
        yield Shown(at, None, None)
        return
    for option in describe(type(section)):
        name = f"{at}.{option.name}"
        yield Shown(name, show(getattr(section, option.field)), unit.origins.get(name))
    for inner in subsections(type(section)):
        yield from _shown(getattr(section, inner.field), f"{at}.{inner.name}", unit)
