"""`maestroctl budget`: what was used, what is left, and until when."""

from __future__ import annotations

from maestro.cli.text import Paint, columns, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maestro.cli.render.common import View

_HEAD = ("UNIT", "RESOURCE", "WINDOW", "USED", "LIMIT", "LEFT", "%", "ON EXHAUSTED", "UNTIL")
_SIZES = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


def table(budgets: Sequence[View], width: int | None, paint: Paint) -> str:
    found = [(one, limit) for one in budgets for limit in one["limits"]]
    rows = [_HEAD, *(_row(one, limit) for one, limit in found)]

    def painted(row: int, column: int, cell: str) -> str:
        if row == 0:
            return paint("bold", cell)
        return paint(_color(*found[row - 1]), cell) if column == 6 else cell

    return "\n".join(columns(rows, width, painted)) + "\n"


def _color(budget: View, limit: View) -> str:
    if limit["exhausted"]:
        return "red"
    return "yellow" if limit["percent"] >= budget["warn_at"] else ""


def _row(budget: View, limit: View) -> tuple[str, ...]:
    granted = f" (+{_amount(limit, 'granted')})" if limit["granted"] else ""
    return (
        budget["unit"],
        limit["resource"],
        limit["window"],
        _amount(limit, "used"),
        _amount(limit, "limit") + granted,
        _amount(limit, "left"),
        f"{limit['percent']}%",
        budget["on_exhausted"],
        limit["ends_at"] or "its end",
    )


def _amount(limit: View, field: str) -> str:
    value = limit[field]
    if limit["unit"] == "seconds":
        return span(value)
    if limit["unit"] == "count":
        return f"{value:g}"
    for size, letter in _SIZES:
        if value >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}"
