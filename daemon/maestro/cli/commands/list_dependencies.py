"""maestroctl list-dependencies."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command, Option
from maestro.cli.render import dependencies
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_DEFAULT = ("default.target",)


def _run(context: Context, given: dict[str, Any]) -> int:
    which = _which(given)
    view = context.client.call("links", {"units": given["names"] or _DEFAULT}, limit=context.limit)
    states = {node["name"]: node for node in view["units"]}
    beneath = dependencies.arcs(view, which)
    trees = {name: [*dependencies.rows(name, beneath, given["all"])] for name in view["named"]}
    if context.json or given["json"]:
        shown = [{"name": name, "rows": [row.view(states) for row in rows]} for name, rows in trees.items()]
        context.say_json({"which": which, "trees": shown, "errors": view["errors"]})
    elif given["plain"]:
        context.say(dependencies.plain([row for rows in trees.values() for row in rows]))
    elif trees:
        early = dependencies.early(view, which)
        context.say(
            "\n".join(dependencies.tree(rows, states, early, context.paint) for rows in trees.values())
        )
    for one in view["errors"].values():
        context.complain_about(one)
    return exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])


def _which(given: dict[str, Any]) -> str:
    chosen = [which for which in ("reverse", "after", "before") if given[which]]
    if len(chosen) > 1:
        message = f"--{chosen[0]} and --{chosen[1]} are two different questions"
        raise CallError("bad-request", message, "ask one after the other")
    return chosen[0] if chosen else "requirement"


COMMAND = Command(
    "list-dependencies",
    "Show what a unit (by default default.target) takes along when it starts, as a tree.",
    _run,
    argument=Argument(required=False),
    options=(
        Option("--reverse", help="What takes the unit along."),
        Option("--after", help="What comes up before the unit does."),
        Option("--before", help="What comes up after the unit."),
        Option("--all", help="Take apart every unit, not only targets."),
        Option("--plain", help="Only names, each once."),
        Option("--json", help="As --output json."),
    ),
)
