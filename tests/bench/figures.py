"""Figures, what is expected of them, and the table."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

MAESTRO = "maestro"


@dataclass(frozen=True)
class Target:
    """Maestro's figure is to be at most `limit`, or at most `limit` times that of `against` in the same run."""

    limit: float
    against: str = ""  # a subject; empty: the limit is absolute

    def words(self, unit: str) -> str:
        if not self.against:
            return f"≤ {self.limit:g} {unit}"
        return f"≤ {self.limit:g} × {self.against}" if self.limit != 1 else f"less than {self.against}"


@dataclass(frozen=True)
class Figure:
    """One line of the table: `key` is what the measure calls it."""

    key: str
    title: str
    unit: str
    targets: tuple[Target, ...] = ()
    more_is_better: bool = False


class Results:
    """Values by (figure, subject), one for each run. A run where it could not be measured holds no value."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        self.skipped: dict[str, str] = {}  # what -> why

    def note(self, run: int, subject: str, values: dict[str, float]) -> None:
        for key, value in values.items():
            self._values[key, subject][run] = value

    def subjects(self, key: str) -> list[str]:
        return [subject for one, subject in self._values if one == key]

    def values(self, key: str, subject: str) -> list[float]:
        return list(self._values.get((key, subject), {}).values())

    def ratios(self, key: str, against: str) -> list[float]:
        """Maestro's value over another's, run by run."""
        ours, theirs = (self._values.get((key, one), {}) for one in (MAESTRO, against))
        return [ours[run] / theirs[run] for run in ours if theirs.get(run)]

    def judge(self, figure: Figure, target: Target) -> tuple[float, bool] | None:
        """The median of what the target speaks of, and whether it is met; None where it was not measured."""
        values = (
            self.ratios(figure.key, target.against) if target.against else self.values(figure.key, MAESTRO)
        )
        if not values:
            return None
        median = statistics.median(values)
        return median, median <= target.limit

    # ------------------------------------------------------------------------------ shown

    def table(self, figures: list[Figure]) -> str:
        rows: list[tuple[str, ...]] = [("", "", "min", "median", "max", "", "Maestro is", "target")]
        for figure in figures:
            for number, subject in enumerate(self.subjects(figure.key)):
                rows.append(self._row(figure, subject, first=number == 0))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(_line(row, widths) for row in rows)

    def _row(self, figure: Figure, subject: str, *, first: bool) -> tuple[str, ...]:
        values = self.values(figure.key, subject)
        low, middle, high = (_number(one) for one in (min(values), statistics.median(values), max(values)))
        ratio = ""
        if subject != MAESTRO and (ratios := self.ratios(figure.key, subject)):
            ratio = f"{_number(statistics.median(ratios))} × this"
        said = [
            f"{target.words(figure.unit)}: {'met' if judged[1] else 'NOT MET'}"
            for target in figure.targets
            if target.against == (subject if subject != MAESTRO else "")
            and (judged := self.judge(figure, target))
        ]
        return (
            figure.title if first else "",
            subject,
            low,
            middle,
            high,
            figure.unit,
            ratio,
            "; ".join(said),
        )

    def plain(self, figures: list[Figure]) -> list[dict[str, Any]]:
        return [
            {
                "figure": figure.key,
                "title": figure.title,
                "unit": figure.unit,
                "subject": subject,
                "values": (values := self.values(figure.key, subject)),
                "min": min(values),
                "median": statistics.median(values),
                "max": max(values),
                "ratios": self.ratios(figure.key, subject) if subject != MAESTRO else [],
                "targets": [
                    {"target": target.words(figure.unit), "value": judged[0], "met": judged[1]}
                    for target in figure.targets
                    if subject == MAESTRO and (judged := self.judge(figure, target))
                ],
            }
            for figure in figures
            for subject in self.subjects(figure.key)
        ]


def _number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    right = (2, 3, 4)
    cells = [
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
