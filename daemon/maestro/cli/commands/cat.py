"""maestroctl cat."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command
from maestro.cli.render.lists import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("cat", {"units": given["names"]}, limit=context.limit)
    if context.json:
        context.say_json(view)
        return exits.OK
    context.say("\n".join(pieces(item, context.paint) for item in view["items"]))
    return exits.OK


COMMAND = Command("cat", "Show the files of units as they are.", _run, argument=Argument())
