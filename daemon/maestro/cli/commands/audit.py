"""maestroctl audit."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import COUNT, Command, Option
from maestro.cli.render.lists import audit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("audit", {"lines": given["lines"]}, limit=context.limit)
    if context.json:
        context.say_json(view)
    else:
        context.say(audit(view["items"]))
    return exits.OK


COMMAND = Command(
    "audit",
    "Show who asked for what.",
    _run,
    options=(Option("-n", "--lines", kind=COUNT, metavar="N", default=20, help="The last N entries."),),
)
