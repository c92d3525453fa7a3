"""maestroctl daemon-reload."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Command
from maestro.cli.render.lists import reloaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("daemon-reload", limit=context.limit)
    if context.json:
        context.say_json(view)
    elif not context.quiet or view["problems"] or view["warnings"]:
        context.say(reloaded(view, context.paint))
    return exits.FAILED if view["problems"] else exits.OK


COMMAND = Command("daemon-reload", "Read the unit files again.", _run)
