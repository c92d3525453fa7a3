"""maestroctl version."""

from __future__ import annotations

from maestro import __version__
from maestro.cli import exits
from maestro.cli.command import Command
from maestro.cli.render.common import notice
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    """Ours always; the daemon's where one answers."""
    try:
        hello = context.client.call("hello", limit=context.limit)
        daemon, notices, trouble = hello["version"], hello["notices"], ""
    except CallError as error:
        daemon, notices, trouble = None, (), error.message
    if context.json:
        context.say_json({"client": __version__, "daemon": daemon, "notices": notices})
        return exits.OK
    context.say(f"maestroctl {__version__}")
    context.say(f"maestrod {daemon}" if daemon is not None else f"maestrod: {trouble}")
    for one in notices:
        context.say(notice(one, context.paint))
    return exits.OK


COMMAND = Command(
    "version", "Show the versions of this program and of the daemon, and what the daemon has to say.", _run
)
