"""Start, stop, restart, reload, enable, mask and their like: ask, wait, and say for each unit how it went."""

from __future__ import annotations

import time

from maestro.cli import exits
from maestro.cli.command import TEXT, Argument, Command, Option
from maestro.cli.render.common import log_line
from maestro.cli.text import clean, count, cut, span
from maestro.control.trouble import CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from maestro.cli.context import Context

    View = Mapping[str, Any]

NO_WAIT = Option("--no-wait", help="Do not wait for the end; print the numbers of the jobs.")
DRY_RUN = Option("--dry-run", help="Say what would be done, and why; change nothing.")
JOB_MODE = Option(
    "--job-mode",
    kind=TEXT,
    metavar="MODE",
    choices=("replace", "fail", "ignore-dependencies"),
    default="replace",
    help="replace: pending jobs that contradict are canceled; fail: rather than that, refuse; "
    "ignore-dependencies: touch and wait for nothing else.",
)
NOW = Option("--now", help="Also start, or stop, the units now.")
RUNTIME = Option("--runtime", help="Until the next boot only.")
_DONE = {"start": "started", "stop": "stopped", "restart": "restarted", "reload": "reloaded"}
_LATE = 1.0  # seconds of waiting before it is said what for
_LOG_LINES = 5  # of a unit that failed


def verb(name: str, help: str) -> Command:
    """A command that asks one verb of units."""

    def run(context: Context, given: dict[str, Any]) -> int:
        fields = {
            "units": given["names"],
            "wait": not given["no_wait"],
            "mode": given["job_mode"],
            "dry_run": given["dry_run"],
        }
        return ask(context, name, fields, wait=not given["no_wait"])

    return Command(name, help, run, argument=Argument(), options=(NO_WAIT, JOB_MODE, DRY_RUN))


def at_once(name: str, help: str, metavar: str = "NAME", *, needs_names: bool = True) -> Command:
    """A command that makes no jobs."""

    def run(context: Context, given: dict[str, Any]) -> int:
        return ask(context, name, {"units": given["names"]}, wait=True)

    return Command(name, help, run, argument=Argument(metavar, required=needs_names))


def linking(name: str, help: str, *options: Option, do: str = "") -> Command:
    """A command that changes links between unit files. One that asks for something else names no units."""

    def run(context: Context, given: dict[str, Any]) -> int:
        said = {option.name: True for option in options if given[option.name]}
        fields = {"units": given["names"], **said}  # a daemon not yet renewed refuses fields it does not know
        return ask(context, do or name, fields, wait=True)

    return Command(name, help, run, argument=None if do else Argument(), options=options)


def ask(context: Context, do: str, fields: dict[str, Any], *, wait: bool) -> int:
    progress = Progress(context)
    try:
        view = context.client.call(do, fields, watch=progress.see, tick=_LATE, limit=context.limit)
    except KeyboardInterrupt:
        progress.clear()
        context.complain(f"interrupted: {progress.what_goes_on()}")
        return exits.INTERRUPTED
    except CallError as trouble:
        progress.clear()
        if trouble.code == "timeout":
            raise CallError("timeout", trouble.message, progress.what_goes_on()) from None
        raise
    progress.clear()
    if context.json:
        context.say_json(view)
    else:
        _tell(context, view, progress.elapsed(), wait=wait)
    codes = [exits.of_error(one["code"]) for one in view["errors"].values()]
    return exits.worst(codes + [exits.of_job(job["state"]) for job in view["jobs"]])


def _tell(context: Context, view: View, elapsed: float, *, wait: bool) -> None:
    """One sentence per unit."""
    if not context.quiet:
        for change in view["changes"]:
            context.say(clean(change))
        _tell_plan(context, view)
        for job in view["jobs"]:
            if job["state"] in ("done", "running"):
                context.say(sentence(job, elapsed, wait=wait))
    for one in view["errors"].values():
        context.complain_about(one)
    failed = [job for job in view["jobs"] if job["state"] not in ("done", "running")]
    for job in failed:
        context.complain(context.err_paint.red(sentence(job, elapsed, wait=wait)))
    tell_more(context, [job["unit"] for job in failed if job["state"] == "failed"])


def _tell_plan(context: Context, view: View) -> None:
    """What a dry run would do."""
    for one in view["plan"]:
        because = "" if one["asked"] else f"  ({clean(one['why'])})"
        context.say(f"would {one['verb']} {one['unit']}{because}")
    for why in view["left_out"].values():
        context.say(f"would leave out: {clean(why['message'])}")


def sentence(job: View, elapsed: float, *, wait: bool) -> str:
    """`researcher: started: ready as pid 4711 (0.4 s)`."""
    unit, verb, words = job["unit"], job["verb"], clean(job["words"])
    because = f": {words}" if words else ""
    match job["state"]:
        case "done":
            done = str(_DONE.get(verb, verb))
            said = words if words and words.startswith((done, "skipped")) else f"{done}{because}"
            return f"{unit}: {said} ({span(elapsed)})"
        case "failed":
            return f"{unit}: {verb} failed{because}"
        case "dependency":
            return f"{unit}: not {_DONE.get(verb, verb)} yet{because}; it starts when what it needs recovers"
        case "canceled":
            return f"{unit}: {verb} canceled{because}"
    return f"{unit}: job {job['id']}" if not wait else f"{unit}: {verb} goes on as job {job['id']}{because}"


def tell_more(context: Context, names: list[str]) -> None:
    """The last lines of those that failed, and what is known about why."""
    if not names:
        return
    try:
        view = context.client.call("status", {"units": names, "lines": _LOG_LINES}, limit=context.limit)
    except CallError:
        return  # how it ended was said; this would only have been help
    for unit in view["units"]:
        if unit["hint"]:
            context.complain(f"{unit['name']}: hint: {clean(unit['hint'])}")
        for line in unit["log"]:
            context.complain(f"    {log_line(line, context.err_paint)}")
        context.complain(f"    maestroctl status {unit['name']} says more")


class Progress:
    """What is told while a verb takes long:

    On a terminal one line that changes, elsewhere a line per change.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._began = time.monotonic()
        self._jobs: list[View] = []
        self._told = ""
        self._shown = False  # a line stands on the terminal

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def see(self, view: View | None) -> None:
        """Take in news, or that time passed."""
        if view is not None:
            self._jobs = [job for job in view["jobs"] if job["state"] == "running"]
        if self.elapsed() < _LATE or not self._jobs or self._context.json or self._context.quiet:
            return
        words = self._words()
        if self._context.err_is_tty:
            line = cut(f"{words} ({span(self.elapsed())})", self._context.width)
            self._context.err.write(f"\r\x1b[K{line}")
            self._context.err.flush()
            self._shown = True
        elif words != self._told:
            self._context.complain(words)
        self._told = words

    def _words(self) -> str:
        first = self._jobs[0]
        because = f": {clean(first['words'])}" if first["words"] else ""
        more = f" and {count(len(self._jobs) - 1, 'other unit')}" if len(self._jobs) > 1 else ""
        return f"waiting for {first['unit']}{more}{because}"

    def clear(self) -> None:
        if self._shown:
            self._context.err.write("\r\x1b[K")
            self._context.err.flush()
            self._shown = False

    def what_goes_on(self) -> str:
        numbers = ", ".join(str(job["id"]) for job in self._jobs)
        if not numbers:
            return "what was asked goes on"
        return f"job {numbers} goes on" if len(self._jobs) == 1 else f"jobs {numbers} go on"
