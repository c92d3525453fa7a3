"""A unit that stands still: it keeps its memory and its place, and only a thaw, a stop or an end changes that."""

from __future__ import annotations

import pytest

from maestro.engine.events import Used
from maestro.engine.state import Coarse, State
from maestro.model.budget import BudgetSection, Durations
from maestro.model.unit import RestartSection, StopSection
from maestro.model.values import Seconds, StopStep
from maestro.testing.theatre import FOREVER, Play, Theatre, unit

STOP = StopSection(sequence=(StopStep("TERM 5s"), StopStep("KILL 5s")))


def frozen(play: Play = FOREVER, **options: object) -> Theatre:
    theatre = Theatre([unit("web", stop=STOP, **options)], lambda *_: play)
    theatre.ask("start", "web")
    theatre.run(until=1)
    theatre.ask("freeze", "web")
    return theatre


def test_it_stands_still_and_goes_on() -> None:
    theatre = frozen()
    life = theatre.life("web")
    assert (life.state, life.coarse, life.cause) == (State.FROZEN, Coarse.ACTIVE, "frozen on request")
    assert theatre.still == {"web#1"}
    theatre.run(until=61)
    theatre.ask("thaw", "web")
    assert (theatre.life("web").state, theatre.still) == (State.RUNNING, set())
    assert theatre.life("web").cause == "thawed on request, after 1 min"
    assert theatre.life("web").agent == "web#1", "the same process"


def test_what_it_does_by_itself_waits_for_the_thaw() -> None:
    theatre = frozen(Play(ends=30.0, code=0))
    theatre.run(until=100)
    assert theatre.life("web").state is State.FROZEN
    theatre.ask("thaw", "web")
    theatre.run(until=100.1)
    assert theatre.life("web").ended is not None


def test_a_stop_thaws_it_first() -> None:
    """A process that stands still hears no SIGTERM: it would always take its SIGKILL."""
    theatre = frozen()
    theatre.ask("stop", "web")
    theatre.run(until=1.5)
    assert theatre.life("web").state is State.DEAD
    assert ("web#1", "KILL") not in theatre.signals


def test_a_restart_ends_it() -> None:
    theatre = frozen()
    theatre.ask("restart", "web")
    theatre.run(until=2)
    assert (theatre.life("web").state, theatre.life("web").agent) == (State.RUNNING, "web#2")
    assert theatre.still == set()


def test_its_watchdog_rests_with_it() -> None:
    theatre = frozen(watchdog=Seconds(10), type="simple")
    theatre.run(until=500)
    assert theatre.life("web").state is State.FROZEN
    theatre.ask("thaw", "web")
    assert theatre.life("web").timers["watchdog"] == 510


def test_its_time_runs_out_all_the_same() -> None:
    theatre = frozen(runtime_max=Seconds(20), restart=RestartSection(policy="no"))
    theatre.run(until=22)
    assert (theatre.life("web").state, theatre.still) == (State.FAILED, set())
    assert "runtime_max" in theatre.life("web").cause


@pytest.mark.parametrize("keeper", [False, True], ids=["manager", "keeper too"])
@pytest.mark.parametrize("verb", ["freeze", "thaw"])
def test_a_death_in_between_loses_neither(verb: str, keeper: bool) -> None:
    theatre = Theatre([unit("web", stop=STOP)], lambda *_: FOREVER)
    theatre.ask("start", "web")
    theatre.run(until=1)
    if verb == "thaw":
        theatre.ask("freeze", "web")
    theatre.ask_in_vain(verb, "web")
    if keeper:
        theatre.kill_manager(keeper=True)
    theatre.run(until=2)
    assert (theatre.still == {"web#1"}) == (verb == "freeze")


@pytest.mark.parametrize(
    ("act", "refusal"),
    [
        ((), "cannot freeze web: it is inactive"),
        (("start",), "cannot freeze web: it is activating"),
    ],
)
def test_what_does_not_run_is_not_frozen(act: tuple[str, ...], refusal: str) -> None:
    theatre = Theatre([unit("web", type="notify", stop=STOP)], lambda *_: FOREVER)
    for verb in act:
        theatre.ask(verb, "web")
        theatre.run(until=0)
    step = theatre.ask("freeze", "web")
    assert step.refusals["web"].words == refusal


def test_once_more_is_done_already() -> None:
    theatre = frozen()
    refusal = theatre.ask("freeze", "web").refusals["web"]
    assert (refusal.done, refusal.words) == (True, "web is frozen already")
    theatre.ask("thaw", "web")
    refusal = theatre.ask("thaw", "web").refusals["web"]
    assert (refusal.done, refusal.words) == (True, "web is not frozen: nothing to thaw")


def test_a_target_has_nothing_to_freeze() -> None:
    theatre = Theatre([unit("all.target")])
    theatre.ask("start", "all.target")
    assert "it has no processes" in theatre.ask("freeze", "all.target").refusals["all.target"].words


def test_a_frozen_one_is_not_asked_to_reload() -> None:
    theatre = frozen(reload_signal="HUP")
    refusal = theatre.ask("reload", "web").refusals["web"]
    assert (refusal.words, refusal.hint) == ("cannot reload web: it is frozen", "maestroctl thaw web")


def test_all_are_held_and_let_go() -> None:
    """What was frozen by name stays so, and what has no processes is never held."""
    theatre = Theatre([unit("web"), unit("db"), unit("all.target", wants=["web", "db"])])
    theatre.ask("start", "all.target")
    theatre.run(until=1)
    theatre.ask("freeze", "db")
    names = ("web", "db", "all.target")
    theatre.ask("hold", *names)
    assert [theatre.life(name).state for name in names] == [State.FROZEN, State.FROZEN, State.RUNNING]
    assert theatre.still == {"db#1"}, "the others are held by a group of all"
    assert theatre.life("web").cause == "held with all agents, by emergency-stop"
    theatre.ask("release", *names)
    assert [theatre.life(name).state for name in names] == [State.RUNNING, State.FROZEN, State.RUNNING]
    assert theatre.still == {"db#1"}


def test_who_stands_still_for_another_reason_meanwhile_is_not_let_go() -> None:
    """For its budget, or with its slice: also one that was held and let go before."""
    daily = BudgetSection(cpu_seconds=Durations({"day": Seconds("1h")}))
    theatre = Theatre(
        [unit("web", budget=daily), unit("db", slice="a.slice"), unit("a.slice")], lambda *_: FOREVER
    )
    theatre.epoch = 1_795_219_200.0  # 2026-11-21 00:00 UTC
    for name in ("web", "db"):
        theatre.ask("start", name)
    theatre.run(until=1)
    theatre.ask("hold", "web", "db")
    theatre.ask("release", "web", "db")
    theatre.run(until=7200)
    theatre.feed(Used(counters={"web#1": {"cpu_seconds": 3600}}))
    assert theatre.still == {"web#1"}
    theatre.ask("freeze", "a.slice")
    theatre.ask("hold", "web", "db")
    theatre.ask("release", "web", "db")
    assert theatre.still == {"web#1", "db#1"}
    assert [theatre.life(name).state for name in ("web", "db")] == [State.FROZEN] * 2


def test_what_froze_the_slice_while_all_were_held_holds_afterwards() -> None:
    theatre = Theatre([unit("db", slice="a.slice"), unit("a.slice")])
    theatre.ask("start", "db")
    theatre.run(until=1)
    theatre.ask("hold", "db")
    theatre.ask("freeze", "a.slice")
    theatre.ask("release", "db")
    assert (theatre.life("db").state, theatre.life("db").frozen_with) == (State.FROZEN, "a.slice")
    theatre.ask("thaw", "a.slice")
    assert theatre.life("db").state is State.RUNNING
    assert not theatre.still


def test_a_restart_that_falls_due_while_all_are_held_waits_and_is_not_blamed_for_it() -> None:
    """Its start time-out would be over long before it is let begin."""
    theatre = Theatre(
        [unit("web", restart=RestartSection(delay=Seconds(5)), start_timeout=Seconds(5)), unit("db")],
        lambda *_: Play(ends=1.0, code=1),
    )
    theatre.ask("start", "web")
    theatre.run(until=2)
    assert theatre.life("web").state is State.BACKOFF
    theatre.ask("hold", "web", "db")
    theatre.run(until=60)
    life = theatre.life("web")
    assert (life.state, life.cause) == (State.WAITING, "waits until emergency-stop is over")
    theatre.ask("release", "web", "db")
    assert theatre.life("web").coarse is Coarse.ACTIVATING
    assert [one.kind for one in theatre.news if one.kind == "timeout"] == []
