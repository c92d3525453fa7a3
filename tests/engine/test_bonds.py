"""Random interleavings again, of units that hang together in every way there is.

MAESTRO_INTERLEAVINGS sizes this search, too: the default run does 3,000 of these.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.engine.events import Event
from maestro.engine.state import ALIVE, Goal, State
from maestro.engine.step import Step
from maestro.model.unit import RestartSection
from maestro.model.values import Seconds
from maestro.testing.theatre import Play, Theatre, unit
from tests.engine.around import befall
from tests.engine.test_interleavings import ENDS, MANY, QUICK, STOP, casts

pytestmark = pytest.mark.timeout(1800)
search = settings(
    max_examples=MANY * 3000 // 5200, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
some = settings(search, max_examples=max(MANY // 10, 100))

ONCE = RestartSection(policy="no")
LIMITED = {"stop": STOP, "start_timeout": Seconds(10)}
UNITS = (
    unit("db", type="notify", restart=QUICK, **LIMITED),
    unit("bound", binds_to=["db"], after=["db"], restart=QUICK, **LIMITED),
    unit("loose", binds_to=["db"], restart=ENDS, **LIMITED),  # no order: it is bound all the same
    unit("part", part_of=["db"], milestone=["seed"], after=["seed"], restart=QUICK, **LIMITED),
    unit("seed", type="oneshot", restart=ONCE, **LIMITED),
    unit("keeper", upholds=["kept"], restart=QUICK, **LIMITED),
    unit("kept", restart=ONCE, **LIMITED),
    unit("blue", conflicts=["green"], exclusive=["gpu"], restart=QUICK, **LIMITED),
    unit("green", type="notify", restart=QUICK, on_failure=["helper"], **LIMITED),
    unit("other", exclusive=["gpu"], propagates_stop_to=["helper"], restart=ENDS, **LIMITED),
    unit("helper", requisite=["db"], on_give_up=["seed"], restart=ENDS, **LIMITED),
)
NAMES = [one.name for one in UNITS]
APART = (("blue", "green"), ("blue", "other"))
VERBS = ["start", "stop", "restart", "try-restart", "reload-or-restart", "cancel", "reset-failed"]

acts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([*VERBS, "start", "stop"]), st.sampled_from(NAMES)),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.1, 0.5, 3.0, 12.0])),
        st.tuples(st.just("kill"), st.booleans()),
        st.tuples(st.just("away"), st.sampled_from([0.0, 0.2, 3.0, 30.0])),
    ),
    min_size=1,
    max_size=14,
)


class Watched(Theatre):
    """Looks at every moment whether two run beside each other that must not."""

    def feed(self, event: Event, *, carry: bool = True) -> Step:
        step = super().feed(event, carry=carry)
        running = {agent.partition("#")[0] for agent in self.alive}
        for one, other in APART:
            assert not {one, other} <= running, f"{one} beside {other}, after {event}"
        return step


def perform(cast: list[Play], acts: list[tuple[str, object]]) -> Theatre:
    theatre = Watched(UNITS, lambda name, number: cast[(number + len(name)) % len(cast)], chance=0.5)
    return befall(theatre, acts)


@search
@given(casts, acts)
def test_what_hangs_together_holds(cast: list[Play], acts: list[tuple[str, object]]) -> None:
    theatre = perform(cast, acts)
    theatre.run(until=theatre.now + 400)
    assert theatre.two_at_once == [], "never two copies"
    for name in NAMES:
        life = theatre.life(name)
        assert not (life.goal is Goal.DOWN and life.state in ALIVE), f"{name} should be down: {life.cause}"
        assert life.state is not State.WAITING or life.blocked_by, f"{name} waits for nothing"
        assert life.coarse == "inactive" or life.cause, f"{name} is {life.state} and does not say why"
    for name in ("bound", "loose"):
        if theatre.life(name).state is State.RUNNING:
            assert theatre.life("db").state is State.RUNNING, f"{name} runs without what it is bound to"


@some
@given(casts, acts)
def test_a_stop_of_all_converges(cast: list[Play], acts: list[tuple[str, object]]) -> None:
    theatre = perform(cast, acts)
    theatre.ask("stop", *NAMES)
    theatre.run(until=theatre.now + 200)
    # What had failed may have started its helper in the moment before: that is stopped by the next.
    theatre.ask("stop", *NAMES)
    theatre.run(until=theatre.now + 200)
    for name in NAMES:
        assert theatre.life(name).state in (State.DEAD, State.FAILED), f"{name}: {theatre.life(name)}"
    assert not theatre.alive
    assert not theatre.world.book.jobs, "every job has ended"
    assert not theatre.unacknowledged, "the keeper keeps no record that nobody needs"
