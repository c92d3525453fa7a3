"""YAML text to plain data and a mark for every place in it, from libyaml's events.

The core schema of YAML 1.2: `on`, `no` and `1:30` are text. Bounded in size, depth and number of nodes, so
that no file can harm the manager: `yaml.load` of 30,000 brackets kills the interpreter. Never raises: what is
wrong is a `Problem`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NoReturn

import yaml
from msgspec import Struct

from maestro.model.credentials import REDACTED, SECRET
from maestro.model.plain import Mark, Path, Plain, shorten
from maestro.model.problem import Problem

LARGEST = 1 << 20  # bytes
DEEPEST = 32
MOST_NODES = 10_000  # in the whole file, with every alias counted as often as it is used

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CORE = re.compile(
    r"(?P<null>~|null|Null|NULL|)|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    r"|(?P<integer>[-+]?[0-9]+)|0o(?P<octal>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)"
    r"|(?P<real>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<infinite>[-+]?\.(?:inf|Inf|INF))|(?P<nan>\.(?:nan|NaN|NAN))"
)
_BEGINNINGS = frozenset("~nNtTfF0123456789+-.")  # of all but texts; most values are texts
# Line breaks to libyaml but to no editor are refused too: after one, every line number would be off.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
MOST_PROBLEMS = 100

_LONGEST_NUMBER = 40  # digits; more is not a number that anyone means, and int() of it is slow


class Parsed(Struct, frozen=True):
    """What a file says. `data` is None when it is empty, or `broken`."""

    data: Plain
    marks: Mapping[Path, Mark]
    problems: tuple[Problem, ...]
    broken: bool = False
    path: str = ""
    resets: frozenset[Path] = frozenset()  # values that replace what other pieces say: tagged `!reset`


def parse(text: bytes, path: str) -> Parsed:
    """Read one YAML document."""
    if len(text) > LARGEST:
        return _refused(path, 1, 1, f"the file has {len(text):,} bytes: {LARGEST:,} are allowed")
    try:
        characters = text.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, column = _place(text[: error.start].decode("utf-8", "replace"))
        return _refused(
            path, line, column, f"byte 0x{text[error.start]:02x} is not UTF-8", "save the file as UTF-8"
        )
    if (bad := _UNPRINTABLE.search(characters)) is not None:
        line, column = _place(characters[: bad.start()])
        code = ord(bad[0])
        hint = f'write "\\u{code:04x}" in double quotes' if code else "no value may contain it"
        return _refused(
            path, line, column, f"the control character U+{code:04X} may not stand in the file", hint
        )
    return _Builder(path, characters).build()


def _refused(path: str, line: int, column: int, message: str, hint: str = "") -> Parsed:
    return Parsed(None, {}, (Problem(path, line, column, "", message, hint),), broken=True)


def _place(before: str) -> tuple[int, int]:
    """Line and column of what follows this text."""
    lines = re.split("\r\n|\r|\n", before)
    return len(lines), len(lines[-1]) + 1


def core_value(text: str) -> Plain:
    """What a plain scalar means in the core schema."""
    if text and text[0] not in _BEGINNINGS:
        return text
    match = _CORE.fullmatch(text)
    if match is None or match.lastgroup is None:
        return text
    if match.lastgroup in ("integer", "octal", "hex") and len(text) > _LONGEST_NUMBER:
        return text
    return _MEANINGS[match.lastgroup](match[match.lastgroup])


_MEANINGS: Mapping[str, Callable[[str], Plain]] = {
    "null": lambda text: None,
    "true": lambda text: True,
    "false": lambda text: False,
    "integer": int,
    "octal": lambda text: int(text, 8),
    "hex": lambda text: int(text, 16),
    "real": float,
    "infinite": lambda text: float(text.replace(".", "")),
    "nan": lambda text: float("nan"),
}


_RESET = "!reset"  # the one tag that there is
_NOWHERE = "\0"  # in the path of what is not taken: no key can be this


class _Stop(Exception):
    """The file cannot be read on."""


class _Open(Struct):
    """A list or mapping that is being filled."""

    value: Any
    path: Path
    anchor: str | None
    nodes_before: int
    key: str | None = None
    key_line: int = 0
    key_column: int = 0
    skip: bool = False  # the value of a key that is not taken


class _Anchored(Struct, frozen=True):
    value: Plain
    path: Path
    nodes: int


class _Builder:
    """Takes the events of one document in turn. A stack, no recursion."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._problems: list[Problem] = []
        self._marks: dict[Path, Mark] = {}
        self._anchors: dict[str, _Anchored] = {}
        self._resets: set[Path] = set()
        self._stack: list[_Open] = []
        self._root: Plain = None
        self._nodes = 0
        self._documents = 0

    def build(self) -> Parsed:
        loader = _Loader(self._text)
        try:
            while (event := loader.get_event()) is not None:
                takes = _TAKES.get(type(event))
                if takes is not None:
                    takes(self, event)
        except _Stop:
            return self._parsed(None, broken=True)
        except yaml.YAMLError as error:
            self._syntax(error)
            return self._parsed(None, broken=True)
        finally:
            loader.dispose()
        return self._parsed(self._root)

    def _parsed(self, data: Plain, *, broken: bool = False) -> Parsed:
        return Parsed(data, self._marks, tuple(self._problems), broken, self._path, frozenset(self._resets))

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(event, "a second document begins here", "keep one document in a file")

    def _scalar(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        self._check_tag(event)
        self._count(event, 1)
        if "\0" in event.value:
            self._blame(event, "a value may not contain a NUL character")
        if top is not None and top.key is None and isinstance(top.value, dict):
            self._key(top, event)
            return
        plain = bool(event.implicit[0]) or (event.tag == _RESET and not event.style)
        text = event.value.replace("\0", "\ufffd")  # said once, here
        value = core_value(text) if plain else text
        path = self._put(event, value, event.value if plain else "")
        self._note_reset(event, path)
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, path, 1)

    def _key(self, top: _Open, event: Any) -> None:
        key = event.value
        top.key, top.skip = key, False
        if event.tag is not None:
            self._blame(event, "a key may not have a tag", f"write the tag behind the colon: {key}: {_RESET}")
        top.key_line, top.key_column = event.start_mark.line + 1, event.start_mark.column + 1
        if event.implicit[0] and not isinstance(core_value(key), str):
            top.skip = True
            self._blame(
                event, f"the key {shorten(key)} is not a text", f'quote it: "{key}"' if key else "write a key"
            )
        elif key in top.value:
            top.skip = True
            mark = self._marks[(*top.path, key)]
            self._blame(
                event,
                f"the key {shorten(key)} is given twice, first in line {mark.key_line}",
                "keep one of the two",
            )
        elif event.anchor:
            self._blame(event, "a key may not have an anchor", f"leave out &{event.anchor}")

    def _put(self, event: Any, value: Plain, text: str = "") -> Path:
        """Add a value to what is being filled; its path."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if value is None:  # libyaml has what is left out behind the last line, if it is the last
            line, column = self._within(line - 1, column - 1)
        if not self._stack:
            self._root = value
            self._marks[()] = Mark(line, column, line, column, text)
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            path: Path = (*top.path, len(top.value))
            top.value.append(value)
            self._marks[path] = Mark(line, column, line, column, text)
            return path
        assert top.key is not None
        path = (*top.path, top.key)
        if not top.skip:
            top.value[top.key] = value
            self._marks[path] = Mark(line, column, top.key_line, top.key_column, text)
        top.key = None
        return (*top.path, _NOWHERE) if top.skip else path

    def _begin(self, event: Any) -> None:
        self._check_tag(event)
        self._count(event, 1)
        if len(self._stack) >= DEEPEST:
            self._stop(event, f"nested deeper than {DEEPEST} levels")
        self._refuse_as_key(event, "a list or mapping")
        value: Plain = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._put(event, value)
        self._note_reset(event, path)
        self._stack.append(_Open(value, path, event.anchor, self._nodes - 1))

    def _end(self, event: Any) -> None:
        done = self._stack.pop()
        if done.anchor:
            # Known only now, so nothing can contain itself.
            self._anchors[done.anchor] = _Anchored(done.value, done.path, self._nodes - done.nodes_before)

    def _alias(self, event: Any) -> None:
        self._refuse_as_key(event, "an alias")
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            self._stop(event, f"*{self._shown(event.anchor)} refers to nothing that is complete before it")
        self._count(event, anchored.nodes)
        path = self._put(event, anchored.value)
        mark = self._marks.get(path)
        if mark is not None:
            self._copy_marks(anchored, path, mark)

    def _copy_marks(self, anchored: _Anchored, path: Path, mark: Mark) -> None:
        """What stands at an alias is at the alias's place, with the text of what it refers to."""
        todo: list[tuple[Path, Plain]] = [((), anchored.value)]
        while todo:
            at, value = todo.pop()
            origin = self._marks.get((*anchored.path, *at))
            text = origin.text if origin else ""
            key = (mark.key_line, mark.key_column) if not at else (mark.line, mark.column)
            self._marks[(*path, *at)] = Mark(mark.line, mark.column, *key, text)
            if isinstance(value, dict):
                todo.extend(((*at, name), inner) for name, inner in value.items())
            elif isinstance(value, list):
                todo.extend(((*at, place), inner) for place, inner in enumerate(value))

    def _refuse_as_key(self, event: Any, what: str) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.key is None and isinstance(top.value, dict):
            self._stop(event, f"{what} cannot be a key", "write a plain word")

    def _check_tag(self, event: Any) -> None:
        if event.tag is None:
            return
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        if tag != _RESET:
            self._blame(
                event,
                f"the tag {shorten(self._shown(tag))} is not supported",
                "leave it out; quote a value that begins with ! to make it text",
            )

    def _shown(self, word: str) -> str:
        """A word for a message; nothing of what may be a secret that was not quoted."""
        top = self._stack[-1] if self._stack else None
        return REDACTED if top is not None and SECRET in (*top.path, top.key) else word

    def _note_reset(self, event: Any, path: Path) -> None:
        if event.tag != _RESET:
            return
        self._resets.add(path)
        if not path or isinstance(path[-1], int):
            self._blame(event, f"{_RESET} replaces an option or a section, nothing else", "leave it out")

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            self._stop(event, f"the file has more than {MOST_NODES:,} values, each use of an alias counted")

    def _blame(self, event: Any, message: str, hint: str = "") -> None:
        line, column = self._within(event.start_mark.line, event.start_mark.column)
        self._problems.append(Problem(self._path, line, column, "", message, hint))

        if len(self._problems) >= MOST_PROBLEMS:
            raise _Stop

    def _stop(self, event: Any, message: str, hint: str = "") -> NoReturn:
        self._blame(event, message, hint)
        raise _Stop

    def _syntax(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = self._within(mark.line, mark.column) if mark else (1, 1)
        said = [part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part]
        message = ", ".join(said) or "it cannot be read"
        self._problems.append(
            Problem(self._path, line, column, "", f"not YAML: {message}", self._hint(message, line))
        )

    def _hint(self, message: str, line: int) -> str:
        lines = self._lines
        if "\t" in lines[line - 1] and "start any token" in message:
            return "indent with spaces, not with tabs"
        if "mapping values are not allowed" in message:
            return "quote a value that contains ': '"
        if "cannot start any token" in message:
            return "quote a value that begins with one of %@`"
        return ""

    def _within(self, line: int, column: int) -> tuple[int, int]:
        """Counted from 1, and inside the file: libyaml puts what is missing behind the last line."""
        lines = self._lines
        if line >= len(lines) or (line == len(lines) - 1 and not lines[line] and line > 0):
            last = max((number for number, written in enumerate(lines) if written.strip()), default=0)
            return last + 1, len(lines[last]) + 1
        return line + 1, min(column, len(lines[line])) + 1

    @cached_property
    def _lines(self) -> list[str]:
        return re.split("\r\n|\r|\n", self._text)


_TAKES: Mapping[type, Callable[[_Builder, Any], None]] = {
    yaml.ScalarEvent: _Builder._scalar,
    yaml.MappingStartEvent: _Builder._begin,
    yaml.SequenceStartEvent: _Builder._begin,
    yaml.MappingEndEvent: _Builder._end,
    yaml.SequenceEndEvent: _Builder._end,
    yaml.AliasEvent: _Builder._alias,
    yaml.DocumentStartEvent: _Builder._document,
}
