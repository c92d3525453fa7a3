"""`maestroctl status NAME`: one unit at length."""

from __future__ import annotations

from maestro.cli.render.common import coming, log_line, look, problem, state
from maestro.cli.render.usage import facts as usage_facts
from maestro.cli.text import Paint, ago, clean, count, cut, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maestro.cli.render.common import View

_LABEL = 11  # columns that the longest label takes
_LONGEST = 200  # characters of a command line: some hold whole programs


def blocks(view: View, width: int | None, paint: Paint) -> str:
    """Every unit of a status."""
    return "\n".join(block(unit, view["now"], width, paint) for unit in view["units"])


def block(unit: View, now: float, width: int | None, paint: Paint) -> str:
    sign, color = look(unit)
    description = f" - {clean(unit['description'])}" if unit["description"] else ""
    lines = [f"{paint(color, sign)} {paint('bold', unit['name'])}{description}"]
    for label, text in _facts(unit, now, paint):
        lines.append(f"{label + ':' if label else '':>{_LABEL}} {text}".rstrip())
    lines += [f"{'':>{_LABEL}} {cut(line, width and width - _LABEL - 1)}" for line in _processes(unit)]
    if unit["log"]:
        lines += ["", *(log_line(line, paint) for line in unit["log"])]
    return "\n".join(lines) + "\n"


def _facts(unit: View, now: float, paint: Paint) -> Iterator[tuple[str, str]]:
    """(label, text) for each line of the block."""
    yield "Loaded", _loaded(unit)
    for one in unit["problems"]:
        yield "", paint.red(problem(one))
    if unit["changed"]:
        yield "Warning", paint("yellow", "the file has changed; maestroctl daemon-reload reads it")
    if (outdated := unit.get("outdated")) and unit["load"] != "missing":
        words = f"it was started without the newest {', '.join(outdated)}; maestroctl restart {unit['name']}"
        yield "Warning", paint("yellow", words)
    yield "Active", _active(unit, now, paint)
    yield from _why(unit, paint)
    for place, text in enumerate(unit["documentation"]):
        yield "" if place else "Docs", clean(text)
    yield from _counted(unit)
    yield from _others(unit)
    yield from _log(unit, paint)
    if unit["pid"]:
        agent = f" (agent {unit['agent']})" if unit["agent"] else ""
        yield "Main PID", f"{unit['pid']}{agent}"
    yield from usage_facts(unit.get("usage"))  # a daemon not yet renewed does not tell
    yield from _told(unit)
    if unit["processes"]:
        yield "Processes", str(len(unit["processes"]))


def _counted(unit: View) -> Iterator[tuple[str, str]]:
    if unit["restarts"]:
        yield "Restarts", str(unit["restarts"])
    if unit.get("budget"):  # a daemon not yet renewed does not tell
        yield "Budget", unit["budget"]


def _told(unit: View) -> Iterator[tuple[str, str]]:
    if unit.get("tiers"):
        yield "Confined", ", ".join(unit["tiers"])
    if unit["status"]:
        yield "Status", f'"{clean(unit["status"])}"'


def _why(unit: View, paint: Paint) -> Iterator[tuple[str, str]]:
    if unit["cause"]:
        yield "Cause", clean(unit["cause"])
    if unit["hint"]:
        yield "Hint", clean(unit["hint"])
    if unit["next"]:
        yield "Next", paint("yellow", coming(unit))
    if unit["blocked_by"]:
        yield "Waits for", ", ".join(unit["blocked_by"])
    if unit["result"] not in ("", "success"):
        yield "Result", paint.red(unit["result"])


def _others(unit: View) -> Iterator[tuple[str, str]]:
    pulled = (*unit["requires"], *unit["wants"])
    if unit["kind"] != "agent" and pulled:
        yield "Pulls in", ", ".join(pulled)
    if unit["kind"] == "slice":
        yield "Members", ", ".join(unit.get("members", ())) or "none"


def _log(unit: View, paint: Paint) -> Iterator[tuple[str, str]]:
    if unit["dropped_lines"]:
        yield "Log", paint("yellow", f"{count(unit['dropped_lines'], 'line')} dropped by the rate limit")
    if unit["log_trouble"]:
        yield "Log", paint.red(f"cannot be written: {clean(unit['log_trouble'])}")


def _loaded(unit: View) -> str:
    enabled = "enabled" if unit["enabled"] else "disabled"
    path = unit["path"] or "built in"
    if unit["load"] == "missing":
        runs = "; what runs goes on" if unit["state"] not in ("inactive", "failed") else ""
        return f"no file any more ({path} is gone){runs}"
    if unit["load"] == "masked":
        return f"masked by {path}"
    return f"{path} ({enabled})" if unit["load"] == "loaded" else f"{path} (with problems; {enabled})"


def _active(unit: View, now: float, paint: Paint) -> str:
    words = paint(look(unit)[1], state(unit))
    if not unit["since"]:
        return words
    return f"{words} since {stamp(unit['since'])}; {ago(unit['since'], now)}"


def _processes(unit: View) -> Iterator[str]:
    """The tree of processes. One whose parent is not among them stands at the top."""
    children: dict[int, list[View]] = {}
    pids = {process["pid"] for process in unit["processes"]}
    for process in unit["processes"]:
        parent = process["parent"] if process["parent"] in pids else 0
        children.setdefault(parent, []).append(process)
    yield from _branches(children, 0, "")


def _branches(children: dict[int, list[View]], parent: int, lead: str) -> Iterator[str]:
    here = children.pop(parent, [])
    for process in here:
        last = process is here[-1]
        command = clean(" ".join(process["command"].split()))
        yield f"{lead}{'└─' if last else '├─'}{process['pid']} {cut(command, _LONGEST)}"
        yield from _branches(children, process["pid"], lead + ("  " if last else "│ "))
