"""The lines of systemd's unit files: systemd.syntax(7)."""

from __future__ import annotations

from maestro.imports.record import Record

_COMMENT = ("#", ";")
_BLANK = " \t\r\n\f\v"


def records(content: bytes, path: str, sections: frozenset[str]) -> list[Record]:
    """One for each line that says something. A line that goes on counts where it begins. Never raises."""
    found: list[Record] = []
    section = ""
    for line, said in logical_lines(content.decode("utf-8", "replace").removeprefix("\ufeff")):
        if said.startswith("["):
            section = said[1:-1] if said.endswith("]") else ""
            found.append(Record(path, line, said.strip("[]"), "", _heading(said, sections)))
            continue
        key, equals, value = said.partition("=")
        key, value = key.strip(_BLANK), value.strip(_BLANK)
        if not equals or not key:
            found.append(Record(path, line, said[:60], "", "!this is neither a section nor NAME=VALUE"))
        elif section not in sections:
            words = f"!no such section [{section}] is known" if section else "!it stands in no section"
            found.append(Record(path, line, f"{section}] {key}=", "", words))
        else:
            found.append(Record(path, line, section, key, value, reset=not value))
    return found


def _heading(said: str, sections: frozenset[str]) -> str:
    if not said.endswith("]"):
        return "!a section's name is not closed by ]"
    if said[1:-1].startswith("X-"):
        return "a section for other programs, which systemd leaves alone, too"
    return "a section" if said[1:-1] in sections else f"!no such section {said} is known"


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines that are neither empty nor comments, with the number of each; a backslash at the end is a blank, and the next goes on."""
    found: list[tuple[int, str]] = []
    pending: tuple[int, str] | None = None
    for line, raw in enumerate(text.split("\n"), 1):
        said = raw.strip(_BLANK)
        if said.startswith(_COMMENT):
            continue  # also within a line that goes on
        begun, before = pending or (line, "")
        pending = None
        if raw.rstrip("\r").endswith("\\"):
            pending = (begun, before + raw.rstrip("\r")[:-1] + " ")
        elif whole := (before + raw).strip(_BLANK):
            found.append((begun, whole))
    if pending is not None and (whole := pending[1].strip(_BLANK)):
        found.append((pending[0], whole))
    return found
