"""maestroctl edit."""

from __future__ import annotations

import os
import sys

from maestro.cli import exits
from maestro.cli.changing import refused, reload, told
from maestro.cli.command import Argument, Command, Option
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context

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
        return told(context, draft, "nothing was changed", done=False)
    found = editing.problems(draft, text, context.paths)
    if found:
        return refused(context, draft, found)
    if empty:
        editing.remove(draft)
    else:
        editing.put(draft, text)
    words = f"{'removed' if empty else 'wrote'} {draft.path}"
    return told(context, draft, words, done=True) or reload(context)


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
