"""maestroctl critical-chain."""

from __future__ import annotations

from maestro.cli import exits, starting
from maestro.cli.command import Argument, Command
from maestro.cli.render.starts import LEGEND, chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = starting.ask(context, given["names"] or (starting.DEFAULT,))
    starts = {start["name"]: start for start in view["starts"]}
    errors = view["errors"] | {
        name: starting.not_started(name) for name in view["named"] if name not in starts
    }
    chains = {name: starting.Chain(name, starts, view["now"]) for name in view["named"] if name not in errors}
    if context.json:
        context.say_json({"chains": [*map(_view, chains.values())], "errors": errors})
    elif chains:
        legend = [] if context.quiet else [f"{LEGEND}\n"]
        context.say(
            "\n".join(legend + [chain(found, view["now"], context.paint) for found in chains.values()])
        )
    for one in errors.values():
        context.complain_about(one)
    return exits.worst([exits.of_error(one["code"]) for one in errors.values()])


def _view(found: starting.Chain) -> dict[str, Any]:
    first = found.links[0]
    units = [starting.moved(start, first["asked"]) for start in found.links]
    return {"name": first["name"], "units": units, "lost": [*found.lost], "otherwise": found.otherwise}


COMMAND = Command(
    "critical-chain",
    "Show what made the start of a unit (by default default.target) as late as it was: each line waited for the next.",
    _run,
    argument=Argument(required=False),
)
