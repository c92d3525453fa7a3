"""maestroctl daemon-reexec."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    before = context.client.call("hello", limit=context.limit)
    view = context.client.call("daemon-reexec", limit=context.limit)
    if context.json:
        context.say_json(view)
    elif not context.quiet:
        context.say(
            f"maestrod {before['version']} replaces itself; agents run on, and clients wait meanwhile"
        )
    return exits.OK


COMMAND = Command("daemon-reexec", "Replace the running daemon by the code on disk; agents run on.", _run)
