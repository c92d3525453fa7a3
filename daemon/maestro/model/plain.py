"""What the value types are made from: plain data as YAML gives it, and `Mistake`, which says in words what is wrong with it."""

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


class Given(Struct, frozen=True):
    """A value as it stands in the file."""

    plain: Plain
    texts: Mapping[Path, str] = {}  # what was written for a number or a truth value, by place: 0022, 1.10
    resolve: Callable[[str], str] = as_is  # replaces %-specifiers

    def text(self, *at: str | int) -> str:
        """The scalar at a place as it was written, unresolved."""
        value = self.plain
        for step in at:
            value = value[step]
        return self.texts.get(at) or scalar_text(value)


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
    return "'" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + "'"
