"""maestroctl kill."""

from __future__ import annotations

from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.verbs import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    fields = {"units": given["names"], "signal": given["signal"], "whole": not given["main"]}
    return ask(context, "kill", fields, wait=True)


COMMAND = Command(
    "kill",
    "Send a signal to the processes of units; a restart policy may start again what it ends.",
    _run,
    argument=Argument(),
    options=(
        Option("-s", "--signal", kind=TEXT, metavar="SIGNAL", default="TERM", help="TERM unless named."),
        Option("--main", help="Only to the main process."),
    ),
)
