"""YAML and JSON as settings with their lines: what a table has a row for is one setting, what lies below it belongs to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from maestro.imports.record import CannotImport, Record
from maestro.imports.table import Table
from maestro.model.plain import Mark, Path, Plain
from maestro.model.problem import Problem
from maestro.model.yaml_events import Parsed, parse


def read(content: bytes, path: str) -> Parsed:
    """The document. Raises `CannotImport` where it cannot be read at all."""
    parsed = parse(content, path)
    if parsed.broken or not isinstance(parsed.data, dict | list):
        problem = parsed.problems[0] if parsed.problems else Problem(path, 1, 1, "", "it holds no mapping")
        raise CannotImport(f"{path}:{problem.line}: {problem.message}")
    return parsed


def line_of(parsed: Parsed, at: Path) -> int:
    """Where a key stands, or else the value."""
    mark: Mark | None = parsed.marks.get(at)
    return mark.key_line if mark is not None else line_of(parsed, at[:-1]) if at else 1


def ill(parsed: Parsed) -> list[Record]:
    """What is wrong with the document, and does not keep the rest from being read."""
    return [Record(parsed.path, one.line, "YAML", "", f"!{one.message}") for one in parsed.problems]


def records(parsed: Parsed, at: Path, section: str, table: Table) -> list[Record]:
    """The settings below a place. What `<<` takes over comes before what is said itself."""
    value = _at(parsed.data, at)
    if not isinstance(value, dict):
        return [Record(parsed.path, line_of(parsed, at), section, str(at[-1]) if at else "document", value)]
    return [
        Record(parsed.path, line, section, key, inner)
        for key, line, inner in _walk(parsed, at, value, "", table)
    ]


def _at(data: Plain, at: Path) -> Plain:
    for step in at:
        data = data[step]
    return data


def _walk(
    parsed: Parsed, at: Path, value: Mapping[str, Plain], above: str, table: Table
) -> Iterator[tuple[str, int, Plain]]:
    for key, inner in sorted(value.items(), key=lambda item: item[0] != "<<"):
        if key == "<<":
            yield from _merged(parsed, (*at, key), inner, above, table)
            continue
        name = f"{above}.{key}" if above else key
        if isinstance(inner, dict) and inner and _goes_deeper(name, table):
            yield from _walk(parsed, (*at, key), inner, name, table)
        elif isinstance(inner, list) and inner and f"{name}.*" in table:
            for place, item in enumerate(inner):
                yield f"{name}.{place}", line_of(parsed, (*at, key, place)), item
        else:
            yield name, line_of(parsed, (*at, key)), inner


def _merged(
    parsed: Parsed, at: Path, inner: Plain, above: str, table: Table
) -> Iterator[tuple[str, int, Plain]]:
    if isinstance(inner, dict):
        yield from _walk(parsed, at, inner, above, table)
    elif isinstance(inner, list):
        for place, item in enumerate(inner):
            yield from _merged(parsed, (*at, place), item, above, table)
    else:
        yield "<<", line_of(parsed, at), inner


def _goes_deeper(name: str, table: Table) -> bool:
    return any(key.startswith(f"{name}.") for key in table)
