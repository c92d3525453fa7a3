"""maestroctl config."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import COUNT, Argument, Command, Option
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_USAGE = "write: maestroctl config list, config show [N], or config diff A [B]"


def _run(context: Context, given: dict[str, Any]) -> int:
    verb, *words = given["names"] or ("list",)
    numbers = [_number(word) for word in words]
    if verb == "list" and not numbers:
        view = context.client.call("generations", {"lines": given["lines"]}, limit=context.limit)
    elif verb == "show" and len(numbers) <= 1:
        fields = {"number": numbers[0]} if numbers else {}
        view = context.client.call("generation-files", fields, limit=context.limit)
    elif verb == "diff" and 1 <= len(numbers) <= 2:
        fields = dict(zip(("before", "after"), numbers, strict=False))
        view = context.client.call("generation-diff", fields, limit=context.limit)
    else:
        raise CallError("bad-request", f"config: {' '.join((verb, *words))!r} cannot be done", _USAGE)
    if context.json:
        context.say_json(view)
        return exits.OK
    from maestro.cli.render import generations

    context.say(getattr(generations, verb)(view["items"], context))
    return exits.OK


def _number(word: str) -> int:
    if not word.isdecimal() or not int(word):
        raise CallError("bad-request", f"config: {word!r} is not the number of a generation", _USAGE)
    return int(word)


COMMAND = Command(
    "config",
    "Show the generations of the configuration: who had unit files read when, and why. `config show [N]` shows what was in the "
    "files of one, `config diff A [B]` what is different between two; without a number the one that is in force is meant.",
    _run,
    argument=Argument("COMMAND", required=False),
    options=(Option("-n", "--lines", kind=COUNT, metavar="N", default=20, help="The last N generations."),),
)
