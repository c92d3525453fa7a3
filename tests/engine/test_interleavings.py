"""Random interleavings of verbs, ends, time-outs and deaths of the manager, searched for a broken promise.

MAESTRO_INTERLEAVINGS says how many; the default run does 5,000 and more.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from maestro.engine.state import ALIVE, Goal, State
from maestro.model.conditions import Check, CheckSection
from maestro.model.unit import ReadinessSection, RestartSection, StopSection, Unit
from maestro.model.values import Command, Pattern, Seconds, StartLimit, StopStep
from maestro.testing.theatre import Play, Theatre, unit
from tests.engine.around import befall

pytestmark = pytest.mark.timeout(1800)  # a long search, on a busy machine
MANY = int(os.environ.get("MAESTRO_INTERLEAVINGS", "5200"))
search = settings(max_examples=MANY, deadline=None, database=None, suppress_health_check=list(HealthCheck))
some = settings(
    max_examples=max(MANY // 10, 100), deadline=None, database=None, suppress_health_check=list(HealthCheck)
)

STOP = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL 5s")))
QUICK = RestartSection(
    delay=Seconds("200ms"), max_delay=Seconds(5), start_limits=(StartLimit("4/10s"),), cooldown=Seconds(60)
)
ENDS = RestartSection(delay=Seconds("200ms"), start_limits=(StartLimit("3/10s"),), on_give_up="fail")
PROBE = ReadinessSection(log=Pattern("up"))
UNITS: tuple[Unit, ...] = (
    unit("db", type="notify", restart=QUICK, stop=STOP, start_timeout=Seconds(10)),
    unit(
        "api",
        type="notify",
        restart=ENDS,
        stop=STOP,
        start_timeout=Seconds(10),
        requires=("db",),
        after=("db",),
    ),
    unit("web", restart=QUICK, stop=STOP, requires=("api",), after=("api",), wants=("log",)),
    unit(
        "log",
        restart=RestartSection(policy="no"),
        stop=STOP,
        before=("web",),
        readiness=PROBE,
        start_timeout=Seconds(10),
    ),
    unit("job", type="oneshot", restart=QUICK, stop=STOP, after=("db",)),
    unit(
        "full",
        type="notify-reload",
        restart=QUICK,
        stop=STOP,
        start_timeout=Seconds(10),
        before=("web",),
        exec_condition=(Command("/bin/may"),),
        exec_start_pre=(Command("/bin/pre"), Command("-/bin/pre")),
        exec_start_post=(Command("/bin/post"),),
        exec_stop=(Command("/bin/stop"), Command("/bin/stop")),
        exec_stop_post=(Command("/bin/after"),),
        runtime_max=Seconds(40),
    ),
    unit(
        "once",
        type="oneshot",
        restart=ENDS,
        stop=STOP,
        remain_after_exit=True,
        exec_start_post=(Command("/bin/post"),),
        exec_stop=(Command("/bin/stop"),),
        exec_reload=(Command("/bin/reload"),),
    ),
    unit(
        "steps",
        type="oneshot",
        restart=QUICK,
        stop=STOP,
        start_timeout=Seconds(10),
        exec_more=(Command("-/bin/two"), Command("/bin/three")),
        exec_stop_post=(Command("/bin/after"),),
    ),
    unit(
        "fork",
        type="forking",
        pid_file="/run/fork.pid",
        restart=QUICK,
        stop=STOP,
        start_timeout=Seconds(10),
        exec_reload=(Command("/bin/reload"),),
        exec_stop_post=(Command("/bin/after"),),
    ),
    unit("guess", type="forking", restart=QUICK, stop=STOP, start_timeout=Seconds(10)),
    unit("all.target", wants=("web", "job"), requires=("log",)),
    unit(
        "some.target", wants=("all.target",), requires=("db",), condition=CheckSection(user=(Check("root"),))
    ),
    unit("top", requires=("some.target",), after=("some.target",), restart=QUICK, stop=STOP),
)
EARLY: tuple[Unit, ...] = (
    unit(
        "early",
        restart=QUICK,
        stop=STOP,
        requires=("full",),
        binds_to=("db",),
        after=("full started", "db started"),
    ),
    unit("first", type="oneshot", restart=QUICK, stop=STOP, after=("db started", "full started")),
)  # an answer of the keeper's lets them start: whether a verb or a death of the manager comes before it makes a difference
NAMES = [one.name for one in (*UNITS, *EARLY)]

plays = st.builds(
    Play,
    ready=st.sampled_from([None, 0.0, 0.0, 0.3, 2.0, 20.0]),
    ends=st.sampled_from([None, None, None, 0.0, 0.1, 1.0, 7.0]),
    code=st.sampled_from([0, 1, 3]),
    signal=st.sampled_from([None, None, None, 9, 15]),
    heeds=st.sampled_from([("TERM",), ("TERM",), ()]),
    slow=st.sampled_from([0.0, 0.0, 1.0, 4.0]),
    leaves=st.sampled_from([0, 0, 0, 0, 2]),
    lingers=st.sampled_from([0.0, 0.5]),
    cannot=st.sampled_from(["", "", "", "", "cannot fork: resource temporarily unavailable"]),
    skipped=st.sampled_from(["", "", "", "", "condition cpus=>=64 was not met"]),
    refused=st.sampled_from(["", "", "", "", "", "assert user=root was not met"]),
)
plays = st.builds(
    lambda play, becomes: replace(play, becomes=becomes if play.leaves else None),
    plays,
    st.sampled_from([None, Play(), Play(ends=5, code=1)]),
)
casts = st.lists(plays, min_size=1, max_size=6)
acts = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["start", "stop", "restart", "stop", "start", "reload", "freeze", "thaw"]),
            st.sampled_from(NAMES),
        ),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.1, 0.5, 3.0, 12.0])),
        st.tuples(st.just("kill"), st.booleans()),
        st.tuples(st.just("away"), st.sampled_from([0.0, 0.2, 3.0, 30.0])),
        st.tuples(
            st.sampled_from(["start!", "stop!", "restart!", "reload!", "freeze!", "thaw!"]),
            st.sampled_from(NAMES),
        ),
    ),
    min_size=1,
    max_size=14,
)


def _brief(play: Play) -> Play:
    """A command as a process of the cast would be, but that more of them end, and well."""
    if play.ends is None and not play.heeds:
        return play
    return replace(play, ends=play.ends or 0.0, code=0 if play.code == 3 else play.code)


def perform(
    cast: list[Play], acts: list[tuple[str, object]], units: tuple[Unit, ...] = (*UNITS, *EARLY)
) -> Theatre:
    theatre = Theatre(
        units,
        lambda name, number: cast[(number + len(name)) % len(cast)],
        chance=0.5,
        commands=lambda name, command: _brief(cast[len(name + command) % len(cast)]),
    )
    return befall(theatre, acts)


@search
@given(casts, acts)
def test_promises(cast: list[Play], acts: list[tuple[str, object]]) -> None:
    theatre = perform(cast, acts)
    theatre.run(until=theatre.now + 400)
    assert theatre.two_at_once == [], "never two copies"
    if ("kill", True) not in acts:
        once = [errand.agent for errand in theatre.ran]
        assert len(once) == len(set(once)), "no command is run twice whose end was recorded"
    frozen = {theatre.life(name).agent for name in NAMES if theatre.life(name).state is State.FROZEN}
    assert theatre.still == frozen, "what stands still is what is frozen"
    for name in NAMES:
        life = theatre.life(name)
        assert not (life.goal is Goal.DOWN and life.state in ALIVE), f"{name} should be down: {life.cause}"
        assert life.state is not State.WAITING or life.blocked_by, f"{name} waits for nothing"
        assert life.coarse == "inactive" or life.cause, f"{name} is {life.state} and does not say why"


@some
@given(casts, acts)
def test_a_stop_converges_from_every_state(cast: list[Play], acts: list[tuple[str, object]]) -> None:
    theatre = perform(cast, acts)
    theatre.ask("stop", *NAMES)
    theatre.run(until=theatre.now + len(NAMES) * 12)  # the sum of the time-outs along the chain
    for name in NAMES:
        assert theatre.life(name).state in (State.DEAD, State.FAILED), f"{name}: {theatre.life(name)}"
    assert not theatre.alive
    assert not theatre.leftovers
    assert not theatre.world.book.jobs, "every job has ended"
    assert not theatre.unacknowledged, "the keeper keeps no record that nobody needs"


calm = st.builds(
    Play,
    ready=st.sampled_from([0.0, 0.3, 2.0]),
    heeds=st.sampled_from([("TERM",), ()]),
    slow=st.sampled_from([0.0, 1.0, 4.0]),
)


@some
@given(
    st.lists(calm, min_size=1, max_size=4),
    acts,
    st.sampled_from(["start", "restart", "stop"]),
    st.sampled_from(NAMES[:4]),
)
def test_the_last_verb_wins(cast: list[Play], acts: list[tuple[str, object]], verb: str, name: str) -> None:
    theatre = perform(cast, acts)
    theatre.ask(verb, name)
    theatre.run(until=theatre.now + 200)
    stays_frozen = verb == "start" and theatre.life(name).state is State.FROZEN  # only a thaw thaws
    assert stays_frozen or theatre.life(name).state is (State.DEAD if verb == "stop" else State.RUNNING)
    assert theatre.two_at_once == []


@some
@given(
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=12),
    st.sampled_from([0.1, 1.0, 7.0, 100.0]),
)
def test_the_delays_are_the_formula(chances: list[float], delay: float) -> None:
    rule = RestartSection(delay=Seconds(delay), max_delay=Seconds(60), start_limits=())
    theatre = Theatre([unit(restart=rule)], lambda *_: Play(ends=0.0, code=1))
    theatre.chance = chances[0]
    theatre.ask("start", "web")
    expected = [0.0]
    for number, chance in enumerate(chances):
        theatre.chance = chance  # drawn when the process ends, for the pause that follows
        theatre.run(until=expected[-1])
        expected.append(expected[-1] + min(delay * 2**number, max(delay, 60.0)) * (1 + 0.2 * chance))
    theatre.run(until=expected[-1] + 1e-6)
    assert theatre.times("web", State.SPAWNING) == pytest.approx(expected)


@some
@given(casts, acts)
def test_a_dead_manager_changes_nothing(cast: list[Play], acts: list[tuple[str, object]]) -> None:
    """The same play with and without a death of the manager after each act ends in the same states."""
    calm = [act for act in acts if act[0] in ("run", "start", "stop", "restart")]
    shaken = [step for act in calm for step in (act, ("kill", False))]
    one, two = perform(cast, calm, UNITS), perform(cast, shaken, UNITS)
    for theatre in (one, two):
        theatre.run(until=theatre.now + 500)
    assert two.two_at_once == []
    names = [one.name for one in UNITS]
    assert {name: one.life(name).state for name in names} == {name: two.life(name).state for name in names}
