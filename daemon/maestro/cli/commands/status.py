"""maestroctl status."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import COUNT, Argument, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    names = given["names"]
    fields = {"units": names, "lines": given["lines"], "detail": bool(names)}
    view = context.client.call("status", fields, limit=context.limit)
    if context.json:
        context.say_json(view)
    elif not context.quiet:
        _draw(context, view, bool(names))
    return _code(view) if names else exits.OK


def _draw(context: Context, view: dict[str, Any], named: bool) -> None:
    if not named:
        from maestro.cli.render.tree import tree

        context.say(tree(view, context.width, context.paint))
        return
    from maestro.cli.render.block import blocks

    if view["units"]:
        context.say(blocks(view, context.width, context.paint))
    for one in view["errors"].values():
        context.complain_about(one)


def _code(view: dict[str, Any]) -> int:
    """That a unit is missing says more than that another is not active."""
    missing = exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])
    if missing != exits.OK:
        return missing
    active = all(unit["state"] in ("active", "reloading") for unit in view["units"])
    return exits.OK if active else exits.NOT_ACTIVE


COMMAND = Command(
    "status",
    "Show what units do and why: all as a tree, or those named at length.",
    _run,
    argument=Argument(required=False),
    options=(Option("-n", "--lines", kind=COUNT, metavar="N", default=10, help="Lines of output to show."),),
)
