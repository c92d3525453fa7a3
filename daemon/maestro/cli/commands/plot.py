"""maestroctl plot."""

from __future__ import annotations

from maestro.cli import exits, starting
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = starting.ask(context, given["names"] or (starting.DEFAULT,))
    for one in view["errors"].values():
        raise CallError(one["code"], one["message"], one["hint"])
    if len(view["named"]) != 1:
        raise CallError("bad-request", "one picture shows one start", "name one unit")
    window = starting.Window(view, view["named"][0])
    if context.json or given["format"] == "json":
        facts = {"name": window.root, "seconds": window.length}
        context.say_json({**facts, "units": window.starts, "later": window.later})
    else:
        from maestro.cli.render.plot import svg

        context.say(svg(window))
    return exits.OK


COMMAND = Command(
    "plot",
    "Draw the start of a unit (by default default.target) and of what came with it, as SVG.",
    _run,
    argument=Argument(required=False),
    options=(
        Option(
            "--format",
            kind=TEXT,
            metavar="FORMAT",
            choices=("svg", "json"),
            default="svg",
            help="svg, or json.",
        ),
    ),
)
