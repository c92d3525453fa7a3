"""Values of `resources`: amounts of memory and tasks, shares, processors, limits for single devices."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar, Self

from maestro.model.mappings import ByName
from maestro.model.plain import Fault, Given, Mistake, Plain, is_scalar, kind_of, shorten
from maestro.model.values import Percentage, Size, Word

_INFINITY = "infinity"
_MOST_PROCESSORS = 8192
_WEIGHTS = (1, 10_000)


class Amount(Word, ABC):
    """So many of something of which the host has a total: a number, a percentage of that, or infinity."""

    __slots__ = ("number", "percent")
    number: int | None  # None: infinity, or a percentage
    percent: Percentage | None

    def __new__(cls, text: str) -> Self:
        number, percent = None, None
        if text.strip().endswith("%"):
            percent = Percentage(text)
            if percent > 100:
                raise Mistake(f"{shorten(text)} is more than there is", "write at most 100%")
        elif text.strip() != _INFINITY:
            number = cls._number(text)
        self = super().__new__(cls, str(percent) if percent is not None else cls._shown(number))
        self.number, self.percent = number, percent
        return self

    @classmethod
    def read(cls, given: Given) -> Self:
        """A percent sign is one here, and begins no specifier."""
        if isinstance(given.plain, bool) or not is_scalar(given.plain):
            raise Mistake(f"expected {cls.expected}, found {kind_of(given.plain)}")
        return cls(given.text())

    def of(self, total: int) -> int | None:
        """In a host that has `total`; None: as many as there are."""
        return int(total * self.percent.fraction) if self.percent is not None else self.number

    @classmethod
    @abstractmethod
    def _number(cls, text: str) -> int:
        """What is written as neither a percentage nor infinity."""

    @classmethod
    def _shown(cls, number: int | None) -> str:
        return _INFINITY if number is None else str(number)


def bytes_in_words(number: int) -> str:
    """For people: `64M`, `1.5G`, `12.3M`."""
    size, units = float(number), ["", "K", "M", "G", "T", "P"]
    while size >= 1023.95 and len(units) > 1:
        size /= 1024
        del units[0]
    return f"{size:.1f}".removesuffix(".0") + units[0]


class MemoryAmount(Amount):
    """Bytes, or a share of the host's memory."""

    __slots__ = ()
    expected: ClassVar[str] = "an amount of memory such as 512M, 20% or infinity"
    examples: ClassVar[tuple[str, ...]] = ("512M", "20%", "infinity")

    @classmethod
    def _number(cls, text: str) -> int:
        return int(Size(text))

    @classmethod
    def _shown(cls, number: int | None) -> str:
        return _INFINITY if number is None else str(Size(number))


class TaskAmount(Amount):
    """Processes and threads, or a share of what the host allows."""

    __slots__ = ()
    expected: ClassVar[str] = "a number of tasks such as 512, 10% or infinity"
    examples: ClassVar[tuple[str, ...]] = ("512", "10%", "infinity")

    @classmethod
    def _number(cls, text: str) -> int:
        if not re.fullmatch(r"\s*[0-9]{1,10}\s*", text) or int(text) == 0:
            raise Mistake(f"{shorten(text)} is not {cls.expected}")
        return int(text)


class Weight(Word):
    """A share beside those of others, of which 100 is the usual."""

    __slots__ = ("number",)
    number: int
    expected: ClassVar[str] = "a weight from 1 to 10000"
    examples: ClassVar[tuple[str, ...]] = ("100", "10000")

    def __new__(cls, text: str) -> Self:
        least, most = _WEIGHTS
        if not re.fullmatch(r"\s*[0-9]{1,6}\s*", text) or not least <= int(text) <= most:
            raise Mistake(
                f"{shorten(text)} is not {cls.expected}", "100 is the usual one; write 200 for twice as much"
            )
        self = super().__new__(cls, str(int(text)))
        self.number = int(text)
        return self


class CpuWeight(Weight):
    """The same, or `idle`: only what nobody else wants."""

    __slots__ = ()
    expected: ClassVar[str] = "a weight from 1 to 10000, or idle"
    examples: ClassVar[tuple[str, ...]] = ("100", "idle")

    def __new__(cls, text: str) -> Self:
        if text.strip() != "idle":
            return super().__new__(cls, text)
        self = str.__new__(cls, "idle")
        self.number = 0
        return self


class NumberSet(Word):
    """Numbers and ranges of numbers, counted from 0, of processors or memory nodes: "0-3 5,7"."""

    __slots__ = ("numbers",)
    numbers: tuple[int, ...]
    expected: ClassVar[str] = "numbers and ranges such as 0-3 5"
    examples: ClassVar[tuple[str, ...]] = ("0-3", "0-3,5")

    def __new__(cls, text: str) -> Self:
        found: set[int] = set()
        for part in re.split(r"[\s,]+", text.strip(" ,\t\n")):
            match = re.fullmatch("([0-9]{1,5})(?:-([0-9]{1,5}))?", part)
            if match is None:
                raise Mistake(f"{shorten(part)} is not a number or range", f"write {cls.expected}")
            first, last = int(match[1]), int(match[2] or match[1])
            if first > last:
                raise Mistake(f"{shorten(part)} runs backwards", f"write {last}-{first}")
            if last >= _MOST_PROCESSORS:
                raise Mistake(f"{last} is too large: they are counted from 0 to {_MOST_PROCESSORS - 1}")
            found.update(range(first, last + 1))
        self = super().__new__(cls, _in_ranges(sorted(found)))
        self.numbers = tuple(sorted(found))
        return self


def _in_ranges(numbers: list[int]) -> str:
    """Sorted numbers as people write them: 0-3,8."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


class DeviceMap(ByName[int]):
    """A number for each block device, by the path of its node or of a file on it."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping of devices to numbers"
    content: ClassVar[str] = "a number"
    names: ClassVar[str] = "^/"
    types: ClassVar[tuple[str, ...]] = ("string", "integer")

    @classmethod
    def faults_of(cls, name: str, value: int) -> list[Fault]:
        if name.startswith("/"):
            return []
        hint = "write the path of a device, or of a file on it: /dev/vda"
        return [Fault(f"{shorten(name)} is not an absolute path", hint, (name,), of_key=True)]


class Bandwidths(DeviceMap):
    """Bytes a second."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {/dev/vda: 10M}"
    example: ClassVar[tuple[str, Plain]] = ("/dev/vda", "10M")

    @classmethod
    def one(cls, given: Given, name: str) -> int:
        return int(Size(given.text(name)))

    def show(self) -> Plain:
        return {path: str(Size(number)) for path, number in self.items()}


class Operations(DeviceMap):
    """Operations a second."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {/dev/vda: 1000}"
    example: ClassVar[tuple[str, Plain]] = ("/dev/vda", 1000)

    @classmethod
    def one(cls, given: Given, name: str) -> int:
        text = given.text(name)
        if not re.fullmatch("[0-9]{1,12}", text) or int(text) == 0:
            raise Mistake(f"{shorten(text)} is not a number of operations")
        return int(text)


class DeviceWeights(DeviceMap):
    """Shares beside those of others."""

    __slots__ = ()
    expected: ClassVar[str] = "a mapping such as {/dev/vda: 200}"
    example: ClassVar[tuple[str, Plain]] = ("/dev/vda", 200)

    @classmethod
    def one(cls, given: Given, name: str) -> int:
        return Weight(given.text(name)).number
