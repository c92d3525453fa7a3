"""maestroctl version."""

from __future__ import annotations

from maestro import __version__
from maestro.cli import exits
from maestro.cli.command import Command
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    """Ours always; the daemon's where one answers."""
    try:
        daemon = context.client.call("hello", limit=context.limit)["version"]
        trouble = ""
    except CallError as error:
        daemon, trouble = None, error.message
    if context.json:
        context.say_json({"client": __version__, "daemon": daemon})
        return exits.OK
    context.say(f"maestroctl {__version__}")
    context.say(f"maestrod {daemon}" if daemon is not None else f"maestrod: {trouble}")
    return exits.OK


COMMAND = Command("version", "Show the versions of this program and of the daemon.", _run)
