"""Plain data to sections, option by option, so that every problem is found, each with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, TypeVar, cast

from msgspec import Struct

from maestro.model import guess
from maestro.model.option import Option, Section, choices, describe, item_type, subsections, without_none
from maestro.model.plain import Fault, Given, Mark, Mistake, Path, Plain, is_scalar, kind_of, many, shorten
from maestro.model.problem import Problem
from maestro.model.sharing import shared
from maestro.model.unit import Origin
from maestro.model.values import Value

T = TypeVar("T")
MOST_PROBLEMS = 100  # of one file; who has more does not read them


class Plan(Struct, frozen=True):
    """What may stand in a mapping: options and sections by name."""

    options: Mapping[str, Option]
    sections: Mapping[str, Section]
    required: tuple[Option, ...]
    required_sections: tuple[Section, ...]

    def names(self) -> tuple[str, ...]:
        return (*self.options, *self.sections)


@cache
def plan(section: type[Struct]) -> Plan:
    options, inner = describe(section), subsections(section)
    return Plan(
        {o.name: o for o in options},
        {s.name: s for s in inner},
        tuple(o for o in options if o.required),
        tuple(s for s in inner if s.required),
    )


class Reading:
    """One file being read: what is known of it, and the problems and origins found so far."""

    def __init__(
        self,
        path: str,
        marks: Mapping[Path, Mark],
        resolve: Callable[[str], str],
        homes: Mapping[str, Iterable[str]],
    ) -> None:
        self.path = path
        self.marks = marks
        self.pieced = any(mark.path for mark in marks.values())  # of more than one file
        self.resolve = resolve
        self.homes = homes  # option or section name -> the sections that have it
        self.problems: list[Problem] = []
        self.origins: dict[str, Origin] = {}

    def blame(self, at: Path, message: str, hint: str = "", *, of_key: bool = False) -> None:
        """Note a problem with what stands at a place."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(*self.place(at, of_key=of_key), dotted(at), message, hint))

    def place(self, at: Path, *, of_key: bool = False) -> tuple[str, int, int]:
        """File, line and column where this stands, or what it would stand in."""
        for end in range(len(at), -1, -1):
            mark = self.marks.get(at[:end])
            if mark is not None:
                key = of_key or end < len(at)
                path = mark.path or self.path
                return (path, mark.key_line, mark.key_column) if key else (path, mark.line, mark.column)
        return self.path, 1, 1

    def origin(self, at: Path, value: Plain) -> Origin:
        """Where an option was set; and where else, when pieces were joined to one list or mapping."""
        path, line, column = self.place(at, of_key=True)
        seen = {path}
        also = []
        for inside in _inside(value) if self.pieced else ():
            file, *place = self.place((*at, inside), of_key=isinstance(inside, str))
            if file not in seen:
                seen.add(file)
                also.append(Origin(path=file, line=place[0], column=place[1]))
        return Origin(path=path, line=line, column=column, also=tuple(also))

    def section(self, section: type[Struct], data: Plain, at: Path = ()) -> Struct | None:
        """A section from the mapping at a place; None when a required option is missing or wrong."""
        if data is None:
            data = {}  # all lines of the section are comments
        if not isinstance(data, dict):
            self.blame(at, f"expected options, found {kind_of(data)}", "write NAME: VALUE lines, indented")
            data = {}
        inside = plan(section)
        values: dict[str, Any] = {}
        for key, value in data.items():
            if (option := inside.options.get(key)) is not None:
                self._option(option, value, (*at, key), values)
            elif (inner := inside.sections.get(key)) is not None:
                self._section(inner, value, (*at, key), values)
            else:
                self._unknown(key, inside, at)
        return self._made(section, inside, values, data, at)

    def _made(
        self, section: type[Struct], inside: Plan, values: dict[str, Any], data: Plain, at: Path
    ) -> Struct | None:
        missing = [option for option in inside.required if option.field not in values]
        for option in missing:
            if option.name not in data:
                self.blame((*at, option.name), "missing", f"it must be given: {option.doc}")
        for inner in inside.required_sections:
            if inner.name not in data:
                values[inner.field] = self.section(inner.type, None, (*at, inner.name))
        if missing or any(values.get(inner.field) is None for inner in inside.required_sections):
            return None
        return shared(section(**values))

    def _section(self, inner: Section, value: Plain, at: Path, values: dict[str, Any]) -> None:
        if value is None and inner.optional:
            return
        made = self.section(inner.type, value, at)
        if made is not None:
            values[inner.field] = made

    def _option(self, option: Option, value: Plain, at: Path, values: dict[str, Any]) -> None:
        self.origins[dotted(at)] = self.origin(at, value)
        try:
            made = reader(option.type)(Given(value, self.resolve, self.marks, at))
            _check_bounds(option, made)
            values[option.field] = made
        except Mistake as mistake:
            for fault in mistake.faults:
                self.blame((*at, *fault.at), fault.message, fault.hint, of_key=fault.of_key)

    def _unknown(self, key: str, inside: Plan, at: Path) -> None:
        what = "option" if at else "section"
        hint = guess.meant(key, inside.names(), self.homes, dotted(at))
        self.blame((*at, key), f"no such {what}", hint, of_key=True)


def _inside(value: Plain) -> Iterable[str | int]:
    if isinstance(value, list):
        return range(len(value))
    return value if isinstance(value, dict) else ()


@lru_cache(1024)
def dotted(at: Path) -> str:
    """`agent.restart.delay`, `unit.requires[1]`."""
    shown = ""
    for step in at:
        if isinstance(step, int):
            shown += f"[{step}]"
        else:
            word = step if step.isidentifier() or re.fullmatch(r"[\w-]+", step) else shorten(step)
            shown += f".{word}" if shown else word
    return shown


# ------------------------------------------------------------------------------------------------ values


@cache
def reader(hint: Any) -> Callable[[Given], Any]:
    """What makes a value of a type from what was given."""
    bare = without_none(hint)
    if bare is not hint:
        inner = reader(bare)
        return lambda given: None if given.plain is None else inner(given)
    if (item := item_type(hint)) is not None:
        return _list_reader(reader(item), repeats=getattr(item, "repeats", False))
    if words := choices(hint):
        return lambda given: _choice(given, words)
    found = _PLAIN_READERS.get(hint) or cast("type[Value]", hint).read
    return lambda given: found(_something(given))


def _something(given: Given) -> Given:
    if given.plain is None:
        raise Mistake("nothing is given", "write a value, or leave the line out")
    return given


def _list_reader(inner: Callable[[Given], Any], *, repeats: bool) -> Callable[[Given], tuple[Any, ...]]:
    def read(given: Given) -> tuple[Any, ...]:
        if not isinstance(given.plain, list):
            return (inner(_something(given)),)  # one item needs no brackets
        made: list[Any] = []
        faults: list[Fault] = []
        for place in range(len(given.plain)):
            try:
                made.append(inner(given.item(place)))
            except Mistake as mistake:
                faults.extend(Fault(f.message, f.hint, (place, *f.at), f.of_key) for f in mistake.faults)
        if faults:
            raise many(faults)
        return tuple(made) if repeats else once(made)

    return read


def once(items: Iterable[T]) -> tuple[T, ...]:
    """Each item once; of two that say something of the same unit, what was said last."""
    return tuple({getattr(one, "unit", one): one for one in items}.values())


def _choice(given: Given, words: tuple[str, ...]) -> str:
    plain = _something(given).plain
    if isinstance(plain, str) and plain in words:
        return plain
    if not is_scalar(plain):
        raise Mistake(f"expected one of {', '.join(words)}, found {kind_of(plain)}")
    near = guess.nearest(given.text(), words)
    listed = f"one of {', '.join(words)}"
    raise Mistake(f"{shorten(given.text())} is not {listed}", f"did you mean {near}?" if near else "")


def _text(given: Given) -> str:
    if not is_scalar(given.plain):
        raise Mistake(f"expected a text, found {kind_of(given.plain)}")
    text = given.resolve(given.text())
    if "\0" in text:
        raise Mistake("a text may not contain a NUL character")
    return text


def _whole(given: Given) -> int:
    if isinstance(given.plain, bool) or not isinstance(given.plain, int):
        raise Mistake(f"expected a whole number, found {kind_of(given.plain)}")
    if abs(given.plain) >= 1 << 63:
        raise Mistake(f"{kind_of(given.plain)} is too large")
    return given.plain


def _real(given: Given) -> float:
    if isinstance(given.plain, bool) or not isinstance(given.plain, int | float):
        raise Mistake(f"expected a number, found {kind_of(given.plain)}")
    if isinstance(given.plain, float) and not math.isfinite(given.plain):
        raise Mistake(f"expected a number, found {given.text()}")
    return float(given.plain)


def _truth(given: Given) -> bool:
    if not isinstance(given.plain, bool):
        hint = "yes and no are texts in YAML 1.2" if given.plain in ("yes", "no", "on", "off") else ""
        raise Mistake(f"expected true or false, found {kind_of(given.plain)}", hint)
    return given.plain


_PLAIN_READERS: Mapping[Any, Callable[[Given], Any]] = {str: _text, int: _whole, float: _real, bool: _truth}


def _check_bounds(option: Option, value: Any) -> None:
    low, high, pattern = option.bounds
    if low is not None and isinstance(value, int | float) and value < low:
        raise Mistake(f"{show(value)} is too small: it is {show(type(value)(low))} or more")
    if high is not None and isinstance(value, int | float) and value > high:
        raise Mistake(f"{show(value)} is too large: it is {show(type(value)(high))} or less")
    if pattern is not None and isinstance(value, str) and not re.fullmatch(pattern, value):
        raise Mistake(f"{shorten(value)} does not have the form {pattern}")


def show(value: Any) -> Plain:
    """A value as plain data that reads as the same value."""
    if isinstance(value, tuple) and not isinstance(value, Value):
        return [show(item) for item in value]
    return value.show() if isinstance(value, Value) else value
