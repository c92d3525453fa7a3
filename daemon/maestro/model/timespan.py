"""Durations in systemd's grammar: "1min 30s", "500ms", "infinity"; a bare number counts seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar

from maestro.model.plain import Given, Mistake, Plain, kind_of, shorten

UNITS = {  # unit: its spellings, microseconds
    "y": (("years", "year", "y"), 31_557_600_000_000),
    "month": (("months", "month", "M"), 2_629_800_000_000),
    "w": (("weeks", "week", "w"), 604_800_000_000),
    "d": (("days", "day", "d"), 86_400_000_000),
    "h": (("hours", "hour", "hr", "h"), 3_600_000_000),
    "min": (("minutes", "minute", "min", "m"), 60_000_000),
    "s": (("seconds", "second", "sec", "s"), 1_000_000),
    "ms": (("msec", "ms"), 1_000),
    "us": (("usec", "us", "\N{GREEK SMALL LETTER MU}s", "\N{MICRO SIGN}s"), 1),
}
_MICROSECONDS = {spelling: length for spellings, length in UNITS.values() for spelling in spellings}
_NANOSECONDS = {
    "nsec": 1,
    "ns": 1,
    **{spelling: length * 1000 for spelling, length in _MICROSECONDS.items()},
}
_LONGEST = (1 << 64) - 1  # systemd's infinity, in microseconds and in nanoseconds
_BLANK = r"[ \t\r\n]"


def _part(lengths: Mapping[str, int]) -> re.Pattern[str]:
    spellings = "|".join(sorted(lengths, key=len, reverse=True))
    return re.compile(
        rf"{_BLANK}*+(?:\+?(?P<whole>[0-9]++)(?:\.(?P<fraction>[0-9]++))?+|\.(?P<only>[0-9]++))"
        rf"(?:{_BLANK}*+(?P<unit>{spellings})|(?={_BLANK}|\Z))"
    )


_MICRO, _NANO = _part(_MICROSECONDS), _part(_NANOSECONDS)
_EXAMPLE = "write a duration such as 30s, 1min 30s or 500ms"


def microseconds(text: str, bare: str = "s") -> int | None:
    """What a duration amounts to; None for infinity. A number alone counts the unit `bare`."""
    return _sum(text, _MICRO, _MICROSECONDS, bare)


def nanoseconds(text: str) -> int | None:
    """The same in nanoseconds, which a number alone counts."""
    return _sum(text, _NANO, _NANOSECONDS, "ns")


def _sum(text: str, pattern: re.Pattern[str], lengths: Mapping[str, int], bare: str) -> int | None:
    stripped = text.strip(" \t\r\n")
    if stripped == "infinity":
        return None
    if not stripped or len(text) > 200:
        raise Mistake(f"{shorten(text)} is not a duration", _EXAMPLE)
    if stripped.startswith("-"):
        raise Mistake(f"{shorten(text)} is negative: a duration is 0 or more", _EXAMPLE)
    total, place = 0, 0
    while place < len(stripped):
        part = pattern.match(stripped, place)
        if part is None:
            raise Mistake(f"{shorten(text)} is not a duration", _EXAMPLE)
        total += _amount(part, lengths[part["unit"] or bare])
        place = part.end()
        if total >= _LONGEST:
            raise Mistake(f"{shorten(text)} is too long", "write infinity for no limit")
    return total


def _amount(part: re.Match[str], unit: int) -> int:
    total = int(part["whole"] or 0) * unit
    for digit in part["fraction"] or part["only"] or "":
        unit //= 10
        total += int(digit) * unit
    return total


def show(length: int) -> str:
    """Microseconds as the largest units that fit, each a whole number."""
    parts = []
    for unit, (_, size) in UNITS.items():
        count, length = divmod(length, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0"


class Seconds(float):
    """A duration, to the microsecond."""

    expected: ClassVar[str] = "a duration such as 30s, 1min 30s or infinity"

    def __new__(cls, value: float | str) -> Seconds:
        if isinstance(value, str):
            length = None if value == "inf" else microseconds(value)
            return super().__new__(cls, math.inf if length is None else length / 1e6)
        if math.isnan(value) or value < 0:
            raise Mistake(f"{value} is not a duration: it is 0 or more", _EXAMPLE)
        if math.isinf(value):
            return super().__new__(cls, value)
        if value >= _LONGEST / 1e6:
            raise Mistake(f"{value} is too long", "write infinity for no limit")
        return super().__new__(cls, round(value * 1e6) / 1e6)

    @classmethod
    def read(cls, given: Given) -> Seconds:
        plain = given.plain
        if isinstance(plain, bool) or not isinstance(plain, str | int | float):
            raise Mistake(f"expected {cls.expected}, found {kind_of(plain)}")
        if isinstance(plain, int) and plain > _LONGEST:
            raise Mistake(f"{given.text()[:40]} is too long", "write infinity for no limit")
        return cls(plain if isinstance(plain, str) else float(plain))

    def show(self) -> Plain:
        return str(self)

    def __str__(self) -> str:
        return "infinity" if math.isinf(self) else show(round(self * 1e6))

    def __repr__(self) -> str:
        return f"Seconds({str(self)!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {
            "type": ["string", "number"],
            "minimum": 0,
            "examples": ["30s", "1min 30s", "500ms", "infinity"],
        }
