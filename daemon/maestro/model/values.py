"""The types of options. Each is made from the text in the file, and shows itself as text that makes it again.

A type has `read(given)` for what YAML gave, which raises `Mistake`; `show()`; `schema()`; and `expected`, for
messages.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from typing import ClassVar, Protocol, Self, runtime_checkable

from maestro.model import names
from maestro.model.command import Command as Command
from maestro.model.command import CommandLine as CommandLine
from maestro.model.mappings import ByName
from maestro.model.plain import Fault, Given, Mistake, Plain, is_scalar, kind_of, printable, shorten
from maestro.model.status import ExitStatusSet as ExitStatusSet
from maestro.model.status import SignalName as SignalName
from maestro.model.timespan import Seconds as Seconds


@runtime_checkable
class Value(Protocol):
    """What every type of option can do, besides the plain ones: str, int, float, bool."""

    expected: ClassVar[str]

    @classmethod
    def read(cls, given: Given) -> Self: ...
    def show(self) -> Plain: ...
    @classmethod
    def schema(cls) -> dict[str, Plain]: ...


class Word(str):
    """A value that is its own canonical text."""

    __slots__ = ()
    expected: ClassVar[str] = "a word"
    examples: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def read(cls, given: Given) -> Self:
        if isinstance(given.plain, bool) or not is_scalar(given.plain):
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}")
        return cls(given.resolve(given.text()))

    def show(self) -> Plain:
        return str(self)

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": "string", "examples": list(cls.examples)}


_POWERS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50, "E": 1 << 60}
_SIZE = re.compile(r"[ \t]*(?P<whole>[0-9]{1,20})(?:\.(?P<fraction>[0-9]{0,20}))?[ \t]*(?P<unit>[BKMGTPE]?)")
_SIZE_HINT = "write a number of bytes, with K, M, G or T for powers of 1024: 512M"


class Size(int):
    """Bytes; K, M, G, T, P and E are powers of 1024."""

    expected: ClassVar[str] = "a size such as 512M or 1G"
    infinite: ClassVar[int] = (1 << 64) - 1

    def __new__(cls, value: int | str) -> Size:
        size = _bytes(value) if isinstance(value, str) else value
        if not 0 <= size <= cls.infinite:
            raise Mistake(f"{size} is not a size: it is between 0 and 16E", _SIZE_HINT)
        return super().__new__(cls, size)

    @classmethod
    def read(cls, given: Given) -> Size:
        if isinstance(given.plain, bool) or not isinstance(given.plain, str | int):
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}")
        return cls(given.plain)

    def show(self) -> Plain:
        return str(self)

    def __str__(self) -> str:
        if self == self.infinite:
            return "infinity"
        for unit in "EPTGMK":
            if self and self % _POWERS[unit] == 0:
                return f"{int(self) // _POWERS[unit]}{unit}"
        return int.__repr__(self)

    def __repr__(self) -> str:
        return f"Size({str(self)!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": ["string", "integer"], "minimum": 0, "examples": ["512M", "1G", "infinity"]}


def _bytes(text: str) -> int:
    """Parts must come from large to small, as in systemd: "1G 512M"."""
    if text.strip() == "infinity":
        return Size.infinite
    total, place, below = 0, 0, math.inf
    while place < len(text) or not text:
        part = _SIZE.match(text, place)
        if part is None or _POWERS[part["unit"]] >= below:
            raise Mistake(f"{shorten(text)} is not a size", _size_hint(text))
        below = _POWERS[part["unit"]]
        digits = part["fraction"] or ""
        total += int(part["whole"]) * int(below) + int(digits or 0) * int(below) // 10 ** len(digits)
        place = part.end()
    return total


def _size_hint(text: str) -> str:
    guess = re.fullmatch(r"\s*([0-9.]+)\s*([kmgtpe])(?:i?b)?\s*", text, re.IGNORECASE)
    return f"did you mean {guess[1]}{guess[2].upper()}?" if guess else _SIZE_HINT


_PERCENT = re.compile(r"(?P<number>[0-9]{1,7}(?:\.[0-9]{1,4})?)[ ]?%")


class Percentage(float):
    """Of a hundred: `Percentage(20).fraction` is 0.2."""

    expected: ClassVar[str] = "a percentage such as 20%"

    def __new__(cls, value: float | str) -> Percentage:
        if isinstance(value, str):
            match = _PERCENT.fullmatch(value.strip())
            if match is None:
                raise Mistake(
                    f"{shorten(value)} is not a percentage", "write a number and a percent sign: 20%"
                )
            value = float(match["number"])
        if not 0 <= value < 1e7:
            raise Mistake(f"{value} is not a percentage: it is 0 or more", "write it as 20%")
        return super().__new__(cls, round(value, 4))

    @property
    def fraction(self) -> float:
        return float(self) / 100

    @classmethod
    def read(cls, given: Given) -> Percentage:
        if isinstance(given.plain, int | float) and not isinstance(given.plain, bool):
            if given.plain == 0:
                return cls(0)
            raise Mistake(
                f"{given.text()} could mean two things", f"write {given.text()}% for so many of a hundred"
            )
        if not isinstance(given.plain, str):
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}")
        return cls(given.plain)

    def show(self) -> Plain:
        return str(self)

    def __str__(self) -> str:
        return f"{float(self):.4f}".rstrip("0").rstrip(".") + "%"

    def __repr__(self) -> str:
        return f"Percentage({str(self)!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": "string", "pattern": r"^[0-9]{1,7}(\.[0-9]{1,4})? ?%$", "examples": ["20%", "150%"]}


class StopStep(Word):
    """A signal, and how long to wait after it: "TERM 30s". Without a time, 10 s."""

    __slots__ = ("signal", "wait")
    signal: SignalName
    wait: Seconds
    expected: ClassVar[str] = "a signal and a time, such as TERM 30s"
    examples: ClassVar[tuple[str, ...]] = ("TERM 30s", "KILL")

    def __new__(cls, text: str) -> StopStep:
        signal, _, wait = text.strip().partition(" ")
        if not signal:
            raise Mistake("a step is empty", "write a signal and a time: TERM 30s")
        name = SignalName(signal)
        pause = Seconds(wait.strip() or "10s")
        self = super().__new__(cls, f"{name} {pause}")
        self.signal, self.wait = name, pause
        return self


class StartLimit(Word):
    """So many starts in a time: "5/10s"."""

    __slots__ = ("count", "window")
    count: int  # type: ignore[assignment]  # str has a method of this name, which nobody asks of a limit
    window: Seconds
    expected: ClassVar[str] = "starts in a time, such as 5/10s"
    examples: ClassVar[tuple[str, ...]] = ("5/10s", "20/1h")

    def __new__(cls, text: str) -> StartLimit:
        count, slash, window = (part.strip() for part in text.partition("/"))
        if not slash or not re.fullmatch("[0-9]{1,6}", count):
            raise Mistake(f"{shorten(text)} is not a limit", "write starts and a time: 5/10s")
        time = Seconds(window)
        if int(count) == 0 or not 0 < time < math.inf:
            raise Mistake(
                f"{shorten(text)} limits nothing that can happen", "write 5/10s, or [] for no limit"
            )
        self = super().__new__(cls, f"{int(count)}/{time}")
        self.count, self.window = int(count), time
        return self


class UnitRef(Word):
    """A unit by its full name. An agent's is its bare name: `db.agent` is shown as `db`."""

    __slots__ = ()
    expected: ClassVar[str] = "a unit such as vectordb, worker@1 or default.target"
    examples: ClassVar[tuple[str, ...]] = ("vectordb", "worker@1", "default.target", "tenants.slice")

    def __new__(cls, text: str) -> UnitRef:
        name = names.split(text)
        if name.is_template:
            raise Mistake(
                f"{shorten(text)} is a template, not a unit",
                f"name an instance: {name.with_instance('1').full}",
            )
        return super().__new__(cls, name.full)

    def renamed(self, real: Callable[[str], str]) -> UnitRef:
        """What it means, where the name is an alias."""
        return UnitRef(real(self))


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EnvironmentMap(ByName[str]):
    """Variables by name. Numbers and truth values are passed as they are written: `PORT: 8080` is "8080"."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {PORT: 8080}"
    content: ClassVar[str] = "a text or a number"
    names: ClassVar[str] = "^([A-Za-z_]|%.)([A-Za-z0-9_]|%.)*$"
    example: ClassVar[tuple[str, Plain]] = ("PORT", 8080)

    @classmethod
    def faults_of(cls, name: str, value: str) -> list[Fault]:
        return variable_faults(name, value)

    @classmethod
    def name_of(cls, given: Given, name: str) -> str:
        return given.resolve(name)

    @classmethod
    def one(cls, given: Given, name: str) -> str:
        return given.resolve(given.text(name))

    @classmethod
    def hint(cls, plain: Plain) -> str:
        return 'write "" for an empty value' if plain is None else "quote the value"


def variable_faults(name: str, value: str) -> list[Fault]:
    faults = []
    if not _VARIABLE.fullmatch(name):
        hint = "use letters, digits and _, and no digit first"
        faults.append(Fault(f"{shorten(name)} cannot be the name of a variable", hint, (name,), of_key=True))
    if "\0" in value:
        faults.append(Fault("the value contains a NUL character", at=(name,)))
    return faults


class Pattern(Word):
    """A regular expression in Python's syntax."""

    __slots__ = ()
    expected: ClassVar[str] = "a regular expression"
    examples: ClassVar[tuple[str, ...]] = ("listening on port [0-9]+",)

    def __new__(cls, text: str) -> Pattern:
        if len(text) > 1000:
            raise Mistake(f"the regular expression has {len(text)} characters: 1000 are allowed")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # "possible nested set": what it means may change with Python
                re.compile(text)
        except (re.error, OverflowError, RecursionError, Warning) as error:
            raise Mistake(f"{shorten(text)} is not a regular expression: {printable(str(error))}") from None
        return super().__new__(cls, text)


_URL = re.compile(
    r"http://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?][!-\"$-~]*)?"
)


class Url(Word):
    """An http:// URL, in its parts."""

    __slots__ = ("host", "port", "target")
    host: str
    port: int
    target: str  # path and query, at least "/"
    expected: ClassVar[str] = "a URL such as http://127.0.0.1:8080/ready"
    examples: ClassVar[tuple[str, ...]] = ("http://127.0.0.1:8080/ready",)

    def __new__(cls, text: str) -> Url:
        if text.startswith("https:"):
            raise Mistake(
                "https is not supported yet by this version", "ask over http://, or with `exec` and curl"
            )
        match = _URL.fullmatch(text)
        if match is None or not 0 < int(match["port"] or 80) < 65536:
            raise Mistake(f"{shorten(text)} is not a URL that can be asked", "write http://HOST:PORT/PATH")
        self = super().__new__(cls, text)
        target = match["target"] or "/"
        self.host = match["host"].strip("[]")
        self.port = int(match["port"] or 80)
        self.target = target if target.startswith("/") else f"/{target}"
        return self


_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.@\\-]{0,255}\$?")


class UserName(Word):
    """A user or group, by name or number."""

    __slots__ = ()
    expected: ClassVar[str] = "the name or number of a user or group"
    examples: ClassVar[tuple[str, ...]] = ("researcher", "1000")

    def __new__(cls, text: str) -> UserName:
        if re.fullmatch("[0-9]{1,10}", text):
            # -1 in 16 and 32 bits means "no change" to the kernel.
            if int(text) >= 0xFFFFFFFF or int(text) == 0xFFFF:
                raise Mistake(f"{text} is not the number of a user or group")
            return super().__new__(cls, str(int(text)))
        if not _USER.fullmatch(text):
            raise Mistake(
                f"{shorten(text)} cannot be the name of a user or group", "write a name or a number"
            )
        return super().__new__(cls, text)
