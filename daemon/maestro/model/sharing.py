"""Sections that are the same in many units, kept once: a thousand instances of a template differ in a word or two.

What is set and what is a default takes 0.9 KB a unit. Only what cannot be changed is shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import astuple

T = TypeVar("T", bound=Struct)
_MOST = 256
_kept: dict[Struct, Struct] = {}  # so few that those of no unit any more take next to nothing


def shared(section: T) -> T:
    """An earlier one that says the same, or this."""
    try:
        known: Any = _kept.get(section)
    except TypeError:  # something in it has no hash, such as what a plugin declared
        return section
    if known is not None:
        return known if _is_same(known, section) else section
    if len(_kept) >= _MOST:
        _kept.clear()
    _kept[section] = section
    return section


def _is_same(one: object, other: object) -> bool:
    """Equal, and nobody could tell them apart: 1 is True, and 2 bytes are as much as 2 seconds."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, Struct) and isinstance(other, Struct):
        one, other = astuple(one), astuple(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(
            a is b or _is_same(a, b) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return len(one) == len(other) and all(map(_is_same, one.items(), other.items()))
    return isinstance(one, str | int | float | Enum) and one == other
