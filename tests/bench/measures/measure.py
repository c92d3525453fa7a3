"""What a measure is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.figures import Figure
from tests.bench.life import Life


@dataclass(frozen=True)
class Measure:
    """`take` is asked once for each life; returns values by the keys of `figures`, or raises `Unable`."""

    name: str
    figures: tuple[Figure, ...]
    take: Callable[[Life], dict[str, float]]
    needed: bool = False  # taken even when not asked for: the others build on it


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
