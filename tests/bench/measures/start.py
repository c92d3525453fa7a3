"""From the operator's command to the first instruction of the last of N agents."""

from __future__ import annotations

import time

from tests.bench import tools
from tests.bench.figures import Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure


def take(life: Life) -> dict[str, float]:
    spent = _cpu(life)
    began = time.monotonic()
    client = life.start_all()
    stamps = life.stamps.take(life.count)
    life.pids = {stamp.name: stamp.pid for stamp in stamps}
    if client is not None:
        client.wait(tools.PATIENCE)
    tools.pause(1.0)  # let it come to rest: what it does afterwards is part of its cost
    return {
        "start-first": min(stamp.at for stamp in stamps) - began,
        "start-all": max(stamp.at for stamp in stamps) - began,
        "start-cpu": _cpu(life) - spent,
    }


def _cpu(life: Life) -> float:
    return tools.cpu_seconds(life.all_overhead())


MEASURE = Measure(
    name="start",
    needed=True,
    take=take,
    figures=(
        Figure("start-first", "start of all: the first runs", "s"),
        Figure(
            "start-all", "start of all: the last runs", "s", (Target(1, "supervisord"), Target(3, "C loop"))
        ),
        Figure("start-cpu", "start of all: CPU of the supervisor", "s"),
    ),
)
