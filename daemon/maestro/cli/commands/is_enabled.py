"""maestroctl is-enabled."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    """systemctl's words and exit codes: content when one of the units is enabled."""
    view = context.client.call("is-enabled", {"units": given["names"]}, limit=context.limit)
    if context.json:
        context.say_json(view)
    elif not context.quiet:
        for one in view["items"]:
            context.say(one["state"])
    if any(one["enabled"] for one in view["items"]):
        return exits.OK
    missing = all(one["state"] == "not-found" for one in view["items"])
    return exits.NO_SUCH_UNIT if missing else exits.FAILED


COMMAND = Command(
    "is-enabled",
    "Say whether units are enabled: enabled, disabled, static, masked and so on.",
    _run,
    argument=Argument(),
)
