"""maestroctl budget."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.verbs import ask
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_WINDOWS = ("hour", "day", "week", "month", "invocation")


def _run(context: Context, given: dict[str, Any]) -> int:
    verb, *rest = given["names"] or ("",)
    if verb == "grant":
        return _grant(context, rest, given["window"])
    if given["window"]:
        raise CallError("bad-request", "--window is for: maestroctl budget grant NAME RESOURCE AMOUNT", "")
    if verb == "reset":
        return _reset(context, rest)
    return _show(context, given["names"])


def _grant(context: Context, words: list[str], window: str | None) -> int:
    if len(words) != 3:
        usage = "write: maestroctl budget grant NAME RESOURCE AMOUNT, such as: grant web cpu_seconds 1h"
        raise CallError("bad-request", "a grant has a unit, a resource and an amount", usage)
    fields = {"units": words[:1], "resource": words[1], "amount": words[2], "window": window or ""}
    return ask(context, "budget-grant", fields, wait=True)


def _reset(context: Context, words: list[str]) -> int:
    if not 1 <= len(words) <= 2:
        usage = "write: maestroctl budget reset NAME, or: maestroctl budget reset NAME RESOURCE"
        raise CallError("bad-request", "a reset has a unit, and perhaps a resource", usage)
    fields = {"units": words[:1], "resource": words[1] if len(words) > 1 else ""}
    return ask(context, "budget-reset", fields, wait=True)


def _show(context: Context, names: tuple[str, ...]) -> int:
    view = context.client.call("budget", {"units": names}, limit=context.limit)
    if context.json:
        context.say_json(view)
    elif view["budgets"]:
        from maestro.cli.render.budgets import table

        context.say(table(view["budgets"], context.width, context.paint))
    elif not context.quiet and not view["errors"]:
        context.say(
            "none of these has a budget of its own; status tells of those of slices"
            if names
            else "no unit has a budget"
        )
    for one in view["errors"].values():
        context.complain_about(one)
    return exits.worst([exits.of_error(one["code"]) for one in view["errors"].values()])


COMMAND = Command(
    "budget",
    "Show what units have used of their budgets. `budget grant NAME RESOURCE AMOUNT` adds to one until its window is over; "
    "`budget reset NAME [RESOURCE]` forgets what was used.",
    _run,
    argument=Argument(required=False),
    options=(
        Option(
            "--window",
            kind=TEXT,
            metavar="WINDOW",
            choices=_WINDOWS,
            help="Grant for this window only; otherwise for each that limits the resource.",
        ),
    ),
)
