"""The section `agent.limits`: what setrlimit(2) holds the process to, in the grammar of systemd's LimitNOFILE= and its kind."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from msgspec import Struct

from maestro.model import timespan
from maestro.model.option import option
from maestro.model.plain import Mistake, shorten
from maestro.model.values import Size, Word

UNLIMITED = (1 << 64) - 1
_MOST_NICE, _LEAST_NICE = 19, -20


class Limit(Word, ABC):
    """A soft and a hard limit, "1024:4096", or one number for both."""

    __slots__ = ("hard", "soft")
    soft: int
    hard: int

    def __new__(cls, text: str) -> Limit:
        soft, colon, hard = text.partition(":")
        low = cls.amount(soft.strip())
        high = cls.amount(hard.strip()) if colon else low
        if low > high:
            raise Mistake(
                f"the soft limit of {shorten(text)} is above the hard one",
                f"write {cls.word(high)}:{cls.word(low)}",
            )
        shown = cls.word(low) if low == high else f"{cls.word(low)}:{cls.word(high)}"
        self = super().__new__(cls, shown)
        self.soft, self.hard = low, high
        return self

    @classmethod
    @abstractmethod
    def amount(cls, text: str) -> int:
        """What one of the two amounts to for the kernel."""

    @classmethod
    def word(cls, amount: int) -> str:
        """The same for people."""
        return "infinity" if amount == UNLIMITED else str(amount)


class CountLimit(Limit):
    __slots__ = ()
    expected: ClassVar[str] = "a number such as 4096, soft and hard as 1024:4096, or infinity"
    examples: ClassVar[tuple[str, ...]] = ("4096", "1024:4096", "infinity")

    @classmethod
    def amount(cls, text: str) -> int:
        if text == "infinity":
            return UNLIMITED
        if not re.fullmatch("0|[1-9][0-9]{0,19}", text) or int(text) >= UNLIMITED:
            raise Mistake(f"{shorten(text)} is not a number", f"write {cls.expected}")
        return int(text)


class SizeLimit(Limit):
    __slots__ = ()
    expected: ClassVar[str] = "a size such as 512M, soft and hard as 512M:1G, or infinity"
    examples: ClassVar[tuple[str, ...]] = ("512M", "512M:1G", "infinity")

    @classmethod
    def amount(cls, text: str) -> int:
        size = int(Size(text))
        if size == UNLIMITED and text != "infinity":
            raise Mistake(f"{shorten(text)} is too large", "write infinity for no limit")
        return size

    @classmethod
    def word(cls, amount: int) -> str:
        return str(Size(amount))


class SecondsLimit(Limit):
    """Processor time, in whole seconds: what is not whole is rounded up."""

    __slots__ = ()
    expected: ClassVar[str] = "a duration such as 10min, soft and hard as 10min:11min, or infinity"
    examples: ClassVar[tuple[str, ...]] = ("10min", "10min:11min", "infinity")

    @classmethod
    def amount(cls, text: str) -> int:
        length = timespan.microseconds(text)
        return UNLIMITED if length is None else -(-length // 1_000_000)

    @classmethod
    def word(cls, amount: int) -> str:
        return "infinity" if amount == UNLIMITED else timespan.show(amount * 1_000_000)


class MicrosecondsLimit(Limit):
    """A number alone counts microseconds."""

    __slots__ = ()
    expected: ClassVar[str] = "a duration such as 500ms, soft and hard as 500ms:1s, or infinity"
    examples: ClassVar[tuple[str, ...]] = ("500ms", "500ms:1s", "infinity")

    @classmethod
    def amount(cls, text: str) -> int:
        length = timespan.microseconds(text, "us")
        return UNLIMITED if length is None else length

    @classmethod
    def word(cls, amount: int) -> str:
        return "infinity" if amount == UNLIMITED else timespan.show(amount)


class NiceLimit(Limit):
    """A nice level with its sign, or the kernel's number for it: 20 less the level, and 0 for none."""

    __slots__ = ()
    expected: ClassVar[str] = "a nice level with its sign, such as +5 or -5, or the kernel's number, 0 to 40"
    examples: ClassVar[tuple[str, ...]] = ("-5", "+5:-5", "0")

    @classmethod
    def amount(cls, text: str) -> int:
        match = re.fullmatch(r"([+-]?)(0|[1-9][0-9]?)", text)
        if match is None:
            raise Mistake(f"{shorten(text)} is not a limit on the nice level", f"write {cls.expected}")
        number = int(match[2])
        if match[1] == "+" and number <= _MOST_NICE:
            return 20 - number
        if match[1] == "-" and number <= -_LEAST_NICE:
            return 20 + number
        if not match[1] and number <= 20 - _LEAST_NICE:
            return number
        raise Mistake(
            f"{shorten(text)} is out of range", "nice levels are -20 to +19, the kernel's numbers 0 to 40"
        )

    @classmethod
    def word(cls, amount: int) -> str:
        return f"{20 - amount:+d}" if amount else "0"


class LimitsSection(Struct, frozen=True, kw_only=True, rename={"as_": "as"}):
    """Limits of each process by setrlimit(2): a soft limit, which it may raise itself, and a hard one, which only root raises.

    One number stands for both. Each process has them for itself: what holds for the agent as a whole is in `resources`.
    """

    as_: SizeLimit | None = option(None, "Address space.")
    core: SizeLimit | None = option(None, "Size of a core file; 0: none is written.")
    cpu: SecondsLimit | None = option(
        None, "Processor time: at the soft limit it gets XCPU each second, at the hard one KILL."
    )
    data: SizeLimit | None = option(
        None, "Data segment: what it has initialized, its heap and private mappings."
    )
    fsize: SizeLimit | None = option(None, "Size of a file that it writes; beyond that it gets XFSZ.")
    locks: CountLimit | None = option(None, "Locks on files. Linux has not looked at it since 2.4.25.")
    memlock: SizeLimit | None = option(None, "Memory that it locks into RAM.")
    msgqueue: SizeLimit | None = option(None, "Bytes in POSIX message queues of its user.")
    nice: NiceLimit | None = option(None, "How far it may lower its own nice level.")
    nofile: CountLimit | None = option(
        None,
        "Open descriptors. Without this the soft limit is 1024, for select(2) breaks above it, and the hard one is the daemon's.",
    )
    nproc: CountLimit | None = option(None, "Processes and threads of its user; root is not held to it.")
    rss: SizeLimit | None = option(None, "Resident memory. Linux does not look at it: write `memory_max`.")
    rtprio: CountLimit | None = option(None, "How high a real-time priority it may give itself.")
    rttime: MicrosecondsLimit | None = option(
        None,
        "Processor time that a real-time process takes without a blocking call. A number alone counts microseconds.",
    )
    sigpending: CountLimit | None = option(None, "Signals that wait for processes of its user.")
    stack: SizeLimit | None = option(
        None, "Stack of its main thread; arguments and variables may take a quarter of it."
    )
