"""What the commands that change a unit's files say of it, and the daemon's part in it."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.text import clean
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maestro.cli.context import Context
    from maestro.editing import Draft
    from maestro.model.problem import Problem


def refused(context: Context, draft: Draft, problems: Sequence[Problem]) -> int:
    """The unit would not load with this."""
    for problem in problems if not context.json else ():
        context.complain(context.err_paint.red(clean(str(problem))))
    words = f"{draft.unit} would not load: {draft.path} is left as it was"
    told(context, draft, words, done=False, problems=[str(problem) for problem in problems])
    return exits.FAILED


def told(context: Context, draft: Draft, words: str, *, done: bool, problems: Sequence[str] = ()) -> int:
    if context.json:
        context.say_json({"unit": draft.unit, "path": draft.path, "written": done, "problems": problems})
    elif not done:
        context.complain(words)
    elif not context.quiet:
        context.say(words)
    return exits.OK


def reload(context: Context) -> int:
    try:
        view = context.client.call("daemon-reload", limit=context.limit)
    except CallError as trouble:
        if exits.of_error(trouble.code) == exits.NO_DAEMON:
            return exits.OK  # it reads the files when it starts
        raise
    if not context.quiet and not context.json:
        from maestro.cli.render.lists import reloaded

        context.say(reloaded(view, context.paint))
    return exits.OK
