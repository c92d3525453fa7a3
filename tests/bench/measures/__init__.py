"""All measures, in the order in which they are taken of one life: agents are started, used, and stopped."""

from __future__ import annotations

from tests.bench.measures import (
    api,
    freeze,
    idle,
    kills,
    logs,
    memory,
    recovery,
    sampling,
    sandbox,
    start,
    status,
    stop,
    target,
)
from tests.bench.measures.measure import Measure

MEASURES: tuple[Measure, ...] = (
    start.MEASURE,
    kills.MEASURE,
    status.MEASURE,
    idle.MEASURE,
    sampling.MEASURE,
    freeze.MEASURE,
    sandbox.MEASURE,
    memory.MEASURE,
    api.MEASURE,
    logs.MEASURE,
    recovery.MEASURE,
    stop.MEASURE,
    target.MEASURE,
)
