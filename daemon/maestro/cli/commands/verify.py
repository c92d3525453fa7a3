"""maestroctl verify."""

from __future__ import annotations

import os

from maestro.cli import exits
from maestro.cli.command import Argument, Command
from maestro.cli.text import clean, count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    """Asks no daemon: loads the files the way the daemon does."""
    import msgspec

    from maestro.verifying import verify

    files = [os.path.abspath(path) for path in given["names"]]
    problems = verify(files, context.paths.units, context.paths.environment)
    if context.json:
        context.say_json({"problems": [msgspec.to_builtins(one) for one in problems]})
    else:
        for problem in problems:
            context.say(clean(str(problem)))
        if not problems and not context.quiet:
            context.say(f"{count(len(files), 'file')} without a problem")
    return exits.FAILED if problems else exits.OK


COMMAND = Command(
    "verify",
    "Check unit files before they are used; needs no daemon.",
    _run,
    argument=Argument("FILE"),
)
