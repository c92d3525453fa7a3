"""The section `budget`: how much a unit may use in an hour, a day, a month, and what happens when that is used up."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from functools import cache
from typing import ClassVar, Literal

from msgspec import Struct

from maestro.model import guess
from maestro.model.option import Change, option
from maestro.model.plain import Fault, Given, Mistake, Plain, kind_of, many, shorten
from maestro.model.timespan import Seconds
from maestro.model.values import Percentage, Size, Word

CALENDAR = ("hour", "day", "week", "month")
INVOCATION = "invocation"  # from one start to the next: the only window that no clock turns
Action = Literal["notify", "throttle", "freeze", "drain", "stop"]


class Count(float):
    """A whole number from 1, or infinity."""

    expected: ClassVar[str] = "a whole number such as 20"

    @classmethod
    def read(cls, given: Given) -> Count:
        text = given.text() if isinstance(given.plain, str | int) else ""
        if text != "infinity" and not re.fullmatch("[0-9]{1,12}", text):
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}")
        return cls(text)

    def show(self) -> Plain:
        return str(self)

    def __str__(self) -> str:
        return "infinity" if math.isinf(self) else str(int(self))

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": ["integer", "string"], "examples": [20]}


Amount = Seconds | Size | Count


class Amounts(Mapping[str, float]):
    """An amount for each window."""

    __slots__ = ("_amounts",)
    kind: ClassVar[type[Amount]]
    windows: ClassVar[tuple[str, ...]] = (*CALENDAR, INVOCATION)
    example: ClassVar[str]
    step: ClassVar[str]  # an amount that may well be granted
    expected: ClassVar[str]

    def __init__(self, amounts: Mapping[str, Amount]) -> None:
        self._amounts = {window: amounts[window] for window in self.windows if window in amounts}

    @classmethod
    def read(cls, given: Given) -> Amounts:
        if not isinstance(given.plain, dict):
            hint = f"say for how long: {cls.example}"
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}", hint)
        amounts: dict[str, Amount] = {}
        faults: list[Fault] = []
        for window in given.plain:
            try:
                amounts[window] = cls._one(
                    window, Given(given.plain[window], given.resolve, given.marks, (*given.at, window))
                )
            except Mistake as mistake:
                of_key = window not in cls.windows
                faults.extend(Fault(f.message, f.hint, (window, *f.at), of_key) for f in mistake.faults)
        if faults:
            raise many(faults)
        return cls(amounts)

    @classmethod
    def _one(cls, window: str, given: Given) -> Amount:
        if window not in cls.windows:
            near = guess.nearest(window, cls.windows)
            listed = f"{', '.join(cls.windows[:-1])} or {cls.windows[-1]}"
            raise Mistake(
                f"{shorten(window)} is not a window", f"did you mean {near}?" if near else f"write {listed}"
            )
        amount = cls.kind.read(given)
        if amount <= 0:
            raise Mistake(
                "a budget of nothing is used up before anything begins",
                f"write more than 0, or mask the unit: {cls.example}",
            )
        return amount

    def show(self) -> Plain:
        return {window: amount.show() for window, amount in self._amounts.items()}

    def __getitem__(self, window: str) -> float:
        """The limit; infinite where a drop-in has taken it away."""
        amount = self._amounts[window]
        return math.inf if amount in (math.inf, Size.infinite) else float(amount)

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __len__(self) -> int:
        return len(self._amounts)

    def __hash__(self) -> int:
        return hash(frozenset(self._amounts.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._amounts!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {
            "type": "object",
            "properties": {window: cls.kind.schema() for window in cls.windows},
            "additionalProperties": False,
            "examples": [{"day": cls.step}],
        }


class Durations(Amounts):
    """Seconds of something."""

    __slots__ = ()
    kind = Seconds
    example = "{day: 4h}"
    step = "1h"
    expected = "a duration for each window, such as {hour: 30min, day: 4h}"


class Sizes(Amounts):
    """Bytes of something."""

    __slots__ = ()
    kind = Size
    example = "{day: 10G}"
    step = "1G"
    expected = "a size for each window, such as {day: 10G}"


class Counts(Amounts):
    """How often something may happen; an invocation is one run and no restart, so there is nothing to count in it."""

    __slots__ = ()
    kind = Count
    windows = CALENDAR
    example = "{day: 20}"
    step = "5"
    expected = "a number for each window, such as {day: 20}"


class TimeZone(Word):
    """A time zone of the tz database."""

    __slots__ = ("zone",)
    zone: tzinfo
    expected: ClassVar[str] = "a time zone such as UTC or Europe/Berlin"
    examples: ClassVar[tuple[str, ...]] = ("UTC", "Europe/Berlin")

    def __new__(cls, text: str) -> TimeZone:
        self = super().__new__(cls, text)
        self.zone = _zone(text)
        return self


@cache
def _zone(name: str) -> tzinfo:
    """UTC needs no database: a small container has none."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # it takes 0.5 MB, and few units name a zone

    try:
        return ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    raise Mistake(f"there is no time zone {shorten(name)}", "write UTC, or a name such as Europe/Berlin")


class BudgetSection(Struct, frozen=True, kw_only=True):
    """How much the agent may use in a window of time: `cpu_seconds: {hour: 30min, day: 4h}`.

    Windows are hour, day, week (from Monday), month, and invocation: from one start to the next. They are those of the
    calendar in `time_zone`. A used-up budget is no failure: it ends with its window, or by `maestroctl budget grant`.
    """

    cpu_seconds: Durations = option(Durations({}), "Processor time of all its processes.", change=Change.LIVE)
    wall_time: Durations = option(
        Durations({}),
        "Time that it is up, or comes up or goes down; not while it is frozen.",
        change=Change.LIVE,
    )
    bytes_written: Sizes = option(Sizes({}), "Bytes that its processes write to devices.", change=Change.LIVE)
    restarts: Counts = option(
        Counts({}),
        "Automatic restarts. When they are used up, the next one waits; a start by hand does not.",
        change=Change.LIVE,
    )
    runs: Counts = option(
        Counts({}), "Starts of all kinds. When they are used up, the next one waits.", change=Change.LIVE
    )
    time_zone: TimeZone = option(
        TimeZone("UTC"),
        "Where the calendar is read that hours, days, weeks and months begin by. UTC has the same days on every host "
        "and no day of 23 hours.",
        change=Change.LIVE,
    )
    warn_at: Percentage = option(
        Percentage(80),
        "Of each budget: when this much is used, an event says so, once in its window.",
        at_least=1,
        at_most=100,
        change=Change.LIVE,
    )
    on_exhausted: Action = option(
        "freeze",
        "What happens when a budget of what it uses while it runs is used up. notify: an event says so. throttle: its share "
        "of the processor is made small. freeze: its processes stand still and keep their memory, as by "
        "`maestroctl freeze`, and go on by themselves; it is the default, for nothing that was worked out is lost. "
        "stop: it is stopped by its stop sequence and started again when the window is over; for the window "
        "`invocation`, by hand. drain: the same as stop, for an agent cannot yet say what it still has to finish "
        "but by `exec_stop`. A start that finds a budget used up waits, unless this is notify.",
        change=Change.LIVE,
    )


class Resource(Struct, frozen=True):
    """One thing of which there can be too much."""

    kind: type[Amounts]
    counts_starts: bool = False  # it is used by starting, and not by running: what runs is left alone
    starts: str = "every"  # which starts: every, or only "automatic" ones


# Name -> how it is counted. Money and tokens come as two rows more, and two options above.
RESOURCES: Mapping[str, Resource] = {
    "cpu_seconds": Resource(Durations),
    "wall_time": Resource(Durations),
    "bytes_written": Resource(Sizes),
    "restarts": Resource(Counts, counts_starts=True, starts="automatic"),
    "runs": Resource(Counts, counts_starts=True),
}


class Limit(Struct, frozen=True):
    """One amount of a budget."""

    resource: str
    window: str
    amount: float
    key: str  # "cpu_seconds/day": of its entry in an account


def limits(section: BudgetSection) -> tuple[Limit, ...]:
    """All that a section limits; empty for one that limits nothing."""
    return tuple(
        Limit(resource, window, amounts[window], f"{resource}/{window}")
        for resource in RESOURCES
        for amounts in (getattr(section, resource),)
        for window in amounts
        if not math.isinf(amounts[window])
    )


def say(resource: str, amount: float) -> str:
    """An amount as the file would have it: `4h`, `20`, `512M`."""
    kind = RESOURCES[resource].kind.kind
    if kind is Seconds:
        return _briefly(amount)
    if kind is Size:
        return _size(amount)
    return f"{amount:g}"


def _briefly(seconds: float) -> str:
    """To a second, and under ten seconds to a tenth; of what is long, two units."""
    if seconds < 10:
        return f"{math.floor(seconds * 10) / 10:g}s"
    return " ".join(str(Seconds(math.floor(seconds))).split()[:2])


def _size(amount: float) -> str:
    for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
        if amount >= 1024**power:
            return f"{math.floor(amount / 1024**power * 10) / 10:g}{unit}"
    return f"{amount:.0f}B"


def amount_of(resource: str, text: str) -> float:
    """An amount as a person writes it. Raises `Mistake`."""
    amount = float(RESOURCES[resource].kind.kind.read(Given(text)))
    if not 0 < amount < Size.infinite:
        raise Mistake(
            f"{shorten(text)} is not an amount that can be granted",
            f"write one such as {RESOURCES[resource].kind.step}",
        )
    return amount
