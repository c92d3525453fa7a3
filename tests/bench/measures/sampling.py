"""What it costs to know what each of N agents uses, second by second: of quiet ones, and while somebody looks at all of them."""

from __future__ import annotations

import json
import time

from tests.bench import tools
from tests.bench.figures import Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure

_ROUNDS = 10  # of a second


def take(life: Life) -> dict[str, float]:
    """Somebody who looks at one of them makes the manager look at all of them each second; to answer for all costs more."""
    from maestro.control.client import Client

    pids = life.all_overhead()
    with Client(str(life.control_socket())) as client:
        one = _spent(client, pids, [life.names[0]])
        every = _spent(client, pids, [])
    return {"sampling": one, "sampling-told": every}


def _spent(client: object, pids: list[int], names: list[str]) -> float:
    """Per cent of a core."""
    began, spent = time.monotonic(), tools.cpu_seconds(pids)
    for _ in range(_ROUNDS):
        view = client.call("usage", {"units": names})  # type: ignore[attr-defined]
        if not all(unit["memory"] for unit in view["units"]):
            raise tools.Unable(f"this host does not say: {json.dumps(view['units'][0])}")
        tools.pause(1.0)
    return (tools.cpu_seconds(pids) - spent) / (time.monotonic() - began) * 100


MEASURE = Measure(
    name="sampling",
    take=take,
    figures=(
        Figure("sampling", "usage of all agents, each second", "% of a core", (Target(3),)),
        Figure("sampling-told", "the same, told to one who looks at all", "% of a core"),
    ),
)
