"""What values are made from: plain data as YAML gives it; and `Mistake`: what is wrong with it, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

Plain: TypeAlias = Any  # None, bool, int, float, str, list[Plain] or dict[str, Plain]
Path: TypeAlias = "tuple[str | int, ...]"


class Fault(Struct, frozen=True):
    """One thing wrong with a value; `at` leads from the value to the part that is meant."""

    message: str
    hint: str = ""
    at: Path = ()
    of_key: bool = False  # the key is meant, not what stands under it


class Mistake(ValueError):
    """A value cannot be read. Says what is wrong and what to write instead."""

    def __init__(self, message: str, hint: str = "", *, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (Fault(message, hint),)


def many(faults: list[Fault]) -> Mistake:
    return Mistake("; ".join(fault.message for fault in faults), faults=tuple(faults))


def as_is(text: str) -> str:
    return text


class Mark(Struct, frozen=True):
    """Where a value stands, and its key, counted from 1. `text` is what was written for a plain scalar."""

    line: int
    column: int
    key_line: int
    key_column: int
    text: str = ""
    path: str = ""  # of the drop-in that it came from; empty for the unit's own file


class Given(Struct, frozen=True):
    """A value as it stands in the file."""

    plain: Plain
    resolve: Callable[[str], str] = as_is  # replaces %-specifiers
    marks: Mapping[Path, Mark] = {}
    at: Path = ()

    def text(self, *inside: str | int) -> str:
        """The scalar at a place inside as it was written (0022, 1.10), unresolved."""
        value = self.plain
        for step in inside:
            value = value[step]
        if isinstance(value, str):
            return value
        mark = self.marks.get((*self.at, *inside))
        return (mark.text if mark else "") or scalar_text(value)

    def item(self, place: int) -> Given:
        return Given(self.plain[place], self.resolve, self.marks, (*self.at, place))


def scalar_text(value: Plain) -> str:
    """A scalar as YAML would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_scalar(value: Plain) -> bool:
    return isinstance(value, str | int | float)


def kind_of(value: Plain) -> str:
    """What was found, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, str):
        return shorten(value)
    return scalar_text(value)


def shorten(text: str, limit: int = 60) -> str:
    """Quoted for a message; control characters as escapes, long text cut."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return f"'{printable(cut)}'"


def printable(text: str) -> str:
    """Control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
