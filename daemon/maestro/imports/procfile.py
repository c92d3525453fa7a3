"""Procfile: `NAME: command`, which a shell runs."""

from __future__ import annotations

import re
from collections.abc import Collection

from maestro.imports.engine import Draft, all_dropped, made
from maestro.imports.record import Imported, Record, Rough
from maestro.imports.shell_words import by_shell
from maestro.imports.table import Rule, Scope
from maestro.imports.values import said
from maestro.model.plain import Mistake, Plain

WHAT = "Procfile"
_LINE = re.compile(r"([A-Za-z0-9_-]+)\s*:\s*(.*)")
_DEFAULTS: dict[str, Plain] = {
    "agent.type": "simple",
    "resources.memory_max": "infinity",
    "resources.tasks_max": "infinity",
}


def _command(record: Record, scope: Scope) -> Plain:
    if not said(record):
        raise Mistake("the command is empty")
    words = (
        "$PORT and the variables of .env are not set: write environment or environment_file"
        if "$" in said(record)
        else ""
    )
    line = by_shell(said(record))
    return Rough(line, words) if words else line


TABLE = {
    "command": Rule("agent.exec", _command, "it starts in /: write working_directory where that matters")
}


def imported(content: bytes, path: str, around: Collection[str]) -> list[Imported]:
    """A unit for each line. Never raises."""
    found: list[Imported] = []
    seen: set[str] = set()
    for line, raw in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or match[1] in seen:
            why = (
                "this is not NAME: COMMAND"
                if match is None
                else f"{match[1]} is given twice: the first counts"
            )
            found.append(all_dropped("", [Record(path, line, text[:40], "", "")], why))
            continue
        seen.add(match[1])
        record = Record(path, line, match[1], "command", match[2])
        found.append(made(Draft(
            file=f"{match[1]}.agent.yaml", what=WHAT, records=[record], table=TABLE, scope=Scope(match[1], around),
            defaults=_DEFAULTS, needs="agent.exec", heading=f"Imported from {match[1]} of a Procfile.",
        )))  # fmt: skip
    return found
