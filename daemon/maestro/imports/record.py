"""What a foreign file says, setting by setting; what became of each; and the unit files that came out."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from maestro.model.plain import Plain

Grade = Literal["exact", "approximated", "dropped"]


class CannotImport(Exception):
    """The only error of this package: a sentence that says why a file cannot be read at all."""


class Record(Struct, frozen=True):
    """One setting. It is told of by the line that it begins in."""

    file: str
    line: int
    section: str
    key: str  # empty for what is no setting: the heading of a section, a line that makes no sense
    value: Plain
    reset: bool = False  # forgets what was said under this key before


class Remark(Struct, frozen=True):
    """What became of one setting. Line 0: of the file as a whole."""

    file: str
    line: int
    key: str
    grade: Grade
    words: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.grade}: {self.key}: {self.words}"


class Imported(Struct, frozen=True):
    """A unit file, and what became of each setting that it was made from. Without a text, nothing came out."""

    file: str
    text: str
    remarks: tuple[Remark, ...]


class Rough(Struct, frozen=True):
    """A value that is not quite what was said, and how it differs. None: nothing is left of it."""

    value: Plain
    words: str


def dropped(record: Record, words: str) -> Remark:
    return Remark(record.file, record.line, record.key or f"[{record.section}]", "dropped", words)
