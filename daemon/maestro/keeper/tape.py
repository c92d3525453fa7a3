"""A tape: system calls that spawn.c makes one after the other, for what a child is to become before its exec.

Each is a number with up to six arguments: numbers, addresses of what is on the tape as well, or registers, in which an earlier one
left its result. What a step would decide is decided beforehand, or it is an error that is tolerated, and says where to go on.
"""

from __future__ import annotations

import os
from _struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Operation = tuple[int, int, int, "Label | None", Mapping[int, "Label | None"], list[int]]

_CALLS = {  # as x86_64 and as most others number them
    "capset": (126, 91),
    "chdir": (80, 49),
    "execve": (59, 221),
    "faccessat": (269, 48),
    "ioctl": (16, 29),
    "mkdirat": (258, 34),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "newfstatat": (262, 79),
    "open_tree": (428, 428),
    "openat": (257, 56),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "rt_sigaction": (13, 134),
    "seccomp": (317, 277),
    "setgroups": (116, 159),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "socket": (41, 198),
    "symlinkat": (266, 36),
    "umask": (95, 166),
    "unshare": (272, 97),
    "write": (1, 64),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(os.uname().machine, 1)
NUMBERS = {name: columns[_COLUMN] for name, columns in _CALLS.items()}
NUMBERS |= {"skip": -1, "have": -2}  # SKIP, HAVE of spawn.c

_AT = 0x1000000000  # where it is in the memory of who plays it; TAPE of spawn.c
SAID = 4096  # bytes for the number of the error by which it failed
_HEAD = Struct("=IIq")  # version, how many operations, where they are
_OPERATION = Struct("=hhhh8h6q")
_REGISTERS = 128
_SCRATCH = SAID + _HEAD.size + 8 * _REGISTERS  # where a call may put what nobody reads: a struct stat
_ROOM = 256
_START = _SCRATCH + _ROOM
SCRATCH = _AT + _SCRATCH
_PAD = tuple((0,) * (8 - given) for given in range(9))
_REST = tuple((0,) * (6 - given) for given in range(7))  # of its arguments
_PLAIN = Struct("=hhh18x6q").pack  # one that goes on with the next, and tolerates nothing
ANY = -1  # error
NEVER: Mapping[int, Label | None] = {}  # is an error tolerated


class Register(int):
    """What an earlier operation left in it; -1 where that failed, or was not made."""


class Label:
    """A place on a tape to go on at."""

    __slots__ = ("place",)

    def __init__(self) -> None:
        self.place = -1


class TooLong(ValueError):
    """It does not fit on a tape."""


def _text(text: str) -> bytes:
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded + b"\0"


class Tape:
    """While it is made."""

    def __init__(self) -> None:
        self._operations: list[bytes | Operation] = []
        self._data = bytearray()
        self._texts: dict[str | bytes, int] = {}  # or data -> its address
        self._registers = 0

    def do(
        self,
        call: str,
        *arguments: int | str,
        result: int = -1,
        then: Label | None = None,
        on: Mapping[int, Label | None] = NEVER,
    ) -> None:
        """Add one. `then`: where to go on if it goes well; `on`: errors that are tolerated, and where to go on then (None: next).

        Texts are passed by their addresses.
        """
        registers, given = 0, []
        for place, one in enumerate(arguments):
            if isinstance(one, Register):
                registers |= 1 << place
            given.append(one if isinstance(one, int) else self._texts.get(one) or self.text(one))
        given += _REST[len(given)]
        if then is None and not on:
            self._operations.append(_PLAIN(NUMBERS[call], result, registers, *given))
        else:
            self._operations.append((NUMBERS[call], result, registers, then, on, given))

    def unless(self, register: Register, label: Label) -> None:
        """Go on at the label where that register has nothing."""
        self.do("have", int(register), on={ANY: label})

    def go(self, label: Label) -> None:
        self.do("skip", then=label)

    def here(self, label: Label) -> None:
        """This is where the label is."""
        label.place = len(self._operations)

    def register(self) -> Register:
        self._registers += 1
        if self._registers > _REGISTERS:
            raise TooLong
        return Register(self._registers - 1)

    def text(self, text: str) -> int:
        """Its address; what is there already is not written again."""
        if text not in self._texts:
            self._texts[text] = self._place(_text(text))
        return self._texts[text]

    def data(self, data: bytes) -> int:
        """The address of what the kernel reads as words of its own."""
        if data not in self._texts:
            self._data += b"\0" * (-len(self._data) % 8)
            self._texts[data] = self._place(data)
        return self._texts[data]

    def _place(self, data: bytes) -> int:
        address = _AT + _START + len(self._data)
        self._data += data
        return address

    def __len__(self) -> int:
        return len(self._operations)

    def packed(self) -> bytes:
        return b"".join(
            one if isinstance(one, bytes) else _packed(place, one)
            for place, one in enumerate(self._operations)
        )

    def finished(self) -> Finished:
        return Finished(bytes(self._data), self.packed())


def _packed(place: int, operation: Operation) -> bytes:
    number, result, registers, then, on, given = operation
    tolerated: list[int] = []
    for error, label in on.items():
        tolerated += error, 0 if label is None else label.place - place - 1
    skipped = 0 if then is None else then.place - place - 1
    return _OPERATION.pack(number, result, registers, skipped, *tolerated, *_PAD[len(tolerated)], *given)


class Finished:
    """All of a tape but its last operation, which differs from start to start: the exec."""

    __slots__ = ("_data", "_operations")

    def __init__(self, data: bytes, operations: bytes) -> None:
        self._data = data + b"\0" * (-len(data) % 8)
        self._operations = operations

    def __len__(self) -> int:
        return len(self._data) + len(self._operations)

    def ending(self, version: int, programs: list[str], argv: tuple[str, ...], env: list[str]) -> bytes:
        """The whole tape, which ends with the first of the programs that can be executed."""
        data, at = bytearray(), _AT + _START + len(self._data)
        pointers = []
        for text in (*argv, "", *env, "", *programs):
            pointers.append(at + len(data))
            data += _text(text)
        data += b"\0" * (-len(data) % 8)
        arrays = at + len(data)
        pointers[len(argv)] = pointers[len(argv) + 1 + len(env)] = 0  # these end the arrays
        words = pointers[: len(argv) + len(env) + 2]
        variables = arrays + 8 * (len(argv) + 1)
        execs = b"".join(
            _exec(program, arrays, variables, last=number == len(programs))
            for number, program in enumerate(pointers[len(words) :], 1)
        )
        data += b"".join(_WORD.pack(word) for word in words)
        count = (len(self._operations) + len(execs)) // _OPERATION.size
        head = _HEAD.pack(version, count, at + len(data))
        room = b"\xff" * 8 * _REGISTERS + b"\0" * _ROOM
        return b"".join((b"\0" * SAID, head, room, self._data, data, self._operations, execs))


_WORD = Struct("=q")
_NOT_THERE = (2, 0, 20, 0, 13, 0, 0, 0)  # ENOENT, ENOTDIR, EACCES: a later directory may have it all the same


def _exec(program: int, argv: int, env: int, *, last: bool) -> bytes:
    tolerated = (0,) * 8 if last else _NOT_THERE
    return _OPERATION.pack(NUMBERS["execve"], -1, 0, 0, *tolerated, program, argv, env, 0, 0, 0)
