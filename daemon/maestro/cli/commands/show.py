"""maestroctl show."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command
from maestro.cli.render.lists import options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("show", {"units": given["names"]}, limit=context.limit)
    if context.json:
        context.say_json(view)
        return exits.OK
    several = len(view["items"]) > 1
    for place, item in enumerate(view["items"]):
        title = f"{context.paint('bold', item['name'])}\n" if several else ""
        context.say(("\n" if place else "") + title + options(item, context.paint))
    return exits.OK


COMMAND = Command(
    "show", "Show every option of units, and the file and line that set it.", _run, argument=Argument()
)
