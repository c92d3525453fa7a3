"""How versions compare, as systemd-analyze(1) says under "compare-versions"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

_PIECE = re.compile(r"[0-9]+|[A-Za-z]+|[~.^-]")
_END = 1  # a version that goes on is newer, unless it goes on with ~
_MARKS = {"~": 0, "-": 2, "^": 3, ".": 4}
_LETTERS, _DIGITS = 5, 6

Key = list[tuple[int, int, str]]

# The longer ones first, so that `>=` is not taken for `>`.
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def order_of(text: str) -> tuple[str, str]:
    """The comparison that a text begins with, and what follows it; an empty one where there is none."""
    found = next((order for order in ORDERS if text.startswith(order)), "")
    return found, text.removeprefix(found).lstrip()


def key(version: str) -> Key:
    """What versions sort by: 1~rc1 < 1 < 1-2 < 1^2 < 1.1 < 1a < 11."""
    return [*map(_rank, _PIECE.findall(version)), (_END, 0, "")]


def _rank(piece: str) -> tuple[int, int, str]:
    if piece in _MARKS:
        return _MARKS[piece], 0, ""
    if piece.isdigit():
        number = piece.lstrip("0")
        return _DIGITS, len(number), number
    return _LETTERS, 0, piece
