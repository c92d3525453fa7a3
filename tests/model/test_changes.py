"""What a changed option asks of an agent that runs."""

from __future__ import annotations

import pytest

from maestro.model.changes import compare
from maestro.model.load import load_text
from maestro.model.option import Change
from maestro.model.unit import Unit

BASE = "agent: {exec: /bin/a, restart: {delay: 2s}}\n"


def unit(text: str) -> Unit:
    loaded = load_text("web.agent.yaml", text.encode(), "f")
    assert loaded.unit is not None, loaded.problems
    return loaded.unit


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (BASE, {}),
        (f"# {BASE}\n{BASE}unit: {{wants: []}}", {}),
        (BASE.replace("2s", "2000ms"), {}),
        (BASE.replace("2s", "3s"), {"agent.restart.delay": Change.LIVE}),
        (BASE.replace("/bin/a", "/bin/b"), {"agent.exec": Change.RESTART}),
        (f"{BASE}health: {{readiness: {{log: up, timeout: 9s}}}}", {
            "health.readiness.log": Change.RESTART, "health.readiness.timeout": Change.LIVE,
        }),
    ],
)  # fmt: skip
def test_compare(text: str, changes: dict[str, Change]) -> None:
    assert compare(unit(BASE), unit(text)) == changes
    assert compare(unit(text), unit(BASE)) == changes
