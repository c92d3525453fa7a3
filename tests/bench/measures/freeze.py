"""From the word to the moment in which N agents stand still, and go on."""

from __future__ import annotations

import time

from tests.bench.figures import Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure
from tests.bench.tools import Broken


def take(life: Life) -> dict[str, float]:
    from maestro.control.client import Client

    with Client(str(life.control_socket())) as client:
        client.call("hello")
        began = time.monotonic()
        still = client.call("emergency-stop", {"act": "freeze"})
        took = time.monotonic() - began
        if not still["still"]:
            raise Broken(f"not all of them stand still: {still}")
        began = time.monotonic()
        client.call("emergency-stop", {"act": "thaw"})
        thawed = time.monotonic() - began
    return {"freeze": took * 1000, "freeze-kernel": still["took"] * 1000, "thaw": thawed * 1000}


MEASURE = Measure(
    name="freeze",
    take=take,
    figures=(
        Figure("freeze", "emergency stop: all stand still, and it is known of each", "ms", (Target(100),)),
        Figure("freeze-kernel", "until the kernel says so", "ms"),
        Figure("thaw", "and go on", "ms"),
    ),
)
