"""maestroctl blame."""

from __future__ import annotations

from maestro.cli import exits, starting
from maestro.cli.command import Argument, Command
from maestro.cli.render.starts import blame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    view = context.client.call("starts", {"units": given["names"]}, limit=context.limit)
    timed = [(starting.took(start, view["now"]), start) for start in view["starts"]]
    found = [(seconds, start) for seconds, start in timed if seconds is not None]
    found.sort(key=lambda one: (-one[0], one[1]["name"]))
    if context.json:
        units = [
            {"name": start["name"], "took": round(seconds, 6), "ready": start["ready"] is not None}
            for seconds, start in found
        ]
        context.say_json({"units": units, "errors": view["errors"]})
    elif found:
        context.say(blame(found))
    for one in view["errors"].values():
        context.complain_about(one)
    return exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])


COMMAND = Command(
    "blame",
    "List units by how long their last start took, the longest first.",
    _run,
    argument=Argument("PATTERN", required=False),
)
