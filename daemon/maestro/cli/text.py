"""Words, times, colours and columns for the terminal. All pure."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
_PREFIXES = ("cyan", "yellow", "green", "magenta", "blue")


class Paint:
    """Colours, or none."""

    __slots__ = ("on",)

    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, color: str, text: str) -> str:
        return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if self.on and color and text else text

    def red(self, text: str) -> str:
        return self("red", text)

    def name(self, text: str) -> str:
        """In the colour that a unit always has."""
        return self(_PREFIXES[sum(text.encode()) % len(_PREFIXES)], text)


def clean(text: str) -> str:
    """Without what would steer the terminal: what an agent wrote must not repaint the operator's screen."""
    if text.isprintable():
        return text
    if "\x1b" in text:
        import re

        text = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\^_])", "", text)
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


def span(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for size, unit, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit} {rest} {part}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def size(number: float) -> str:
    """Bytes: `64M`, `1.5G`, `12.3M`."""
    units = ["", "K", "M", "G", "T", "P"]
    while number >= 1023.95 and len(units) > 1:
        number /= 1024
        del units[0]
    return f"{number:.1f}".removesuffix(".0") + units[0]


def percent(share: float) -> str:
    """Of one processor: `0.4%`, `12%`, `150%`."""
    number = share * 100
    return f"{number:.1f}%" if number < 9.95 else f"{number:.0f}%"


def ago(then: float, now: float) -> str:
    """`2 min ago`: one unit is enough beside a date."""
    seconds = now - then
    if not then:
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago" if seconds >= 1 else "now"


def stamp(then: float, fraction: bool = False) -> str:
    """Local time: `2026-11-21 10:00:01`."""
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(then))
    return f"{text}.{int(then * 1000) % 1000:03d}" if fraction else text


def cut(text: str, width: int | None) -> str:
    """No longer than `width`."""
    if width is None or len(text) <= width:
        return text
    return f"{text[: max(width - 1, 0)]}…"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def columns(
    rows: Sequence[Sequence[str]],
    width: int | None = None,
    painted: Callable[[int, int, str], str] | None = None,
    *,
    widest: int | None = None,
) -> list[str]:
    """Rows as aligned lines. The last column is not padded, and cut where the terminal ends.

    A cell longer than `widest` moves the rest of its own row only.

    `painted` colours a cell, given its row and column, after its width was taken.
    """
    if not rows:
        return []
    last = len(rows[0]) - 1
    widths = [max(len(row[column]) for row in rows) for column in range(last)]
    if widest is not None:
        widths = [min(size, widest) for size in widths]
    left = None if width is None else max(width - sum(widths) - 2 * last, 10)
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(size) for cell, size in zip(row, widths, strict=False)] + [cut(row[last], left)]
        if painted is not None:
            cells = [painted(number, column, cell) for column, cell in enumerate(cells)]
        lines.append("  ".join(cells).rstrip())
    return lines
