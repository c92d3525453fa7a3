"""What it costs to supervise N agents that do nothing."""

from __future__ import annotations

import time

from tests.bench import tools
from tests.bench.figures import Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure


def take(life: Life) -> dict[str, float]:
    pids = life.all_overhead()
    began, spent = time.monotonic(), tools.cpu_seconds(pids)
    tools.pause(life.options.idle_seconds)
    return {"idle": (tools.cpu_seconds(pids) - spent) / (time.monotonic() - began) * 100}


MEASURE = Measure(
    name="idle", take=take, figures=(Figure("idle", "CPU while idle", "% of a core", (Target(0.3),)),)
)
