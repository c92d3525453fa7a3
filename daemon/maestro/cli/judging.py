"""is-active and is-failed: one word for each unit, and an exit code for scripts; both as systemctl has them."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from maestro.cli.context import Context

# Scripts compare the words with systemd's, and it has no such states.
_SYSTEMDS = {"waiting": "activating", "frozen": "active"}
_UNKNOWN = "inactive"  # what systemd calls a unit that there is not


def judging(name: str, help: str, good: Collection[str], otherwise: int) -> Command:
    """A command that is content when one unit at least is in a good state."""

    def run(context: Context, given: dict[str, Any]) -> int:
        fields = {"units": given["names"], "detail": False, "lines": 0}
        view = context.client.call("status", fields, limit=context.limit)
        states = {unit["name"]: _SYSTEMDS.get(unit["state"], unit["state"]) for unit in view["units"]}
        met = any(state in good for state in states.values())
        missing = any(one["code"] == "no-such-unit" for one in view["errors"].values())
        if context.json:
            units = [{"name": name, "state": state} for name, state in states.items()]
            context.say_json({"met": met, "units": units, "errors": view["errors"]})
        elif not context.quiet:
            for word in _words(given["names"], states, len(view["errors"])):
                context.say(word)
        return exits.OK if met else exits.NO_SUCH_UNIT if missing else otherwise

    return Command(name, help, run, argument=Argument())


def _words(names: Sequence[str], states: Mapping[str, str], missing: int) -> list[str]:
    """One for each name, as scripts read them line by line; of globs, for each unit they mean."""
    if any(mark in name for name in names for mark in "*?["):
        return [*states.values(), *[_UNKNOWN] * missing]
    return [states.get(name.removesuffix(".agent"), _UNKNOWN) for name in names]
