"""maestroctl delta."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.text import clean, count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context
    from maestro.model.delta import Difference

_COLORS = {
    "masked": "red",
    "equivalent": "green",
    "redirected": "yellow",
    "overridden": "yellow",
    "extended": "cyan",
}


def _run(context: Context, given: dict[str, Any]) -> int:
    """Asks no daemon: what counts is what lies in the directories."""
    import msgspec

    from maestro.model.delta import differences
    from maestro.offline import leads, versions

    there = versions(context.paths)
    found = [one for one in differences(there, leads(there)) if given["type"] in (None, one.kind)]
    if given["names"]:
        found = [one for one in found if any(_is_of(one, name) for name in given["names"])]
    if context.json:
        context.say_json({"differences": [msgspec.to_builtins(one) for one in found]})
        return exits.OK
    for one in found:
        _say(context, one, with_diff=not given["no_diff"])
    if not context.quiet:
        context.say(f"{count(len(found), 'difference')} found")
    return exits.OK


def _is_of(one: Difference, name: str) -> bool:
    """Whether it is about a unit: its file is of that name, or its directory of drop-ins."""
    return any(f"/{name}{end}" in one.bottom for end in (".yaml", ".agent.yaml"))


def _say(context: Context, one: Difference, *, with_diff: bool) -> None:
    word = context.paint(_COLORS[one.kind], f"[{one.kind.upper()}]".ljust(12))
    first, second = (one.bottom, one.top) if one.kind == "extended" else (one.top, one.bottom)
    context.say(f"{word} {first} → {second}")
    if with_diff and one.diff:
        context.say("\n".join(["", *map(clean, one.diff), ""]))


COMMAND = Command(
    "delta",
    "Show which unit files override, extend or mask which; needs no daemon.",
    _run,
    argument=Argument(required=False),
    options=(
        Option(
            "--type",
            kind=TEXT,
            metavar="KIND",
            choices=tuple(_COLORS),
            help="Only masked, equivalent, redirected, overridden or extended.",
        ),
        Option("--no-diff", help="Do not show what is different in a file that overrides another."),
    ),
)
