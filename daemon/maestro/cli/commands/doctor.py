"""maestroctl doctor."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Command
from maestro.cli.render.findings import findings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    found = context.client.call("doctor", limit=context.limit)["items"]
    if context.json:
        context.say_json({"findings": found})
    else:
        context.say(findings(found, context.paint))
    return exits.OK


COMMAND = Command(
    "doctor",
    "Show what this host offers of what Maestro builds on, and what that costs.",
    _run,
)
