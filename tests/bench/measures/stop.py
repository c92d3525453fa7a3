"""From the operator's command to the end of the last agent."""

from __future__ import annotations

import time

from tests.bench import tools
from tests.bench.figures import Figure
from tests.bench.life import Life
from tests.bench.measures.measure import Measure


def take(life: Life) -> dict[str, float]:
    pids = list(life.pids.values())
    began = time.monotonic()
    client = life.stop_all()
    tools.until_gone(pids)
    took = time.monotonic() - began
    if client is not None:
        client.wait(tools.PATIENCE)
    life.pids = {}
    return {"stop-all": took}


MEASURE = Measure(name="stop", take=take, figures=(Figure("stop-all", "stop of all: the last is gone", "s"),))
