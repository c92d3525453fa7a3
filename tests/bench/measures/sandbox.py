"""What a sandbox costs: one agent's start without and within, turn by turn, and what each of its rounds of work takes there."""

from __future__ import annotations

import statistics
import time

from tests.bench import tools
from tests.bench.figures import Figure, Target
from tests.bench.life import LEVELS, Life
from tests.bench.measures.measure import Measure

_STARTS = 20  # of each kind
_TOILS = 15
_KINDS = {"c": "a C program", "python": "a Python program"}
_WORK = {"compute": "arithmetic", "chores": "a Python program's chores", "calls": "open, read, close"}


def take(life: Life) -> dict[str, float]:
    found: dict[str, float] = {}
    stamps = life.confined
    for kind in _KINDS:
        wall, cpu = _starts(life, stamps, kind)
        for level in LEVELS:
            found[f"{kind}-{level}"] = wall[level]
            found[f"{kind}-{level}-cpu"] = cpu[level]
        found[f"{kind}-ratio"] = wall["strict"] / wall["none"]
        found[f"{kind}-more"] = wall["strict"] - wall["none"]
    for work in _WORK:
        found[f"steady-{work}"] = _steady(life, stamps, work)
    return found


def _starts(life: Life, stamps: tools.Stamps, kind: str) -> tuple[dict[str, float], dict[str, float]]:
    """Medians in milliseconds, from the request to the first instruction, and the processor time of all who had a hand in it."""
    walls: dict[str, list[float]] = {level: [] for level in LEVELS}
    cpus: dict[str, list[float]] = {level: [] for level in LEVELS}
    daemon = life.all_overhead()
    for _ in range(_STARTS):
        for level in LEVELS:
            name = f"{kind}-{level}"
            spent, began = tools.cpu_seconds(daemon), time.monotonic()
            life.ask("start", name)
            ran, used = stamps.take(2, within=20)
            walls[level].append((ran.at - began) * 1000)
            cpus[level].append((used.at + tools.cpu_seconds(daemon) - spent) * 1000)
            life.ask("stop", name)
    return _medians(walls), _medians(cpus)


def _steady(life: Life, stamps: tools.Stamps, work: str) -> float:
    """How much more processor time the same work takes in strict, in per cent.

    By the least of many turns of each: whoever shares the core adds up to the double to a turn, and takes nothing from any.
    """
    took: dict[str, list[float]] = {"none": [], "strict": []}
    for turn in range(_TOILS):
        for level in ("none", "strict") if turn % 2 else ("strict", "none"):
            life.ask("start", f"{work}-{level}")
            took[level].append(stamps.take(1, within=60)[0].at)
    return (min(took["strict"]) / min(took["none"]) - 1) * 100


def _medians(values: dict[str, list[float]]) -> dict[str, float]:
    return {level: statistics.median(found) for level, found in values.items()}


def _figures() -> tuple[Figure, ...]:
    found = []
    for kind, words in _KINDS.items():
        found += [Figure(f"{kind}-{level}", f"start of {words}, {level}", "ms") for level in LEVELS]
        found += [Figure(f"{kind}-ratio", "strict is", "× none", (Target(2),))]
        found += [Figure(f"{kind}-more", "strict takes more", "ms", (Target(15),))]
        found += [Figure(f"{kind}-{level}-cpu", f"CPU of that start, {level}", "ms") for level in LEVELS]
    found += [
        Figure(f"steady-{work}", f"in strict, {words} takes more", "%", (Target(1),))
        for work, words in _WORK.items()
    ]
    return tuple(found)


MEASURE = Measure(name="sandbox", take=take, figures=_figures())
