"""Memory of everything that is not an agent."""

from __future__ import annotations

from tests.bench import tools
from tests.bench.figures import Figure, Target
from tests.bench.life import Life
from tests.bench.measures.measure import Measure


def take(life: Life) -> dict[str, float]:
    roles = {role: tools.pss(pids) for role, pids in life.overhead().items()}
    found = {"pss": sum(roles.values())}
    if len(roles) > 1:
        found |= {f"pss-{role}": value for role, value in roles.items()}
    return found


MEASURE = Measure(
    name="memory",
    take=take,
    figures=(
        Figure("pss", "memory (PSS)", "MB", (Target(55),)),
        Figure("pss-keeper", "  of it the keeper", "MB"),
        Figure("pss-manager", "  of it the manager", "MB"),
    ),
)
