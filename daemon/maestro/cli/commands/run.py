"""maestroctl run."""

from __future__ import annotations

import os

from maestro.cli import exits, running
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.text import clean
from maestro.cli.verbs import Progress, sentence, tell_more
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.cli.context import Context


def _run(context: Context, given: dict[str, Any]) -> int:
    name = given["unit"] or f"run-{os.urandom(4).hex()}"
    fields = {
        "unit": name,
        "properties": running.properties(given, context.environ),
        "wait": not given["no_wait"],
    }
    if given["dry_run"]:
        view = context.client.call("run", {**fields, "dry_run": True}, limit=context.limit)
        context.say_json(view) if context.json else context.say(f"# {view['path']}\n{view['text']}")
        return exits.OK
    if given["no_wait"] and (given["wait"] or given["follow"]):
        raise CallError("bad-request", "--no-wait contradicts --wait and --follow", "leave one of them out")
    if given["wait"] or given["follow"]:
        return running.Attended(context, name).run(fields, follow=given["follow"])
    progress = Progress(context)
    try:
        view = context.client.call("run", fields, watch=progress.see, tick=1.0, limit=context.limit)
    except KeyboardInterrupt:
        progress.clear()
        return running.interrupted(context, name)
    progress.clear()
    if context.json:
        context.say_json(view)
    elif not context.quiet:
        context.say(f"Running as {view['unit']}")
    for job in view["jobs"] if not context.json else ():
        if job["state"] not in ("done", "running"):
            context.complain(context.err_paint.red(clean(sentence(job, progress.elapsed(), wait=True))))
            tell_more(context, [job["unit"]] if job["state"] == "failed" else [])
    return exits.worst([exits.of_job(job["state"]) for job in view["jobs"]])


COMMAND = Command(
    "run",
    "Run a command as a transient unit: an agent whose unit file is made now, and goes when it has ended.",
    _run,
    argument=Argument("COMMAND", rest=True),
    options=(
        Option("--unit", kind=TEXT, metavar="NAME", help="The unit's name; run- and 8 hex digits otherwise."),
        Option(
            "-p",
            "--property",
            kind=TEXT,
            metavar="SECTION.OPTION=VALUE",
            repeats=True,
            help="Any option of a unit file, its value in YAML: agent.type=oneshot, unit.after=[db]. Repeated, lists grow.",
        ),
        Option(
            "-E",
            "--setenv",
            kind=TEXT,
            metavar="NAME[=VALUE]",
            repeats=True,
            help="A variable for the command; without a value, with yours.",
        ),
        Option(
            "--working-directory", kind=TEXT, metavar="DIR", help="Where the command starts; / otherwise."
        ),
        Option("-d", "--same-dir", help="It starts where you are."),
        Option("--uid", kind=TEXT, metavar="USER", help="Whom it runs as."),
        Option("--gid", kind=TEXT, metavar="GROUP", help="The group it runs as."),
        Option("--slice", kind=TEXT, metavar="SLICE", help="The slice that it is part of."),
        Option(
            "--description", kind=TEXT, metavar="TEXT", help="One line for people; the command otherwise."
        ),
        Option(
            "--wait",
            help="Wait until it has ended, and end with its exit status, or 128 and the signal that ended it.",
        ),
        Option("-f", "--follow", help="The same, and show its output meanwhile."),
        Option("--collect", help="Forget it when it has failed, too; otherwise it stays until reset-failed."),
        Option("--no-wait", help="Do not even wait until it has started."),
        Option("--dry-run", help="Print the unit file that would be made, and do nothing."),
    ),
)
