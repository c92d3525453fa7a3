"""maestroctl set."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.changing import refused, reload, told
from maestro.cli.command import Argument, Command, Option
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

_HINT = "write the unit and SECTION.OPTION=VALUE: maestroctl set researcher resources.memory_max=2G"


def _run(context: Context, given: dict[str, Any]) -> int:
    """Writes the drop-in itself, and asks a daemon that runs to read it."""
    from maestro import editing
    from maestro.model.plain import Mistake

    name, *options = given["names"]
    if not options:
        context.say_error(CallError("bad-request", "set takes a unit and what to set", _HINT))
        return exits.USAGE
    try:
        file = editing.RUNTIME_OPTIONS if given["runtime"] else editing.OPTIONS
        draft = editing.draft(name, context.paths, runtime=given["runtime"], drop_in=file)
        text = editing.amended(draft, options, context.paths)
    except editing.NoUnit as why:
        context.say_error(CallError(why.code, str(why), why.hint))
        return exits.of_error(why.code)
    except Mistake as mistake:
        context.say_error(CallError("bad-request", str(mistake), _HINT))
        return exits.USAGE
    if text == draft.text:
        return told(context, draft, "nothing was changed", done=False)
    if found := editing.problems(draft, text, context.paths):
        return refused(context, draft, found)
    editing.put(draft, text)
    return told(context, draft, f"wrote {draft.path}", done=True) or reload(context)


COMMAND = Command(
    "set",
    "Set options of a unit by a drop-in; limits hold at once.",
    _run,
    argument=Argument("NAME OPTION=VALUE"),
    options=(Option("--runtime", help="Until the next boot only."),),
)
