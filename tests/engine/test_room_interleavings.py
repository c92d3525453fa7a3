"""Random interleavings of verbs, deaths of the manager, memory that runs out and comes back, searched for a broken promise."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.engine.freezing import PRESSURE
from maestro.engine.state import ALIVE, Goal, State
from maestro.model.unit import RestartSection, StopSection, Unit
from maestro.model.values import Seconds, StartLimit, StopStep
from maestro.testing.theatre import Play, unit
from tests.engine.around import befall
from tests.engine.hosts import Host, M, agent, limited

pytestmark = pytest.mark.timeout(1800)  # a long search, on a busy machine
MANY = int(os.environ.get("MAESTRO_INTERLEAVINGS", "300"))
search = settings(max_examples=MANY, deadline=None, database=None, suppress_health_check=list(HealthCheck))

STOP = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL 5s")))
QUICK = RestartSection(delay=Seconds("200ms"), max_delay=Seconds(5), start_limits=(StartLimit("4/10s"),))
HELD: dict[str, Any] = {"stop": STOP, "restart": QUICK}
INSIDE = ("small", "other", "third")  # 300 M of 500 M each time two of them run
UNITS: tuple[Unit, ...] = (
    limited("room.slice", "500M", "2"),
    unit("room-inner.slice"),
    agent("small", "200M", 3, slice="room.slice", **HELD),
    agent("other", "200M", slice="room.slice", **HELD),
    agent("third", "200M", 9, slice="room-inner.slice", requires=("db",), after=("db",), **HELD),
    agent("vast", "3G", 50, **HELD),
    agent("db", "600M", type="notify", start_timeout=Seconds(10), **HELD),
    agent("big", "900M", -5, **HELD),
    agent("free", priority=2, **HELD),
    agent("firm", "600M", 7, on_pressure="none", **HELD),
)
NAMES = [one.name for one in UNITS if one.kind == "agent"]

plays = st.builds(
    Play,
    ready=st.sampled_from([None, 0.0, 0.3, 20.0]),
    ends=st.sampled_from([None, None, None, 0.1, 7.0]),
    code=st.sampled_from([0, 1]),
    signal=st.sampled_from([None, None, 9]),
    slow=st.sampled_from([0.0, 1.0]),
    leaves=st.sampled_from([0, 0, 0, 2]),
    cannot=st.sampled_from(["", "", "", "", "cannot fork: resource temporarily unavailable"]),
)
verbs = st.sampled_from(
    [
        *("start", "start", "stop", "restart", "freeze", "thaw", "cancel", "hold", "release"),
        *("start!", "stop!", "freeze!"),
    ]
)
acts = st.lists(
    st.one_of(
        st.tuples(verbs, st.sampled_from([*NAMES, *NAMES, "room.slice"])),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.5, 3.0, 40.0])),
        st.tuples(st.just("kill"), st.booleans()),
        st.tuples(st.just("away"), st.sampled_from([0.2, 3.0, 30.0])),
        st.tuples(st.just("uses"), st.tuples(st.sampled_from(NAMES), st.sampled_from([0, 100, 700]))),
        st.tuples(st.just("free"), st.sampled_from([100, 1000, 2048, 2048])),
        st.tuples(st.just("press"), st.integers(1, 6)),
    ),
    min_size=1,
    max_size=16,
)


def perform(cast: list[Play], acts: list[tuple[str, Any]]) -> Host:
    host = Host(UNITS, lambda name, number: cast[(number + len(name)) % len(cast)])
    host.ask("start", *NAMES)
    for verb, what in acts:
        if verb == "uses":
            name, amount = what
            host.uses[name] = amount
        elif verb == "free":
            host.free = int(what)
        elif verb == "press":
            host.press(int(what))
        else:
            befall(host, [(verb, what)])
        is_true(host)
    return host


def is_true(host: Host) -> None:
    """What holds at every moment."""
    assert host.two_at_once == []
    room = host.world.room
    frozen = {name for name in NAMES if host.life(name).state is State.FROZEN}
    assert room.frozen == {name for name in frozen if host.life(name).frozen_for == PRESSURE}
    assert "firm" not in room.frozen
    for name in NAMES:
        life = host.life(name)
        assert name not in room.line or life.state is State.WAITING
        if life.state is State.WAITING:
            assert life.blocked_by or (name in room.line and life.cause), f"{name} waits for nothing"


@search
@given(st.lists(plays, min_size=1, max_size=5), acts)
def test_promises(cast: list[Play], acts: list[tuple[str, object]]) -> None:
    host = perform(cast, acts)
    host.uses, host.free = {}, 2048
    host.run(until=host.now + 500)
    is_true(host)
    room = host.world.room
    frozen = {host.life(name).agent for name in NAMES if host.life(name).state is State.FROZEN}
    held = {host.life(name).agent for name in NAMES if host.life(name).frozen_for == "emergency-stop"}
    assert host.still - held == frozen - held, "what stands still is what is frozen"
    assert room.frozen == set(), "the host has memory"
    inside = [name for name in INSIDE if host.life(name).alive]
    assert len(inside) <= 2, "the slice has two tasks"
    assert sum(room.asks(host.declared[name]) for name in NAMES if host.life(name).alive) <= (2048 - 64) * M
    for name in NAMES:
        life = host.life(name)
        assert not (life.goal is Goal.DOWN and life.state in ALIVE), f"{name} should be down: {life.cause}"
    waits = sorted(room.line.values(), key=lambda wait: wait.rank)
    for wait in waits:
        if not wait.never and not room.is_held:
            wants = room.wants(host.declared[wait.rank[2]])
            short = any(room.left[key] < amount for key, amount in wants.items() if key in room.left)
            before = any(one.needs & wait.needs for one in waits if one.rank < wait.rank)
            assert short or before, f"{wait} has all it needs, and is first"
    host.ask("stop", *NAMES)
    host.run(until=host.now + 100)
    left = [*host.alive, *host.leftovers, *host.world.room.line, *host.world.book.jobs.values()]
    assert left == []
    assert host.world.room.due is None
