"""maestroctl edit."""

from __future__ import annotations

import os
import sys

from maestro.cli import exits
from maestro.cli.command import Argument, Command, Option
from maestro.cli.text import clean
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from maestro.cli.context import Context
    from maestro.editing import Draft

_EDITORS = ("editor", "nano", "vim", "vi")  # where no variable names one


def _run(context: Context, given: dict[str, Any]) -> int:
    """Writes the file itself, and asks a daemon that runs to read it."""
    from maestro import editing

    if len(given["names"]) != 1:
        context.say_error(CallError("bad-request", "edit takes one unit", "edit the others after it"))
        return exits.USAGE
    try:
        draft = editing.draft(given["names"][0], context.paths, full=given["full"], runtime=given["runtime"])
    except editing.NoUnit as why:
        context.say_error(CallError(why.code, str(why), why.hint))
        return exits.of_error(why.code)
    text = (
        sys.stdin.read() if given["stdin"] else editing.kept(draft, _edited(context, editing.initial(draft)))
    )
    empty = not text.strip()
    if text == draft.text or (empty and (given["full"] or not draft.text)):
        return _told(context, draft, "nothing was changed", done=False)
    found = editing.problems(draft, text, context.paths)
    if found:
        for problem in found if not context.json else ():
            context.complain(context.err_paint.red(clean(str(problem))))
        words = f"{draft.unit} would not load: {draft.path} is left as it was"
        _told(context, draft, words, done=False, problems=[str(problem) for problem in found])
        return exits.FAILED
    if empty:
        editing.remove(draft)
    else:
        editing.put(draft, text)
    words = f"{'removed' if empty else 'wrote'} {draft.path}"
    return _told(context, draft, words, done=True) or _reload(context)


def _told(context: Context, draft: Draft, words: str, *, done: bool, problems: Sequence[str] = ()) -> int:
    if context.json:
        context.say_json({"unit": draft.unit, "path": draft.path, "written": done, "problems": problems})
    elif not done:
        context.complain(words)
    elif not context.quiet:
        context.say(words)
    return exits.OK


def _edited(context: Context, text: str) -> str:
    """What the editor makes of a text."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="maestro-edit") as folder:
        path = os.path.join(folder, "override.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        _edit(context, path)
        with open(path, encoding="utf-8") as file:
            return file.read()


def _edit(context: Context, path: str) -> None:
    import shlex
    import shutil
    import subprocess

    named = next((context.environ[name] for name in ("VISUAL", "EDITOR") if context.environ.get(name)), "")
    command = shlex.split(named) or [next((one for one in _EDITORS if shutil.which(one)), "vi")]
    ended = subprocess.call([*command, path])
    if ended != 0:
        raise CallError("bad-request", f"{command[0]} ended with {ended}: nothing was changed", "")


def _reload(context: Context) -> int:
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


COMMAND = Command(
    "edit",
    "Change a unit by a drop-in, written in $EDITOR; nothing is written if the unit would not load.",
    _run,
    argument=Argument(),
    options=(
        Option("--full", help="Edit a copy of the whole file, which hides the original."),
        Option("--stdin", help="Take the text from standard input."),
        Option("--runtime", help="Until the next boot only."),
    ),
)
