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
    fields = {"lines": given["lines"]}
    if given["check"]:  # a daemon from before an upgrade knows no such field
        fields["check"] = True
    view = context.client.call("audit", fields, limit=context.limit)
    if context.json:
        context.say_json(view)
        return exits.OK
    context.say(audit(view["items"]))
    if given["check"] and not context.quiet:
        context.say("every entry is as it was written")
    return exits.OK


COMMAND = Command(
    "audit",
    "Show who asked for what.",
    _run,
    options=(
        Option("-n", "--lines", kind=COUNT, metavar="N", default=20, help="The last N entries."),
        Option("--check", help="First check that no entry was changed, or taken out between others."),
    ),
)
