"""`status NAME` as a whole process, with N agents running."""

from __future__ import annotations

import statistics
import sys

from tests.bench import tools
from tests.bench.figures import MAESTRO, Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure

_TIMES = 15


def take(life: Life) -> dict[str, float]:
    command = life.status_command(life.names[-1])
    tools.wall(command)  # once to warm up
    found = {"status": statistics.median(tools.wall(command) for _ in range(_TIMES))}
    if life.name == MAESTRO:
        bare = [sys.executable, "-I", "-S", "-c", "pass"]
        found["status-bare"] = statistics.median(tools.wall(bare) for _ in range(_TIMES))
    return found


MEASURE = Measure(
    name="status",
    take=take,
    figures=(
        Figure("status", "status NAME, the whole process", "ms", (Target(30),)),
        Figure("status-bare", "python -I -S -c pass", "ms"),
    ),
)
