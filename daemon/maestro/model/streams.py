"""What an agent's standard input, output and error are: a word, or a kind of opening and a path."""

from __future__ import annotations

from typing import ClassVar

from maestro.model.plain import Mistake, shorten
from maestro.model.values import Word

_LATER = {
    "socket": "a socket as a standard stream is not supported yet by this version",
    "fd": "a socket as a standard stream is not supported yet by this version",
    "data": "write it to a file, and name that",
}
_TERMINALS = ("tty", "tty-force", "tty-fail")
_LOGGERS = ("journal", "kmsg", "syslog", "journal+console", "kmsg+console")


class Stream(Word):
    __slots__ = ("kind", "path")
    kind: str
    path: str
    words: ClassVar[tuple[str, ...]] = ()
    openings: ClassVar[tuple[str, ...]] = ()  # each followed by a path

    def __new__(cls, text: str) -> Stream:
        kind, colon, path = text.partition(":")
        if kind in cls.openings and colon:
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
        return (
            _LATER.get(kind)
            or f"write one of {', '.join((*cls.words, *(f'{o}:/PATH' for o in cls.openings)))}"
        )


class StandardInput(Stream):
    __slots__ = ()
    expected: ClassVar[str] = "null or file:/PATH"
    examples: ClassVar[tuple[str, ...]] = ("null", "file:/srv/questions.txt")
    words: ClassVar[tuple[str, ...]] = ("null",)
    openings: ClassVar[tuple[str, ...]] = ("file",)


class StandardOutput(Stream):
    __slots__ = ()
    expected: ClassVar[str] = "log, null, or file:, append: or truncate: and a path"
    examples: ClassVar[tuple[str, ...]] = ("log", "null", "append:/srv/out.txt")
    words: ClassVar[tuple[str, ...]] = ("log", "null")
    openings: ClassVar[tuple[str, ...]] = ("file", "append", "truncate")


class StandardError(Stream):
    __slots__ = ()
    expected: ClassVar[str] = "inherit, log, null, or file:, append: or truncate: and a path"
    examples: ClassVar[tuple[str, ...]] = ("inherit", "log", "append:/srv/errors.txt")
    words: ClassVar[tuple[str, ...]] = ("inherit", "log", "null")
    openings: ClassVar[tuple[str, ...]] = ("file", "append", "truncate")
