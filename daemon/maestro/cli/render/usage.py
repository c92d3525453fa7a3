"""What units use, as `status` and `top` show it."""

from __future__ import annotations

from maestro.cli.render.common import state
from maestro.cli.text import Paint, count, cut, percent, size, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from maestro.cli.render.common import View

_HEAD = ("NAME", "STATE", "CPU", "MEMORY", "TASKS", "READ/s", "WRITE/s", "CPU TIME", "PID")
_RIGHT = range(2, 9)  # columns of numbers
_LONGEST_NAME = 32

# What `top` sorts by -> the value; most first, but names.
SORTS: dict[str, Callable[[View], float]] = {
    "cpu": lambda one: one["cpu_share"] or 0.0,
    "memory": lambda one: one["memory"] or 0,
    "tasks": lambda one: one["tasks"] or 0,
    "io": lambda one: (one["read_rate"] or 0.0) + (one["write_rate"] or 0.0),
    "name": lambda one: 0,
}


def facts(usage: View | None) -> Iterator[tuple[str, str]]:
    """Lines of `status`: what is known, with its limit."""
    if usage is None:
        return
    if usage["memory"] is not None:
        kills = f", {count(usage['oom_kills'], 'OOM kill')}" if usage["oom_kills"] else ""
        beside = _beside(peak=usage["memory_peak"], max=usage["memory_max"])
        yield "Memory", f"{size(usage['memory'])}{beside}{kills}"
    if usage["cpu"] is not None:
        share = usage["cpu_share"]
        held = usage.get("held_back")  # a daemon not yet renewed does not tell; nor of the next two
        waited = f", held back by cpu_max for {span(held)}" if held else ""
        yield "CPU", span(usage["cpu"]) + (f" ({percent(share)})" if share is not None else "") + waited
    if usage["tasks"] is not None:
        most, refused = usage["tasks_max"], usage.get("forks_refused")
        limit = f" (max {most})" if most is not None else ""
        told = f", {count(refused, 'fork')} refused by tasks_max" if refused else ""
        yield "Tasks", f"{usage['tasks']}{limit}{told}"
    if usage.get("crowded"):
        yield "Files", usage["crowded"]
    if usage["read"] is not None and usage["written"] is not None:
        yield "IO", f"{size(usage['read'])} read, {size(usage['written'])} written"


def _beside(**amounts: float | None) -> str:
    said = [f"{what} {size(amount)}" for what, amount in amounts.items() if amount is not None]
    return f" ({', '.join(said)})" if said else ""


def ordered(units: Sequence[View], key: str) -> list[View]:
    """Most first; of those that are the same by name."""
    return sorted(units, key=lambda one: (-SORTS[key](one), one["name"]))


def table(units: Sequence[View], width: int | None, paint: Paint) -> list[str]:
    rows = [_HEAD, *(_row(one) for one in units)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [_line(row, widths) for row in rows]
    return [paint("bold", cut(lines[0], width)), *(cut(line, width) for line in lines[1:])]


def summary(view: View, key: str) -> str:
    """`12 agents: CPU 31% of 2 processors, memory 340M, 57 tasks; by cpu`."""
    units = view["units"]
    cpu = percent(sum(one["cpu_share"] or 0.0 for one in units))
    memory = size(sum(one["memory"] or 0 for one in units))
    tasks = sum(one["tasks"] or 0 for one in units)
    processors = count(view["processors"], "processor")
    return f"{count(len(units), 'agent')}: CPU {cpu} of {processors}, memory {memory}, {count(tasks, 'task')}; by {key}"


def _row(one: View) -> tuple[str, ...]:
    return (
        cut(one["name"], _LONGEST_NAME),
        state({**one, "load": "loaded"}),
        _said(one["cpu_share"], percent),
        _said(one["memory"], size),
        _said(one["tasks"], str),
        _said(one["read_rate"], size),
        _said(one["write_rate"], size),
        _said(one["cpu"], span),
        str(one["pid"] or "-"),
    )


def _said(value: float | None, how: Callable[[float], str]) -> str:
    return "-" if value is None else how(value)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (
        cell.rjust(width) if column in _RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()
