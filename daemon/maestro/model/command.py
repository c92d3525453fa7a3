"""Command lines: a list, or a string split as systemd.service(5) says under "COMMAND LINES". No shell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

from maestro.model.plain import Fault, Given, Mistake, Plain, is_scalar, kind_of, many, shorten

_BLANK = " \t\r\n"
_SIMPLE = {
    "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39, "s": 32, ";": 59,
}  # fmt: skip
_CODED = re.compile(
    r"x(?P<hex>[0-9A-Fa-f]{2})|(?P<octal>[0-7]{3})|u(?P<short>[0-9A-Fa-f]{4})|U(?P<long>[0-9A-Fa-f]{8})"
)
_JOINED_LINES = re.compile(r"(\\\\)|\\\r?\n")  # a backslash at the end of a line, unless it is one of two
_PREFIXES = "@-:+!|"  # systemd's marks before the program
_MOST_BYTES = 128 << 10  # what Linux takes as one argument


def split_words(text: str) -> list[str]:
    """A command line in its words. Quotes group, and are taken away; a backslash begins an escape as in C."""
    words: list[str] = []
    text = _JOINED_LINES.sub(lambda found: found[1] or " ", text)
    place = _skip_blanks(text, 0)
    while place < len(text):
        word, end = _word(text, place)
        if text[place:end] == ";":
            raise Mistake(
                "a ';' that stands alone would end the command, and one command is all there is",
                "write \\; or ';'",
            )
        words.append(word)
        place = _skip_blanks(text, end)
    return words


def _skip_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place] in _BLANK:
        place += 1
    return place


def _word(text: str, place: int) -> tuple[str, int]:
    """The word that begins here, and where it ends."""
    word = bytearray()
    quote = ""
    while place < len(text):
        character = text[place]
        place += 1
        if character == "\\":
            escaped, place = _escape(text, place)
            word += escaped
        elif quote and character == quote:
            quote = ""
        elif quote or character not in "\"'" + _BLANK:
            word += character.encode("utf-8", "surrogatepass")
        elif character in _BLANK:
            place -= 1
            break
        else:
            quote = character
    if quote:
        raise Mistake(f"a quote {quote} is never closed", f"close it, or write \\{quote}")
    return _decoded(word), place


def _decoded(word: bytearray) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise Mistake("the escapes in a word do not make up UTF-8") from None


def _escape(text: str, place: int) -> tuple[bytes, int]:
    """The bytes that an escape stands for; `place` is behind the backslash."""
    if place >= len(text):
        raise Mistake("the line ends in a '\\'", "write \\\\ for a backslash")
    if text[place] in _SIMPLE:
        return bytes([_SIMPLE[text[place]]]), place + 1
    match = _CODED.match(text, place)
    if match is None:
        raise Mistake(
            f"there is no escape \\{text[place]}", f"write \\\\{text[place]}, or give the command as a list"
        )
    byte, rune = match["hex"], match["short"] or match["long"]
    number = int(match["octal"], 8) if match["octal"] else int(byte or rune, 16)
    if number == 0 or number > (0x10FFFF if rune else 255) or 0xD800 <= number <= 0xDFFF:
        raise Mistake(f"\\{match[0]} stands for no character")
    return (chr(number).encode() if rune else bytes([number])), match.end()


class CommandLine(tuple[str, ...]):
    """A program and its arguments."""

    __slots__ = ()
    expected: ClassVar[str] = "a command: a list such as [/bin/echo, hello], or a string"
    prefixes: ClassVar[str] = ""  # marks that may stand before the program

    def __new__(cls, words: Iterable[str] | str) -> CommandLine:
        return super().__new__(cls, split_words(words) if isinstance(words, str) else words)

    @classmethod
    def read(cls, given: Given) -> Self:
        plain = given.plain
        if isinstance(plain, str):
            words = split_words(plain)
        elif isinstance(plain, list):
            words = _words(given, plain)
        else:
            raise Mistake(f"expected {cls.expected}, found {kind_of(plain)}")
        faults: list[Fault] = []
        resolved = []
        for place, word in enumerate(words):
            try:
                resolved.append(_checked(given.resolve(word), first=place == 0, prefixes=cls.prefixes))
            except Mistake as mistake:
                at = (place,) if isinstance(plain, list) else ()
                faults.extend(Fault(f.message, f.hint, at) for f in mistake.faults)
        if faults:
            raise many(faults)
        return cls(resolved)

    def show(self) -> Plain:
        return list(self)

    @classmethod
    def schema(cls) -> dict[str, Plain]:
        return {
            "type": ["array", "string"],
            "items": {"type": ["string", "number", "boolean"]},
            "examples": [["/bin/echo", "hello"]],
        }


class Command(CommandLine):
    """A command around the main process: a program and its arguments, with systemd's marks before the program."""

    __slots__ = ()
    prefixes: ClassVar[str] = "-+!:"
    repeats: ClassVar[bool] = True  # in a list, the same twice is run twice

    @property
    def marks(self) -> str:
        program = self[0] if self else ""
        return program[: len(program) - len(program.lstrip(self.prefixes))]

    @property
    def words(self) -> tuple[str, ...]:
        """Program and arguments alone."""
        return (self[0][len(self.marks) :], *self[1:]) if self else ()

    @property
    def is_forgiven(self) -> bool:
        """`-`: a failure counts as success."""
        return "-" in self.marks

    @property
    def is_privileged(self) -> bool:
        """`+` or `!`: it runs as the daemon's own user."""
        return "+" in self.marks or "!" in self.marks

    @property
    def is_verbatim(self) -> bool:
        """`:`: variables are left as they are written."""
        return ":" in self.marks


def _words(given: Given, plain: list[Plain]) -> list[str]:
    faults = [
        Fault(f"expected a word of the command, found {kind_of(item)}", "quote it", (place,))
        for place, item in enumerate(plain)
        if not is_scalar(item)
    ]
    if faults:
        raise many(faults)
    return [given.text(place) for place in range(len(plain))]


def _checked(word: str, *, first: bool, prefixes: str = "") -> str:
    if "\0" in word:
        raise Mistake(f"{shorten(word)} contains a NUL character, which no argument can")
    if len(word.encode("utf-8", "surrogatepass")) >= _MOST_BYTES:
        raise Mistake("an argument is longer than 128 KiB, which Linux does not take")
    program = word.lstrip(prefixes) if first else word
    if first and not program:
        raise Mistake("the program's name is empty", "begin with the path of a program")
    if first and any(ord(c) < 32 or ord(c) == 127 for c in word):
        raise Mistake(f"the program's name {shorten(word)} contains a control character", "leave it out")
    marks = word[: len(word) - len(program)]
    if first and program[0] in _PREFIXES:
        known = f": only {' '.join(prefixes)} are supported here" if prefixes else ""
        raise Mistake(
            f"{shorten(word)} begins with {shorten(program[0])}"
            + (known or ": systemd's prefixes are not supported"),
            "begin with the path of a program",
        )
    if len(set(marks)) != len(marks) or {"+", "!"} <= set(marks):
        raise Mistake(f"{shorten(word)} has two prefixes that say the same", "keep one of them")
    return word


def expand(words: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Variables replaced as systemd does.

    `${NAME}` is replaced inside a word; `$NAME` as a word of its own is split in words, and quotes in it are
    respected and taken away. `$$` is a dollar sign, an unset variable is empty, and the program's name is left
    as it is. Unlike systemd we leave `$` and `$1` as they are: an argument that goes missing is hard to find.
    """
    program, *arguments = words
    expanded = [program]
    for word in arguments:
        if "$" not in word:
            expanded.append(word)
        elif (whole := _WHOLE.fullmatch(word)) is not None:
            expanded.extend(_words_of(environment.get(whole[1], "")))
        else:
            expanded.append(_INSIDE.sub(lambda m: "$" if m[1] is None else environment.get(m[1], ""), word))
    return tuple(expanded)


_WHOLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_INSIDE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|\$)")


def _words_of(value: str) -> list[str]:
    """The words of a variable. Nothing in it is a mistake: a quote that is never closed ends with the value."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(value)
    for character in characters:
        if character == "\\":
            word = (word or "") + next(characters, "")  # it takes away what the next one means
        elif character in (quote or "\"'"):
            quote = "" if quote else character
            word = word or ""
        elif quote or character not in _BLANK:
            word = (word or "") + character
        elif word is not None:
            words.append(word)
            word = None
    return words if word is None else [*words, word]
