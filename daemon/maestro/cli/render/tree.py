"""`maestroctl status`: all units as a tree, targets with what they pull in beneath them."""

from __future__ import annotations

from maestro.cli.render.common import coming, error, look, needs, notice, problem, state
from maestro.cli.text import Paint, ago, clean, columns, count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maestro.cli.render.common import View

_SIGN = "\0"  # stands for a unit's sign until widths are known


def tree(view: View, width: int | None, paint: Paint) -> str:
    """The whole picture."""
    units = {unit["name"]: unit for unit in view["units"]}
    rows = [*_rows(units)]
    cells = [(lead, *_cells(units[name], view["now"])) for lead, name in rows]

    def painted(row: int, column: int, cell: str) -> str:
        sign, color = look(units[rows[row][1]])
        if column == 0:
            return cell.replace(_SIGN, paint(color, sign))
        return paint(color if column == 1 else "dim" if column == 2 else "", cell)

    lines = columns(cells, width, painted) or ["no units are loaded"]
    return "\n".join([*lines, *_bad(view["units"], paint), *_notices(view, paint)]) + "\n"


def _cells(unit: View, now: float) -> tuple[str, str, str]:
    words = [clean(unit["cause"]), coming(unit), needs(unit)]
    return state(unit), ago(unit["since"], now), "; ".join(filter(None, words))


def _rows(units: dict[str, View]) -> Iterator[tuple[str, str]]:
    """(what stands before the state, unit) for each line.

    Each unit once: beneath the first target that pulls it in.
    """
    beneath = {name: _pulled(unit, units) for name, unit in units.items()}
    pulled = {name for names in beneath.values() for name in names}
    seen: set[str] = set()
    tops = [name for name in units if name not in pulled]
    for name in sorted(
        [*tops, *(name for name in units if name in pulled)], key=lambda n: _rank(units, tops, n)
    ):
        if name not in seen:
            yield from _branch(name, beneath, seen, "", "")


def _rank(units: dict[str, View], tops: list[str], name: str) -> tuple[bool, bool, str]:
    """Targets and slices that nobody pulls in first, then the other units that nobody does; what is in a circle last."""
    return name not in tops, units[name]["kind"] == "agent", name


def _pulled(unit: View, units: dict[str, View]) -> list[str]:
    if unit["kind"] == "agent":
        return []
    below = (*unit["requires"], *unit["wants"], *unit.get("members", ()))
    return sorted({name for name in below if name in units and name != unit["name"]})


def _branch(
    name: str, beneath: dict[str, list[str]], seen: set[str], here: str, below: str
) -> Iterator[tuple[str, str]]:
    seen.add(name)
    yield f"{here}{_SIGN} {name}", name
    names = [child for child in beneath[name] if child not in seen]
    seen.update(child for child in names if not beneath[child])
    for child in names:
        if child in seen and beneath[child]:
            continue  # pulled in by a target further up in the meantime
        last = child == names[-1]
        yield from _branch(
            child, beneath, seen, below + ("└─" if last else "├─"), below + ("  " if last else "│ ")
        )


def _bad(units: list[View], paint: Paint) -> list[str]:
    bad = [unit for unit in units if unit["problems"]]
    if not bad:
        return []
    title = f"{count(len(bad), 'unit does', 'units do')} not load:"
    problems = dict.fromkeys(problem(one) for unit in bad for one in unit["problems"])
    return ["", paint.red(title), *(f"  {words}" for words in problems)]


def _notices(view: View, paint: Paint) -> list[str]:
    lines = [*view["notices"], *(error(one) for one in view["errors"].values())]
    return ["", *(notice(line, paint) for line in lines)] if lines else []
