"""One agent is killed: how long until the first instruction of its replacement, the others being idle."""

from __future__ import annotations

import time

from tests.bench import tools
from tests.bench.figures import Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure, percentile

_LONGEST = 20.0  # seconds that may be spent on a supervisor that is slow at it


def take(life: Life) -> dict[str, float]:
    took: list[float] = []
    deadline = time.monotonic() + _LONGEST
    for name in life.names[: life.options.kills]:
        if time.monotonic() > deadline:
            break
        killed = time.monotonic()
        life.kill_agent(name)
        stamp = life.stamps.take(1, within=20)[0]
        life.pids[name] = stamp.pid
        took.append((stamp.at - killed) * 1000)
        tools.pause(0.02)
    return {"kill-p50": percentile(took, 0.5), "kill-p99": percentile(took, 0.99)}


MEASURE = Measure(
    name="kills",
    take=take,
    figures=(
        Figure("kill-p50", "kill → replacement runs, p50", "ms", (Target(3),)),
        Figure("kill-p99", "kill → replacement runs, p99", "ms", (Target(15),)),
    ),
)
