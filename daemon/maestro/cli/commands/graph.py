"""maestroctl graph."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.render.graphs import FORMATS, arrows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("links", {"units": given["names"]}, limit=context.limit)
    both = given["order"] == given["requirement"]
    shown = arrows(view, both or given["order"], both or given["requirement"])
    linked = {name for one, other, _ in shown for name in (one, other)}
    wanted = view["named"] if given["names"] else [node["name"] for node in view["units"]]
    alone = [name for name in wanted if name not in linked]
    if context.json:
        links = [{"from": one, "to": other, "kind": kind} for one, other, kind in shown]
        units = [node for node in view["units"] if node["name"] in linked or node["name"] in alone]
        context.say_json({"units": units, "links": links, "errors": view["errors"]})
    else:
        context.say(FORMATS[given["format"]](shown, alone))
    for one in view["errors"].values():
        context.complain_about(one)
    return exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])


COMMAND = Command(
    "graph",
    "Draw how units depend on each other, for Graphviz or Mermaid; of those named, what touches them.",
    _run,
    argument=Argument("PATTERN", required=False),
    options=(
        Option(
            "--format",
            kind=TEXT,
            metavar="FORMAT",
            choices=tuple(FORMATS),
            default="dot",
            help="dot, or mermaid.",
        ),
        Option("--order", help="Only what comes up before what."),
        Option("--requirement", help="Only what needs what."),
    ),
)
