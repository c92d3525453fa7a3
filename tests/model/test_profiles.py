"""The pauses of other supervisors, to the millisecond: `supervisors.md` §3 of the project's research, and their documentation."""

from __future__ import annotations

from itertools import pairwise

import pytest

from maestro.engine.state import State
from maestro.model.load import load_text
from maestro.model.unit import Unit
from maestro.testing.theatre import Play, Theatre


def load(**restart: object) -> Unit:
    text = f"agent: {{exec: /bin/x, restart: {{policy: always, {', '.join(f'{k}: {v}' for k, v in restart.items())}}}}}"
    loaded = load_text("web.agent.yaml", text.encode(), "")
    assert loaded.unit is not None, loaded.problems
    return loaded.unit


def pauses(unit: Unit, count: int, chance: float = 0.0, runs: float = 0.0) -> list[float]:
    """The first pauses before restarts of a process that runs this long, on the virtual clock."""
    theatre = Theatre([unit], lambda *_: Play(ends=runs, code=1), chance=chance)
    theatre.ask("start", "web")
    theatre.run(until=20_000)
    starts = theatre.times("web", State.SPAWNING)
    return [after - before - runs for before, after in pairwise(starts)][:count]


def test_systemd_waits_a_tenth_of_a_second_each_time_and_gives_up_at_the_sixth_start() -> None:
    unit = load(profile="systemd")
    assert pauses(unit, 9) == pytest.approx([0.1] * 5)
    assert Theatre([unit]).life("web").state is State.DEAD


@pytest.mark.parametrize(
    ("restart", "expected"),
    [
        (
            {"delay": "100ms", "max_delay": "60s", "steps": 5},
            [0.1, 0.3594, 1.292, 4.644, 16.692, 60, 60, 60],
        ),
        (
            {"delay": "1s", "max_delay": "60s", "steps": 6},
            [1, 1.979, 3.915, 7.746, 15.326, 30.324, 60, 60],
        ),
        ({"delay": "2s", "steps": 5}, [2, 2, 2]),  # both keys are needed
        ({"delay": "2s", "max_delay": "60s"}, [2, 2, 2]),
        ({"delay": "0s", "max_delay": "60s", "steps": 3}, [0, 0, 0]),
    ],
)
def test_systemd_grows_in_steps(restart: dict[str, object], expected: list[float]) -> None:
    unit = load(profile="systemd", start_limits="[20/1s]", **restart)
    assert pauses(unit, len(expected)) == pytest.approx(expected, rel=1e-3)


def test_systemd_never_forgives() -> None:
    unit = load(profile="systemd", delay="1s", max_delay="60s", steps=2, start_limits="[]")
    assert pauses(unit, 4, runs=3600) == pytest.approx([1, 7.746, 60, 60], rel=1e-3)


def test_docker() -> None:
    unit = load(profile="docker")
    assert pauses(unit, 13) == pytest.approx(
        [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60, 60]
    )
    assert pauses(unit, 3, runs=9.9) == pytest.approx([0.1, 0.2, 0.4])
    assert pauses(unit, 3, runs=10.1) == pytest.approx([0.1, 0.1, 0.1])


def test_kubelet() -> None:
    unit = load(profile="kubelet")
    assert pauses(unit, 8) == pytest.approx([10, 20, 40, 80, 160, 300, 300, 300])
    assert pauses(unit, 3, runs=599) == pytest.approx([10, 20, 40])
    assert pauses(unit, 3, runs=601) == pytest.approx([10, 10, 10])


def test_pebble() -> None:
    unit = load(profile="pebble")
    assert pauses(unit, 8) == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30])
    assert pauses(unit, 3, chance=0.99) == pytest.approx([0.5 * 1.099, 1.099, 2.198])
    assert pauses(unit, 3, runs=31) == pytest.approx([0.5, 0.5, 0.5])


def test_each_option_may_still_be_set() -> None:
    unit = load(profile="docker", max_delay="1s", jitter="50%")
    assert pauses(unit, 6, chance=0.5) == pytest.approx([0.125, 0.25, 0.5, 1, 1.25, 1.25])


def test_a_profile_that_is_not_named_changes_nothing() -> None:
    assert pauses(load(start_limits="[]"), 8) == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


def test_what_a_unit_shows_loads_as_the_same() -> None:
    unit = load(profile="kubelet")
    assert unit.agent is not None
    assert str(unit.agent.restart.max_delay) == "5min"
    assert "agent.restart.max_delay" not in unit.origins
