"""maestroctl events."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import COUNT, Argument, Command, Option
from maestro.cli.render.lists import event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    fields = {"units": given["names"], "cursor": given["cursor"], "lines": given["lines"]}
    fields["follow"] = given["follow"]
    try:
        for view in context.client.stream("events", fields, limit=context.limit):
            if context.json:
                context.say_json(view)
            else:
                context.say(event(view, context.paint))
            context.out.flush()
    except KeyboardInterrupt:
        return exits.OK
    return exits.OK


COMMAND = Command(
    "events",
    "Show what happened to units, oldest first.",
    _run,
    argument=Argument("PATTERN", required=False),
    options=(
        Option("-f", "--follow", help="Go on with what happens from now on."),
        Option("-n", "--lines", kind=COUNT, metavar="N", default=20, help="The last N events first."),
        Option("--cursor", kind=COUNT, metavar="NUMBER", help="Go on after the event of this number."),
    ),
)
