"""Post-mortems: what an agent's last words say about its end.

Explains ends by the last lines of output (`status` shows the sentence), and writes a report for each end that needs a person: a unit that
failed or gave up. A unit may say where reports go and how many are kept:

    postmortem: {keep: 5, lines: 40, directory: /var/lib/reports}
"""

from __future__ import annotations

import json
import os
import re
from time import gmtime, strftime

from msgspec import Struct

from maestro.hooks import Change, EndNotice, EventNotice, Places, hook, option

REPORTED = ("failed", "gave-up")


class Postmortem(Struct, frozen=True, kw_only=True):
    """What is written when the unit fails or gives up."""

    keep: int = option(5, "Reports kept per unit; the oldest go first.", at_least=1, change=Change.LIVE)
    lines: int = option(20, "Lines of output in a report.", at_least=0, change=Change.LIVE)
    directory: str = option(
        "", "Where reports go; by default below the daemon's state directory.", change=Change.LIVE
    )


# What the last lines may say, the most telling first: a pattern, and the sentence made of it.
SIGNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (
            r"ModuleNotFoundError: No module named '?([\w.]+)",
            "Python found no module {0}: is it installed in the environment that `exec` uses?",
        ),
        (r"(?:ImportError|SyntaxError|IndentationError): (.+)", "its Python code does not load: {0}"),
        (r"[Aa]ddress already in use", "another process holds the address it wants to listen on"),
        (
            r"(?:ConnectionRefusedError|ECONNREFUSED)\b(?:.*?\b((?:\d+\.){3}\d+:\d+))?",
            "something it needs refused the connection {0}",
        ),
        (r"(?:MemoryError|JavaScript heap out of memory|Cannot allocate memory)", "it ran out of memory"),
        (
            r"(?:401 Unauthorized|[Ii]nvalid (?:API|api)[ _-]?key|AuthenticationError)",
            "the provider did not accept its credentials",
        ),
        (
            r"(?:429 Too Many Requests|[Rr]ate ?limit(?:ed| exceeded| reached))",
            "the provider's rate limit was hit",
        ),
        (r"(?:No space left on device|ENOSPC)", "the disk is full"),
        (r"(?:Permission denied|EACCES): '?([^',]+)'?", "it may not open {0}"),
        (r"(?:Permission denied|EACCES)", "it lacks a permission"),
        (r"^(\w+(?:\.\w+)*(?:Error|Exception)): (.+)", "it raised {0}: {1}"),
    )
)
CODES = {126: "the command could not be executed", 127: "a command that it called was not found"}

_places: list[str] = []


@hook
def maestro_sections() -> dict[str, type[Struct]]:
    return {"postmortem": Postmortem}


@hook
def maestro_begin(places: Places) -> None:
    _places[:] = [places.state]


@hook
def maestro_explain_end(end: EndNotice) -> str | None:
    """The newest line that tells something; else what the exit code means by custom."""
    for line in reversed(end.log):
        for pattern, sentence in SIGNS:
            match = pattern.search(line)
            if match:
                return sentence.format(*(group or "" for group in match.groups())).strip()
    return CODES.get(end.code) if end.code is not None else None


@hook
def maestro_event(event: EventNotice) -> None:
    if event.kind not in REPORTED or not _places:
        return
    wish = event.section if isinstance(event.section, Postmortem) else Postmortem()
    directory = os.path.join(wish.directory or _places[0], event.unit)
    os.makedirs(directory, mode=0o750, exist_ok=True)
    report = {
        "unit": event.unit,
        "agent": event.agent,
        "time": event.time,
        "event": event.kind,
        "cause": event.words,
        "log": list(event.log[-wish.lines :]) if wish.lines else [],
    }
    when = strftime("%Y%m%dT%H%M%S", gmtime(event.time))
    path = os.path.join(directory, f"{when}-{event.seq:012d}.json")  # numbers may begin anew
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    os.replace(f"{path}.new", path)
    for old in sorted(name for name in os.listdir(directory) if name.endswith(".json"))[: -wish.keep]:
        os.unlink(os.path.join(directory, old))
