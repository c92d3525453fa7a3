"""Tables and lines: list, events, audit, show, cat, reload."""

from __future__ import annotations

from maestro.cli.render.common import look, needs, problem, state
from maestro.cli.text import Paint, ago, clean, columns, count, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from maestro.cli.render.common import View

_HEAD = ("NAME", "KIND", "STATE", "ENABLED", "PID", "RESTARTS", "SINCE", "DESCRIPTION")
_WIDEST_ACTION = 40  # characters that results are moved right for: an action may name hundreds of units


def table(view: View, width: int | None, paint: Paint) -> str:
    """`maestroctl list`."""
    units = view["units"]
    rows = [_HEAD, *(_row(unit, view["now"]) for unit in units)]

    def painted(row: int, column: int, cell: str) -> str:
        if row == 0:
            return paint("bold", cell)
        return paint(look(units[row - 1])[1], cell) if column == 2 else cell

    return "\n".join(columns(rows, width, painted)) + "\n"


def _row(unit: View, now: float) -> tuple[str, ...]:
    return (
        unit["name"],
        unit["kind"],
        ", ".join(filter(None, (state(unit), needs(unit)))),
        "yes" if unit["enabled"] else "no",
        str(unit["pid"] or "-"),
        str(unit["restarts"]),
        ago(unit["since"], now) or "-",
        clean(unit["description"]),
    )


def event(view: View, paint: Paint) -> str:
    when = paint("dim", f"{stamp(view['time'])} #{view['seq']}")
    who = f"{paint.name(view['unit'])}: " if view["unit"] else ""
    return f"{when}  {who}{view['kind']}{': ' if view['words'] else ''}{clean(view['words'])}"


def audit(entries: list[View]) -> str:
    rows = [("TIME", "WHO", "PID", "ACTION", "RESULT")]
    for entry in entries:
        when = stamp(entry["time"])
        rows.append((when, entry["who"], str(entry["pid"]), clean(entry["action"]), clean(entry["result"])))
    return "\n".join(columns(rows, widest=_WIDEST_ACTION)) + "\n"


def options(items: Sequence[View], paint: Paint) -> str:
    """`maestroctl show`: each option, and where it was set if it was; units by name where there are several."""
    titles = [f"{paint('bold', item['name'])}\n" if len(items) > 1 else "" for item in items]
    return "\n".join(title + _options(item, paint) for title, item in zip(titles, items, strict=True))


def _options(view: View, paint: Paint) -> str:
    lines = [paint.red(problem(one)) for one in view.get("problems", ())]
    for name, value in view["options"].items():
        origin = view["origins"].get(name)
        where = paint("dim", f"  # {origin}") if origin else ""
        lines.append(f"{paint('bold', name)} = {_value(value)}{where}")
    if view.get("tiers"):
        lines.append(paint("dim", f"# confined by {', '.join(view['tiers'])}"))
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return clean(value) or '""'
    import json

    return json.dumps(value, ensure_ascii=False)


def pieces(items: Sequence[View], paint: Paint) -> str:
    """`maestroctl cat`."""
    return "\n".join(_pieces(item, paint) for item in items)


def _pieces(view: View, paint: Paint) -> str:
    texts = []
    for path, text in view["pieces"]:
        body = text if text.endswith("\n") else f"{text}\n"
        texts.append(f"{paint('dim', f'# {path}')}\n{body}")
    return "\n".join(texts) or f"# {view['name']} has no file\n"


def reloaded(view: View, paint: Paint) -> str:
    words = [f"{count(view['units'], 'unit')} loaded"]
    words += [f"{kind}: {', '.join(view[kind])}" for kind in ("added", "changed", "removed") if view[kind]]
    lines = ["; ".join(words)]
    for unit, asked in view.get("asked", {}).items():
        verb = "restart" if "restart" in asked.values() else "reload"
        lines.append(f"  {unit} needs: maestroctl {verb} {unit}, for {', '.join(asked)}")
    if view["problems"]:
        lines.append(paint.red(f"{count(len(view['problems']), 'problem')}:"))
        lines += [f"  {problem(one)}" for one in view["problems"]]
    if view["warnings"]:
        lines.append(paint("yellow", f"{count(len(view['warnings']), 'warning')}:"))
        lines += [f"  {problem(one)}" for one in view["warnings"]]
    return "\n".join(lines) + "\n"
