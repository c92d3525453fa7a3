"""`maestroctl plot`: a start as a picture. One SVG without any parts elsewhere, for light pages and dark ones."""

from __future__ import annotations

from maestro.cli.render.starts import exactly
from maestro.cli.text import count, cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maestro.cli.render.common import View
    from maestro.cli.starting import Window

_WIDTH = 1000  # of the picture; nothing of it depends on how many units there are or how long their names
_NAMES = 240  # for the names, on the left
_ROW, _BAR = 22, 14
_TOP = 74
_LETTERS = 32  # of a name
_MOST_TICKS = 10
_MARGIN = 1.04  # of the time that is shown: so that it can be seen who runs at the end

# class of a phase, and what the legend says of it
_PHASES = {
    "waiting": "asked for, and held back",
    "starting": "starting",
    "running": "ready",
    "failed": "ended before it was ready",
}

_STYLE = """\
svg { color-scheme: light dark; font: 12px sans-serif; max-width: 100%; height: auto; }
.page { fill: #ffffff; }
text { fill: #1f2328; }
.title { font-size: 16px; }
.quiet { fill: #59636e; }
.name { text-anchor: end; }
.grid { stroke: #d1d9e0; }
.waiting { fill: #b6bec8; }
.starting { fill: #d9822b; }
.running { fill: #3c9a5f; }
.failed { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  .page { fill: #15181c; }
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .waiting { fill: #6b7580; }
}"""


def svg(window: Window) -> str:
    height = _TOP + _ROW * len(window.starts) + 60
    scale = (_WIDTH - _NAMES - 20) / _edge(window)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img">',
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        *_head(window),
        *_grid(_edge(window), scale, height - 52),
    ]
    for place, start in enumerate(window.starts):
        parts += _row(start, _TOP + _ROW * place, scale, window)
    return "\n".join([*parts, *_legend(height - 22), "</svg>"]) + "\n"


def _edge(window: Window) -> float:
    """The last moment that is shown, in seconds; even a start that took no time has some room."""
    return max(window.length, 0.001) * _MARGIN


def _head(window: Window) -> Iterator[str]:
    yield f"<title>The start of {escape(window.root)}</title>"
    name = escape(cut(window.root, 2 * _LETTERS))
    yield f'<text class="title" x="16" y="24">The start of {name}: {exactly(window.length)}</text>'
    if window.later:
        said = f"{count(len(window.later), 'unit was', 'units were')} started later, or again, and cannot be shown"
        yield f'<text class="quiet" x="16" y="44">{said}</text>'


def _grid(seconds: float, scale: float, bottom: int) -> Iterator[str]:
    step = _step(seconds)
    for number in range(int(seconds / step) + 1):
        x = _NAMES + number * step * scale
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{bottom}"/>'
        yield f'<text class="quiet" x="{x:.1f}" y="{_TOP - 10}" text-anchor="middle">{exactly(number * step)}</text>'


def _step(seconds: float) -> float:
    """A round number of seconds, of which few fit."""
    step = 0.001
    while True:
        for factor in (1, 2, 5):
            if seconds / (step * factor) <= _MOST_TICKS:
                return step * factor
        step *= 10


def _row(start: View, y: int, scale: float, window: Window) -> Iterator[str]:
    phases = list(_phases(start, window))
    said = ", ".join(f"{kind} for {exactly(end - begin)}" for kind, begin, end in phases if kind != "running")
    yield f"<g><title>{escape(start['name'])}{': ' if said else ''}{said}</title>"
    label = escape(cut(start["name"], _LETTERS))
    yield f'<text class="name" x="{_NAMES - 10}" y="{y + _BAR - 2}">{label}</text>'
    for kind, begin, end in phases:
        until = min(end, _edge(window))
        x, width = _NAMES + begin * scale, max((until - begin) * scale, 1.0)
        yield f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}"/>'
    yield "</g>"


def _phases(start: View, window: Window) -> Iterator[tuple[str, float, float]]:
    """(phase, from, to). What goes on goes on to the edge."""
    asked, began, ready, ended = (start[key] for key in ("asked", "began", "ready", "ended"))
    over = window.lasts if ended is None else ended
    held = over if began is None else began
    if held > asked:
        yield "waiting", asked, held
    if began is None:
        return
    if ready is None:
        yield ("starting" if ended is None else "failed"), began, over
        return
    if ready > began:
        yield "starting", began, ready
    if over > ready:
        yield "running", ready, over


def _legend(y: int) -> Iterator[str]:
    for place, (kind, words) in enumerate(_PHASES.items()):
        x = 16 + 230 * place
        yield f'<rect class="{kind}" x="{x}" y="{y - 11}" width="14" height="{_BAR}"/>'
        yield f'<text x="{x + 20}" y="{y}">{words}</text>'


def escape(text: str) -> str:
    for sign, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#39")):
        text = text.replace(sign, f"&{name};")
    return text
