"""Lists in systemd's grammar that say what is allowed, or after `~` what is not: system calls, address families, namespaces.

The first line decides which of the two the whole list is. A later line adds to it, or with the other sign takes from
it; an empty line begins anew.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Self

from msgspec import Struct

from maestro.model import guess
from maestro.model.plain import Fault, Given, Mistake, Plain, kind_of, many, scalar_text, shorten
from maestro.model.syscall_groups import GROUPS, calls_of, names
from maestro.model.values import Word

KILL = -1  # instead of an error number: the process is killed
ANY = -2  # no error number of its own: the filter's

# Number of each address family, as in <sys/socket.h>.
_FAMILIES = """
    UNSPEC UNIX INET AX25 IPX APPLETALK NETROM BRIDGE ATMPVC X25 INET6 ROSE DECnet NETBEUI SECURITY KEY NETLINK
    PACKET ASH ECONET ATMSVC RDS SNA IRDA PPPOX WANPIPE LLC IB MPLS CAN TIPC BLUETOOTH IUCV RXRPC ISDN PHONET
    IEEE802154 CAIF ALG NFC VSOCK KCM QIPCRTR SMC XDP MCTP
"""
FAMILIES: Mapping[str, int] = {f"AF_{name}": number for number, name in enumerate(_FAMILIES.split())} | {
    "AF_LOCAL": 1,
    "AF_FILE": 1,
    "AF_ROUTE": 16,
}

# What clone(2) calls them.
NAMESPACES: Mapping[str, int] = {
    "cgroup": 0x02000000,
    "ipc": 0x08000000,
    "net": 0x40000000,
    "mnt": 0x00020000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
    "time": 0x00000080,
}
_MOST = 4095  # to the kernel a greater number is no error
_NUMBERS: Mapping[str, int] = {name: number for number, name in errno.errorcode.items()}


class ErrorNumber(Word):
    """What a refused call returns; or that it ends the process."""

    __slots__ = ("number",)
    number: int
    expected: ClassVar[str] = "an error such as EPERM, its number, or kill"
    examples: ClassVar[tuple[str, ...]] = ("EPERM", "kill")

    def __new__(cls, text: str) -> ErrorNumber:
        number = KILL if text == "kill" else _NUMBERS.get(text, 0)
        if text.isascii() and text.isdecimal() and len(text) <= 4 and int(text) <= _MOST:
            number = int(text)
        if not number:
            near = guess.nearest_exactly(text.upper(), _NUMBERS)
            raise Mistake(
                f"there is no error {shorten(text)}",
                f"did you mean {near}?" if near else "write a name such as EPERM, or kill",
            )
        self = super().__new__(cls, "kill" if number == KILL else errno.errorcode.get(number, str(number)))
        self.number = number
        return self


class SignedList(ABC):
    """Lines of words. What they come to is asked of `chosen`."""

    __slots__ = ("lines",)
    appends: ClassVar[bool] = True  # what a drop-in says comes to it
    expected: ClassVar[str] = ""
    example: ClassVar[tuple[str, ...]] = ()

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(" ".join(line.split()) for line in lines)
        faults = [
            Fault(fault.message, fault.hint, (place,))
            for place, line in enumerate(self.lines)
            for fault in self.faults_of(*split(line))
        ]
        if faults:
            raise many(faults)

    @classmethod
    @abstractmethod
    def faults_of(cls, inverted: bool, words: list[str]) -> Iterator[Fault]:
        """What is wrong with a line."""

    @classmethod
    def read(cls, given: Given) -> Self:
        plain = given.plain
        if not isinstance(plain, list):
            if cls.line(plain) is None:
                raise Mistake(f"expected {cls.expected}, found {kind_of(plain)}")
            try:
                return cls([given.resolve(cls.line(plain) or "")])
            except Mistake as mistake:
                raise many([Fault(fault.message, fault.hint) for fault in mistake.faults]) from None
        lines = [cls.line(item) for item in plain]
        if odd := [place for place, line in enumerate(lines) if line is None]:
            raise many([Fault(f"expected a text, found {kind_of(plain[at])}", at=(at,)) for at in odd])
        return cls(given.resolve(line or "") for line in lines)

    @classmethod
    def line(cls, plain: Plain) -> str | None:
        """A line as text; None: it cannot be one."""
        return plain if isinstance(plain, str) else None

    @property
    def takes_away(self) -> bool:
        """Whether it begins with what is not allowed."""
        return bool(self.lines) and self.lines[0].startswith("~")

    def after(self, earlier: SignedList) -> Self:
        """Both lists as one, whose last word this is."""
        return type(self)((*earlier.lines, *self.lines))

    def __iter__(self) -> Iterator[tuple[bool, list[str]]]:
        return map(split, self.lines)

    def __bool__(self) -> bool:
        return bool(self.lines)

    def show(self) -> Plain:
        return list(self.lines)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.lines == getattr(other, "lines", None)

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.lines))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.lines)!r})"

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {"type": ["array", "string"], "items": {"type": "string"}, "examples": [list(cls.example)]}


def split(line: str) -> tuple[bool, list[str]]:
    """Whether a line begins with `~`, and its words."""
    return line.startswith("~"), line.removeprefix("~").split()


class Chosen(Struct, frozen=True):
    """What the lines of a list come to."""

    allows: bool  # these and nothing else; otherwise: all but these
    members: tuple[tuple[str, int], ...]  # each with an error number of its own, KILL, or ANY


class SyscallList(SignedList):
    """System calls and groups of them: `["@system-service", "~@privileged @resources"]`."""

    __slots__ = ()
    expected: ClassVar[str] = "system calls and groups such as [@system-service, ~@privileged ptrace:EPERM]"
    example: ClassVar[tuple[str, ...]] = ("@system-service", "~@privileged @resources:EACCES")
    always: ClassVar[frozenset[str]] = calls_of("@default")  # a list of what is allowed has these too

    @classmethod
    def faults_of(cls, inverted: bool, words: list[str]) -> Iterator[Fault]:
        for word in words:
            name, colon, error = word.partition(":")
            if name not in GROUPS and name not in names():
                yield Fault(f"there is no system call {shorten(name)}", _call_hint(name))
            if colon and not inverted:
                message = f"{shorten(name)} is allowed here: that leaves no room for an error"
                yield Fault(message, f"leave out :{error}, or begin the line with ~")
            elif colon:
                try:
                    ErrorNumber(error)
                except Mistake as mistake:
                    yield from mistake.faults

    @property
    def chosen(self) -> Chosen | None:
        """None: nothing is filtered. What is allowed always has @default with it, as in systemd."""
        allows: bool | None = None
        found: dict[str, int] = {}
        for inverted, words in self:
            if not words and not inverted:
                allows, found = None, {}
                continue
            if allows is None:
                allows = not inverted
                found = dict.fromkeys(self.always, ANY) if allows else {}
            for word in words:
                _count(word, inverted, allows, found)
        return None if allows is None else Chosen(allows, tuple(sorted(found.items())))


class LogList(SyscallList):
    """System calls that are noted, none of them refused."""

    __slots__ = ()
    expected: ClassVar[str] = "system calls and groups such as [@mount, ptrace]"
    example: ClassVar[tuple[str, ...]] = ("@mount ptrace",)
    always: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def faults_of(cls, inverted: bool, words: list[str]) -> Iterator[Fault]:
        for word in words:
            if ":" in word:
                yield Fault(
                    f"{shorten(word)}: what is noted has no error", "leave out what follows the colon"
                )
                return
        yield from super().faults_of(inverted, words)


def _call_hint(name: str) -> str:
    if name.startswith("@"):
        near = guess.nearest_exactly(name, GROUPS)
        return f"did you mean {near}?" if near else f"there are {' '.join(sorted(GROUPS))}"
    if f"@{name}" in GROUPS:
        return f"did you mean @{name}?"
    if near := guess.nearest_exactly(name, names()):
        return f"did you mean {near}?"
    return "`systemd-analyze syscall-filter` and syscalls(2) list them"


def _count(word: str, inverted: bool, allows: bool, found: dict[str, int]) -> None:
    name, _, text = word.partition(":")
    error = ErrorNumber(text).number if text else ANY
    for call in calls_of(name) if name in GROUPS else (name,):
        if inverted != allows or (
            inverted and error != ANY
        ):  # of an allow-list: stays, and has an error of its own
            found[call] = error
        else:
            found.pop(call, None)


class FamilyList(SignedList):
    """Address families of sockets: `AF_UNIX AF_INET AF_INET6`; `none`: not one."""

    __slots__ = ()
    expected: ClassVar[str] = "address families such as [AF_UNIX AF_INET], or none"
    example: ClassVar[tuple[str, ...]] = ("AF_UNIX AF_INET AF_INET6",)

    @classmethod
    def faults_of(cls, inverted: bool, words: list[str]) -> Iterator[Fault]:
        if words == ["none"] and not inverted:
            return
        for word in words:
            if word not in FAMILIES:
                near = guess.nearest_exactly(f"AF_{word.upper().removeprefix('AF_')}", FAMILIES)
                hint = f"did you mean {near}?" if near else "AF_UNIX, AF_INET and AF_INET6 are usual"
                yield Fault(f"there is no address family {shorten(word)}", hint)

    @property
    def chosen(self) -> Chosen | None:
        """The families by number, as text of it would be: the error number is ANY."""
        allows: bool | None = None
        found: set[str] = set()
        for inverted, words in self:
            if not inverted and words in ([], ["none"]):
                allows, found = (True if words else None), set()
                continue
            allows = not inverted if allows is None else allows
            numbered = {str(FAMILIES[word]) for word in words}
            found = found | numbered if inverted != allows else found - numbered
        return None if allows is None else Chosen(allows, tuple((name, ANY) for name in sorted(found)))


class NamespaceList(SignedList):
    """Namespaces that it may make and enter; `true`: none of them, `false`: all."""

    __slots__ = ()
    expected: ClassVar[str] = "true, false, or namespaces such as [user mnt net]"
    example: ClassVar[tuple[str, ...]] = ("user mnt net",)

    @classmethod
    def line(cls, plain: Plain) -> str | None:
        return scalar_text(plain) if isinstance(plain, bool) else super().line(plain)

    @classmethod
    def faults_of(cls, inverted: bool, words: list[str]) -> Iterator[Fault]:
        if not inverted and words in (["true"], ["false"]):
            return
        for word in words:
            if word not in NAMESPACES:
                near = guess.nearest_exactly(word, NAMESPACES)
                hint = f"did you mean {near}?" if near else f"there are {' '.join(NAMESPACES)}"
                yield Fault(f"there is no kind of namespace {shorten(word)}", hint)

    @property
    def kept(self) -> int | None:
        """Flags of those that it may make; None: nothing is filtered."""
        everything = sum(NAMESPACES.values())
        kept: int | None = None
        for inverted, words in self:
            if not inverted and words in ([], ["true"], ["false"]):
                kept = 0 if words == ["true"] else None
                continue
            flags = sum({NAMESPACES[word] for word in words})
            kept = (everything if kept is None else kept) & ~flags if inverted else flags | (kept or 0)
        return None if kept == everything else kept

    def show(self) -> Plain:
        """`true` as it was written: as a text it would be one more line of a list."""
        return (
            {"true": True, "false": False}.get(self.lines[0]) if self.lines in _TRUTHS else list(self.lines)
        )

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return super().schema() | {"type": ["array", "string", "boolean"]}


_TRUTHS = (("true",), ("false",))
