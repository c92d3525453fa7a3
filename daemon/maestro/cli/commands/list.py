"""maestroctl list."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    fields = {"units": given["names"], "detail": False, "lines": 0}
    view = context.client.call("status", fields, limit=context.limit)
    if context.json:
        context.say_json(view)
        return exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])
    if given["plain"]:
        for unit in view["units"]:
            context.say(unit["name"])
    else:
        from maestro.cli.render.lists import table

        context.say(table(view, context.width, context.paint))
    for one in view["errors"].values():
        context.complain_about(one)
    return exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])


COMMAND = Command(
    "list",
    "List units, one on a line.",
    _run,
    argument=Argument("PATTERN", required=False),
    options=(Option("--plain", help="Only names."),),
)
