"""The manager is killed: how long until a client that was told nothing has its answer, of the next manager."""

from __future__ import annotations

import time

from tests.bench.figures import Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure


def take(life: Life) -> dict[str, float]:
    began = time.monotonic()
    life.lose_manager()
    return {"recovery": time.monotonic() - began}


MEASURE = Measure(
    name="recovery",
    take=take,
    figures=(Figure("recovery", "manager killed → control answers", "s", (Target(1.0),)),),
)
