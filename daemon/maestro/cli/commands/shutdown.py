"""maestroctl shutdown."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("shutdown", {"keep_agents": given["keep_agents"]}, limit=context.limit)
    if context.json:
        context.say_json(view)
    elif not context.quiet:
        agents = "agents run on" if given["keep_agents"] else "every agent is stopped first, in order"
        context.say(f"maestrod ends; {agents}")
    return exits.OK


COMMAND = Command(
    "shutdown",
    "Stop all agents, in order, and then the daemon.",
    _run,
    options=(Option("--keep-agents", help="Let agents run on; the next daemon takes them over."),),
)
