"""maestroctl jobs."""

from __future__ import annotations

from maestro.cli.command import Command
from maestro.cli.text import clean, columns, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


_HEAD = ("JOB", "UNIT", "VERB", "FOR", "WAITS FOR")


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    return (str(job["id"]), job["unit"], job["verb"], span(job["age"]), clean(job["words"]))


def run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("jobs", {}, limit=context.limit)
    if context.json:
        context.say_json(view)
    elif view["items"]:
        context.say("\n".join(columns([_HEAD, *map(_row, view["items"])], context.width)))
    elif not context.quiet:
        context.say("no jobs are pending")
    return 0


COMMAND = Command("jobs", "List the jobs that are pending, and what they wait for.", run)
