"""maestroctl logs."""

from __future__ import annotations

import json
from collections import deque

from maestro.cli import exits
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.text import Paint, clean, stamp
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    fields = _fields(context, given)
    names = given["names"]
    several = len(names) > 1 or any(mark in names[0] for mark in "*?[")
    times = (context.is_tty or given["timestamps"]) and not given["no_timestamps"]
    try:
        for line in _wanted(context.client.stream("logs", fields, limit=context.limit), given):
            if given["json"] or context.json:
                context.say_json(as_json(line))
            else:
                context.say(as_text(line, context.paint, named=several, times=times, raw=not context.is_tty))
            if given["follow"]:
                context.out.flush()
    except KeyboardInterrupt:
        return exits.OK if given["follow"] else exits.INTERRUPTED
    return exits.OK


def _fields(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    from maestro.cli.moment import moment  # it imports the model

    fields: dict[str, Any] = {"units": given["names"], "follow": given["follow"]}
    for option in ("since", "until"):
        if given[option] is not None:
            fields[option] = moment(given[option], f"--{option}", context.now())
    bounded = given["since"] is not None or given["until"] is not None
    fields["lines"] = _lines(given["lines"] or ("all" if bounded else "10"))
    if given["grep"] and not given["follow"]:
        fields["lines"] = None  # the last lines that match are among all of them
    return fields


def _wanted(lines: Iterable[dict[str, Any]], given: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Lines that match. Looked for here: an expression that takes for ever is to hold up nobody but its author."""
    if not given["grep"]:
        return lines
    import re

    try:
        pattern = re.compile(given["grep"])
    except re.error as error:
        raise CallError(
            "bad-request", f"--grep: not a regular expression: {error}", "see the re module of Python"
        ) from None
    matching = (line for line in lines if pattern.search(line["text"]))
    bounded = given["since"] is not None or given["until"] is not None
    most = _lines(given["lines"] or ("all" if bounded else "10"))
    return matching if given["follow"] or most is None else _last(matching, most)


def _last(lines: Iterable[dict[str, Any]], most: int) -> Iterable[dict[str, Any]]:
    """The last of each unit, in the order in which they came."""
    kept: dict[str, deque[dict[str, Any]]] = {}
    for line in lines:
        kept.setdefault(line["unit"], deque(maxlen=most)).append(line)
    return (line for unit in kept.values() for line in unit)


def _lines(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()):
        message = f"--lines: {text[:40]!r} is not a number of lines"
        raise CallError("bad-request", message, "write a number, or all")
    return int(text)


def as_text(line: dict[str, Any], paint: Paint, *, named: bool, times: bool, raw: bool) -> str:
    """One line of output. Into a pipe it goes as it was written; on a terminal it may not steer it."""
    name = f"{paint.name(line['unit'])} | " if named else ""
    when = f"{paint('dim', stamp(line['time'], fraction=True))} " if times and line["time"] else ""
    return f"{name}{when}{line['text'] if raw else clean(line['text'])}"


def as_json(line: dict[str, Any]) -> dict[str, Any]:
    """With the fields of a line that is JSON itself."""
    view = {key: line[key] for key in ("unit", "time", "text", "cursor")}
    if line["text"].startswith("{"):
        try:
            fields = json.loads(line["text"])
        except (ValueError, RecursionError):
            return view
        view["fields"] = fields
    return view


COMMAND = Command(
    "logs",
    "Show what units have written.",
    _run,
    argument=Argument(),
    options=(
        Option("-f", "--follow", help="Go on with what is written from now on."),
        Option(
            "-n",
            "--lines",
            kind=TEXT,
            metavar="N",
            default="",
            help="The last N lines of each unit, or all; 10, and all of the time where one is named.",
        ),
        Option(
            "--since", kind=TEXT, metavar="TIME", help="Not older: 10min, 2h, 2026-11-21, today, @SECONDS."
        ),
        Option("--until", kind=TEXT, metavar="TIME", help="Not newer."),
        Option(
            "--grep",
            kind=TEXT,
            metavar="REGEX",
            help="Only lines in which this is found; with -f, of the last N and of what comes.",
        ),
        Option("--json", help="One JSON object a line; a line that is JSON itself has its fields in it."),
        Option("--timestamps", help="With times, also into a pipe."),
        Option("--no-timestamps", help="Without times, also on a terminal."),
    ),
)
