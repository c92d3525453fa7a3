"""maestroctl why."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command
from maestro.cli.render.reasons import why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("why", {"units": given["names"]}, limit=context.limit)
    if context.json:
        context.say_json(view)
    elif view["named"]:
        context.say(why(view, context.paint))
    for one in view["errors"].values():
        context.complain_about(one)
    return exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])


COMMAND = Command(
    "why",
    "Say why units are as they are: the cause, what they wait for and why that is so, what comes next, who asked.",
    _run,
    argument=Argument(),
)
