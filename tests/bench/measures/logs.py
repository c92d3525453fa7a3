"""One agent writes lines of 100 bytes as fast as they are taken."""

from __future__ import annotations

from tests.bench import tools
from tests.bench.figures import Figure
from tests.bench.life import Life
from tests.bench.measures.measure import Measure


def take(life: Life) -> dict[str, float]:
    pids = life.all_overhead()
    spent = tools.cpu_seconds(pids)
    life.start_writer()
    began, ended = life.stamps.take(2)
    tools.pause(0.3)  # what is still in the pipe
    size = life.options.log_bytes / 1e9
    return {
        "log-rate": size * 1000 / (ended.at - began.at),
        "log-cpu": (tools.cpu_seconds(pids) - spent) / size,
    }


MEASURE = Measure(
    name="logs",
    take=take,
    figures=(
        Figure("log-rate", "log of one writer", "MB/s", more_is_better=True),
        Figure("log-cpu", "log of one writer: CPU", "s/GB"),
    ),
)
