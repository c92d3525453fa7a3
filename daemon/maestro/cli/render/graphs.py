"""`maestroctl graph`: dependencies for Graphviz and Mermaid."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maestro.cli.render.common import View

    Arrow = tuple[str, str, str]  # from, to, kind

ORDER = {"ready": "after", "started": "after started"}  # by how far the first has to be
# Kind of dependency -> colour, one that both a light and a dark page show. Where systemd-analyze has the kind, its colour.
COLORS = {
    "requires": "black",
    "requisite": "darkblue",
    "binds_to": "gold",
    "wants": "grey66",
    "conflicts": "red",
    "after": "green",
    "after started": "limegreen",
    "part_of": "purple",
    "upholds": "orange",
    "milestone": "brown",
    "propagates_stop_to": "deeppink",
    "propagates_reload_to": "cyan4",
    "slice": "slateblue",
}
_OTHER = "black"
# Graphviz knows colours by X11's names, a browser does not know all of these.
_CSS = {"black": "#555555", "grey66": "#a8a8a8", "cyan4": "#008b8b"}


def arrows(view: View, order: bool, requirement: bool) -> list[Arrow]:
    """What is drawn: of the units that were named, what touches them; of none, everything."""
    found: dict[Arrow, None] = {}
    if requirement:
        found |= dict.fromkeys((link["by"], link["other"], link["option"]) for link in view["links"])
    if order:
        found |= dict.fromkeys(
            (edge["second"], edge["first"], ORDER[edge["phase"]]) for edge in view["order"]
        )
    named = set(view["named"])
    return sorted(one for one in found if not named or one[0] in named or one[1] in named)


def dot(shown: Iterable[Arrow], alone: Iterable[str]) -> str:
    """For Graphviz: `maestroctl graph | dot -Tsvg`."""
    lines = [f"    {_dot_name(name)};" for name in alone]
    lines += [
        f'    {_dot_name(one)} -> {_dot_name(other)} [color="{COLORS.get(kind, _OTHER)}", tooltip="{kind}"];'
        for one, other, kind in shown
    ]
    legend = [f"    // {kind}: {COLORS.get(kind, _OTHER)}" for kind in _kinds(shown)]
    return "\n".join(["digraph maestro {", *legend, *lines, "}"]) + "\n"


def _dot_name(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def mermaid(shown: Iterable[Arrow], alone: Iterable[str]) -> str:
    """For Markdown pages. Nodes are numbered, as a name may be a word of the language."""
    shown = list(shown)
    names = dict.fromkeys((*alone, *(name for one, other, _ in shown for name in (one, other))))
    numbers = {name: f"n{place}" for place, name in enumerate(names)}
    lines = [f'    {number}["{_mermaid_name(name)}"]' for name, number in numbers.items()]
    lines += [f"    {numbers[one]} -->|{kind}| {numbers[other]}" for one, other, kind in shown]
    for kind in _kinds(shown):
        places = ",".join(str(place) for place, arrow in enumerate(shown) if arrow[2] == kind)
        color = COLORS.get(kind, _OTHER)
        lines.append(f"    linkStyle {places} stroke:{_CSS.get(color, color)}")
    return "\n".join(["flowchart LR", *lines]) + "\n"


def _mermaid_name(name: str) -> str:
    return name.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def _kinds(shown: Iterable[Arrow]) -> list[str]:
    return sorted({kind for _, _, kind in shown})


FORMATS: dict[str, Callable[[Iterable[Arrow], Iterable[str]], str]] = {"dot": dot, "mermaid": mermaid}
