"""The same as a start of all, asked for in one word: a target that wants every agent and is reached when they run."""

from __future__ import annotations

import time

from tests.bench import tools
from tests.bench.figures import Figure
from tests.bench.life import Life
from tests.bench.measures import stop
from tests.bench.measures.measure import Measure


def take(life: Life) -> dict[str, float]:
    if life.pids:
        stop.take(life)
    began = time.monotonic()
    client = life.start_target()
    stamps = life.stamps.take(life.count)
    life.pids = {stamp.name: stamp.pid for stamp in stamps}
    found = {"target-all": max(stamp.at for stamp in stamps) - began}
    if client is not None:
        client.wait(tools.PATIENCE)
        found["target-reached"] = time.monotonic() - began
    return found


MEASURE = Measure(
    name="target",
    take=take,
    figures=(
        Figure("target-all", "start of a target of all: the last runs", "s"),
        Figure("target-reached", "start of a target of all: its verb is done", "s"),
    ),
)
