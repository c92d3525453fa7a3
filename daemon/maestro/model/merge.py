"""The pieces of a unit as one: its file, and what is laid over it by the environment and by drop-ins.

Mappings merge, lists append, anything else is replaced; `!reset` replaces lists and mappings too, and with
nothing behind it takes away what was set before. Every value keeps the mark of the piece that it came from.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from maestro.model.option import describe, item_type, subsections, without_none
from maestro.model.plain import Mark, Path, Plain, kind_of
from maestro.model.problem import Problem
from maestro.model.yaml_events import Parsed

_NOTHING = (None, "")


def merge(pieces: Sequence[Parsed], lists: Container[Path]) -> Parsed:
    """One of all; `lists` are the options that grow. It is broken when a piece is."""
    problems = [problem for piece in pieces for problem in (*piece.problems, *_misplaced(piece, pieces[0]))]
    broken = any(piece.broken for piece in pieces)
    base, *above = pieces
    if not above or broken:
        return replace(base, problems=tuple(problems), broken=broken)
    whole = _Whole(base, lists)
    for piece in above:
        if isinstance(piece.data, dict):
            whole.lay(piece)
    return Parsed(whole.data, whole.marks, tuple(problems), path=base.path)


@cache
def lists(file: type[Struct], sections: tuple[tuple[str, type[Struct]], ...] = ()) -> frozenset[Path]:
    """The options of a kind of file, and of what plugins declared, that a further piece adds to."""
    found: set[Path] = set()
    todo: list[tuple[Path, type[Struct]]] = [((), file), *(((name,), section) for name, section in sections)]
    while todo:
        at, section = todo.pop()
        found.update((*at, option.name) for option in describe(section) if _grows(without_none(option.type)))
        todo.extend(((*at, inner.name), inner.type) for inner in subsections(section))
    return frozenset(found)


def _grows(hint: object) -> bool:
    return item_type(hint) is not None or getattr(hint, "appends", False)


def _misplaced(piece: Parsed, base: Parsed) -> list[Problem]:
    """What can be said of one piece alone."""
    if piece is base:
        where = sorted((piece.marks[at] for at in piece.resets if at in piece.marks), key=lambda m: m.line)
        message = "!reset has nothing to replace: this is the unit's own file"
        return [Problem(piece.path, m.line, m.column, "", message, "leave it out") for m in where]
    if piece.broken or piece.data is None or isinstance(piece.data, dict):
        return []
    mark = piece.marks[()]
    message = f"expected sections, found {kind_of(piece.data)}"
    return [Problem(piece.path, mark.line, mark.column, "", message, "begin with a section such as `agent:`")]


class _Whole:
    """What the pieces so far come to."""

    def __init__(self, base: Parsed, lists: Container[Path]) -> None:
        self.data: Plain = dict(base.data) if isinstance(base.data, dict) else base.data
        self.marks = dict(base.marks)
        self._lists = lists

    def lay(self, piece: Parsed) -> None:
        if self.data is None:
            self.data = {}
        if isinstance(self.data, dict):
            self._over(self.data, (), piece, piece.data)

    def _over(self, below: dict[str, Plain], at: Path, piece: Parsed, above: dict[str, Plain]) -> None:
        """`below` is ours already, and may be changed."""
        for key, value in above.items():
            path = (*at, key)
            before = below.get(key)
            if path in piece.resets:
                self._forget(path)
                below.pop(key, None)
                before = None
                if value in _NOTHING:
                    continue
            if isinstance(value, dict):
                if not isinstance(before, dict):
                    self._forget(path)
                    self._keep(path, piece, path)
                below[key] = dict(before) if isinstance(before, dict) else {}
                self._over(below[key], path, piece, value)
            elif before is not None and path in self._lists and value is not None:
                below[key] = self._joined(path, before, value, piece)
            elif not (value is None and isinstance(before, dict)):  # a section that is all comments
                self._forget(path)
                below[key] = value
                self._take(path, piece, path)

    def _joined(self, path: Path, before: Plain, value: Plain, piece: Parsed) -> list[Plain]:
        """Two lists as one. What is no list is one of one item, which has the mark of the whole."""
        if not isinstance(before, list):
            self.marks[(*path, 0)] = self.marks[path]
            before = [before]
        self._keep(path, piece, path)
        if not isinstance(value, list):
            self._keep(path, piece, (*path, len(before)))
            return [*before, value]
        for place in range(len(value)):
            self._take((*path, place), piece, (*path, len(before) + place))
        return [*before, *value]

    def _forget(self, path: Path) -> None:
        for at in [at for at in self.marks if at[: len(path)] == path]:
            del self.marks[at]

    def _keep(self, at: Path, piece: Parsed, to: Path) -> None:
        self.marks[to] = _of(piece.marks[at], piece)

    def _take(self, path: Path, piece: Parsed, to: Path) -> None:
        """The marks of a value and of all that is in it."""
        for at, mark in piece.marks.items():
            if at[: len(path)] == path:
                self.marks[(*to, *at[len(path) :])] = _of(mark, piece)


def _of(mark: Mark, piece: Parsed) -> Mark:
    return replace(mark, path=piece.path)
