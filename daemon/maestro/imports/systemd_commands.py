"""Exec lines of systemd as commands of ours: marks, several in one line, escapes."""

from __future__ import annotations

import re

from maestro.imports.record import Record, Rough
from maestro.imports.table import Scope
from maestro.imports.values import said
from maestro.model.command import split_words
from maestro.model.plain import Mistake, Plain, shorten

_TOKEN = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')+""", re.DOTALL)
_NO_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\(?=[^abfnrtvs;xuU0-7\\\"'\s])")
_MARKS = "@-:+!|"


def full_name(value: str) -> str:
    """%n is a name with its suffix to systemd, and without to Maestro."""
    return re.sub(r"%(.)", lambda found: "%n.service" if found[1] == "n" else found[0], value)


def commands(value: str) -> list[str]:
    """One command each: a `;` that stands alone divides them."""
    value = full_name(value)
    if _TOKEN.sub("", value).strip():
        raise Mistake("a quote is never closed, or the line ends in a backslash")
    found: list[str] = []
    command: list[str] = []
    for token in [*_TOKEN.findall(value), ";"]:
        if token != ";":
            command.append(token)
        elif command:
            found.append(_NO_ESCAPE.sub(r"\\\g<0>", " ".join(command)))
            command = []
    for one in found:
        split_words(one)
    return found


class Marked:
    """A command and the marks before its program."""

    def __init__(self, command: str) -> None:
        bare = command.lstrip(_MARKS)
        self.marks = command[: len(command) - len(bare)]
        if self.marks.endswith("!!"):  # `!` where the kernel has no ambient capabilities: all have them now
            self.marks = self.marks.replace("!!", "")
        self.words: list[str] = []
        if "@" in self.marks:
            words = _TOKEN.findall(bare)
            bare = " ".join(words[:1] + words[2:])
            self.marks = self.marks.replace("@", "")
            self.words.append("the name that `@` gives the process is left out")
        if "|" in self.marks:
            raise Mistake(f"{shorten(command)} is run by a shell for its `|`", "write /bin/sh -c '…'")
        if not bare:
            raise Mistake("a command has marks and no program")
        self.bare = bare

    @property
    def lost(self) -> list[str]:
        """What is not the same where no marks may be."""
        found = []
        if "-" in self.marks:
            found.append("the `-` is left out: a failure of the process is one")
        if "+" in self.marks or "!" in self.marks:
            found.append("the `+` or `!` is left out: it runs as the unit's user")
        return found

    @property
    def around(self) -> str:
        return self.marks + self.bare


def around(record: Record, scope: Scope) -> Plain:
    """Commands around the process, which may have marks."""
    found = [Marked(one) for one in commands(said(record))]
    return _told([one.around for one in found], [word for one in found for word in one.words])


def main(record: Record, scope: Scope) -> Plain:
    """Commands that are the process. Those of a oneshot may have marks, others may not."""
    if scope.variables.get("type") == "oneshot":
        return around(record, scope)
    found = [Marked(one) for one in commands(said(record))]
    return _told([_unmarked(one) for one in found], [word for one in found for word in one.words + one.lost])


def _told(lines: list[str], words: list[str]) -> Plain:
    return Rough(lines or None, "; ".join(words)) if words else lines or None


def _unmarked(one: Marked) -> str:
    if ":" not in one.marks:
        return one.bare
    program, *rest = _TOKEN.findall(one.bare)
    return " ".join([program, *(word.replace("$", "$$") for word in rest)])
