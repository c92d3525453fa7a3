"""What an agent's standard input, output and error are: a word, or a kind of opening and what is opened."""

from __future__ import annotations

from typing import ClassVar

from maestro.model.plain import Mistake, shorten
from maestro.model.values import Word

Openings = tuple[tuple[str, str], ...]  # kind, and path or name, of stdin, stdout, stderr

STORED = ("fd", "socket")  # kinds that are descriptors which the agent has left for its next process
_TERMINALS = ("tty", "tty-force", "tty-fail")
_LONGEST_NAME = 255
_LOGGERS = ("journal", "kmsg", "syslog", "journal+console", "kmsg+console")


class Stream(Word):
    __slots__ = ("kind", "path")
    kind: str
    path: str  # of kind fd: the name that it is stored by
    words: ClassVar[tuple[str, ...]] = ()
    openings: ClassVar[tuple[str, ...]] = ()  # each followed by a path
    name: ClassVar[str] = ""  # of the stored descriptor that `fd` alone means

    def __new__(cls, text: str) -> Stream:
        kind, colon, path = text.partition(":")
        if kind == "fd":
            path = path if colon else cls.name
            if not is_descriptor_name(path):
                raise Mistake(f"{shorten(path)} cannot be the name of a descriptor", "write fd:NAME")
        elif kind in cls.openings and colon:
            if not path.startswith("/") or "\0" in path:
                raise Mistake(f"{shorten(path)} is not absolute", f"write {kind}:/PATH")
        elif text not in cls.words:
            raise Mistake(f"{shorten(text)} is not {cls.expected}", cls._hint(kind))
        self = super().__new__(cls, text)
        self.kind, self.path = kind, path
        return self

    @classmethod
    def _hint(cls, kind: str) -> str:
        if kind in _TERMINALS:
            return "an agent has no terminal"
        if kind in _LOGGERS:
            return "Maestro keeps the log: write log"
        if kind == "data":
            return "write it to a file, and name that"
        return f"write one of {', '.join((*cls.words, 'fd:NAME', *(f'{o}:/PATH' for o in cls.openings)))}"


class StandardInput(Stream):
    __slots__ = ()
    expected: ClassVar[str] = "null, socket, fd:NAME or file:/PATH"
    examples: ClassVar[tuple[str, ...]] = ("null", "file:/srv/questions.txt", "socket", "fd:questions")
    words: ClassVar[tuple[str, ...]] = ("null", "socket")
    openings: ClassVar[tuple[str, ...]] = ("file",)
    name: ClassVar[str] = "stdin"


class StandardOutput(Stream):
    __slots__ = ()
    expected: ClassVar[str] = "log, null, inherit, socket, fd:NAME, or file:, append: or truncate: and a path"
    examples: ClassVar[tuple[str, ...]] = ("log", "null", "append:/srv/out.txt", "inherit")
    words: ClassVar[tuple[str, ...]] = ("log", "null", "inherit", "socket")
    openings: ClassVar[tuple[str, ...]] = ("file", "append", "truncate")
    name: ClassVar[str] = "stdout"


class StandardError(Stream):
    __slots__ = ()
    expected: ClassVar[str] = "inherit, log, null, socket, fd:NAME, or file:, append: or truncate: and a path"
    examples: ClassVar[tuple[str, ...]] = ("inherit", "log", "append:/srv/errors.txt")
    words: ClassVar[tuple[str, ...]] = ("inherit", "log", "null", "socket")
    openings: ClassVar[tuple[str, ...]] = ("file", "append", "truncate")
    name: ClassVar[str] = "stderr"


def is_descriptor_name(text: str) -> bool:
    """What LISTEN_FDNAMES can carry, as systemd sees it."""
    return 0 < len(text) <= _LONGEST_NAME and all(" " <= letter <= "~" and letter != ":" for letter in text)


def openings(stdin: Stream, stdout: Stream, stderr: Stream) -> Openings:
    """What is opened: an output that inherits is what the input is, or the log where there is no input."""
    if stdout.kind == "inherit":
        stdout = stdin if stdin.kind != "null" else StandardOutput("log")
    return tuple((one.kind, one.path) for one in (stdin, stdout, stderr))


def without_stored(given: Openings) -> Openings:
    """For a process that gets no stored descriptors."""
    return tuple(
        opening if opening[0] not in STORED else ("log" if number else "null", "")
        for number, opening in enumerate(given)
    )
