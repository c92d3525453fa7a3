"""maestroctl explain."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.command import Argument, Command
from maestro.cli.text import clean
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context
    from maestro.explaining import Answer


def _run(context: Context, given: dict[str, Any]) -> int:
    """Asks no daemon: the options are those of this version, the units those on disk."""
    import msgspec

    from maestro.explaining import answer

    answers, unknown = answer(list(given["names"]), context.paths)
    if context.json:
        context.say_json({"options": [msgspec.to_builtins(one) for one in answers], "unknown": unknown})
    elif answers:
        context.say("\n\n".join(map(_words, answers)))
    for name, near in unknown.items():
        if not context.json:
            hint = f"did you mean {near}?" if near else "maestro.unit(5) has them all"
            context.say_error(CallError("bad-request", f"there is no option {name}", hint))
    return exits.USAGE if unknown else exits.OK


def _words(answer: Answer) -> str:
    import json

    lines = [str(answer.explained)]
    for one in answer.settings:
        value = one.value if isinstance(one.value, str) else json.dumps(one.value, ensure_ascii=False)
        lines.append(f"  {one.unit} sets {clean(value)}  # {one.origin}")
    return "\n".join(lines)


COMMAND = Command(
    "explain",
    "Say what options mean, what they take, and which units set them; needs no daemon.",
    _run,
    argument=Argument("OPTION"),
)
