"""`maestroctl list-dependencies`: what hangs on a unit, as a tree."""

from __future__ import annotations

from maestro.cli.render.common import look
from maestro.cli.text import Paint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from maestro.cli.render.common import View

# As systemd shows them: what a start of the unit takes along, and what says that it is a part of it.
_TAKES_ALONG = ("requires", "requisite", "wants", "binds_to", "upholds", "milestone", "slice")
_PART_OF = "part_of"

ABOVE, CIRCLE = "above", "circle"  # why what hangs on a unit is not shown at this place
_LOADS = {"missing": "there is no such unit", "bad": "does not load"}


class Row:
    """One line. `beneath` says for each level whether more of it follows."""

    __slots__ = ("beneath", "mark", "name", "parent")

    def __init__(self, name: str, parent: str, beneath: tuple[bool, ...], mark: str) -> None:
        self.name = name
        self.parent = parent
        self.beneath = beneath
        self.mark = mark

    def view(self, states: dict[str, View]) -> dict[str, object]:
        node = states[self.name]
        depth = len(self.beneath)
        return {"name": self.name, "depth": depth, "parent": self.parent, "mark": self.mark} | {
            key: node[key] for key in ("load", "state", "fine")
        }


def arcs(view: View, which: str) -> dict[str, list[str]]:
    """Unit -> what hangs on it, by name. `which`: requirement, reverse, after or before."""
    found: dict[str, set[str]] = {}
    for upper, lower in _pairs(view, which):
        found.setdefault(upper, set()).add(lower)
    return {name: sorted(others) for name, others in found.items()}


def early(view: View, which: str) -> set[tuple[str, str]]:
    """The pairs of which the first waits only until the other is started, as a tree of this kind has them."""
    pairs = [(edge["second"], edge["first"]) for edge in view["order"] if edge["phase"] == "started"]
    return {"after": set(pairs), "before": {pair[::-1] for pair in pairs}}.get(which, set())


def _pairs(view: View, which: str) -> Iterator[tuple[str, str]]:
    if which in ("after", "before"):
        for edge in view["order"]:
            pair = (edge["second"], edge["first"])
            yield pair if which == "after" else pair[::-1]
        return
    for link in view["links"]:
        if link["option"] in _TAKES_ALONG or link["option"] == _PART_OF:
            pair = (link["by"], link["other"])
            forward = (link["option"] in _TAKES_ALONG) == (which == "requirement")
            yield pair if forward else pair[::-1]


def rows(root: str, beneath: dict[str, list[str]], whole: bool) -> Iterator[Row]:
    """The tree as lines. Each unit is taken apart once: what hangs together in many ways would never end.

    Unless it is the whole tree, only targets are taken apart, as systemctl does.
    """
    done: set[str] = set()
    on_branch: list[str] = []
    todo: list[tuple[str, str, tuple[bool, ...]]] = [(root, "", ())]
    while todo:  # no recursion: a chain may be longer than Python's stack
        name, parent, follows = todo.pop()
        del on_branch[len(follows) :]
        below = beneath.get(name, ()) if whole or not follows or name.endswith(".target") else ()
        mark = (CIRCLE if name in on_branch else ABOVE if name in done else "") if below else ""
        if name in on_branch:
            mark = CIRCLE
        yield Row(name, parent, follows, mark)
        on_branch.append(name)
        if mark:
            continue
        done.add(name)
        for place, child in reversed(tuple(enumerate(below))):
            todo.append((child, name, (*follows, place < len(below) - 1)))


def tree(lines: Iterable[Row], states: dict[str, View], early: set[tuple[str, str]], paint: Paint) -> str:
    """A dot in the colour of the state, then the branch."""
    return "".join(
        f"{_line(row, states[row.name], (row.parent, row.name) in early, paint)}\n" for row in lines
    )


def _line(row: Row, node: View, early: bool, paint: Paint) -> str:
    sign, color = look(node)
    lead = ""
    if row.beneath:
        above = "".join("│ " if more else "  " for more in row.beneath[:-1])
        lead = above + ("├─" if row.beneath[-1] else "└─")
    said = ["once started" if early else "", row.mark, _LOADS.get(node["load"], "")]
    words = ", ".join(filter(None, said))
    return f"{paint(color, sign)} {lead}{row.name}{paint('dim', f' ({words})') if words else ''}"


def plain(lines: Sequence[Row]) -> str:
    """Names for programs, each once."""
    return "".join(f"{name}\n" for name in dict.fromkeys(row.name for row in lines))
