"""maestroctl daemon-reload."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import TEXT, Command, Option
from maestro.cli.render.lists import reloaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    fields = (
        {"reason": given["reason"]} if given["reason"] else {}
    )  # a daemon from before an upgrade knows no such field
    view = context.client.call("daemon-reload", fields, limit=context.limit)
    if context.json:
        context.say_json(view)
    elif not context.quiet or view["problems"] or view["warnings"]:
        context.say(reloaded(view, context.paint))
    return exits.FAILED if view["problems"] else exits.OK


COMMAND = Command(
    "daemon-reload",
    "Read the unit files again.",
    _run,
    options=(
        Option(
            "-m", "--reason", kind=TEXT, metavar="WORDS", default="", help="Why, for maestroctl config list."
        ),
    ),
)
