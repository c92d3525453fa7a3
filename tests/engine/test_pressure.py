"""A host short of memory: the least important stands still first, and goes on last."""

from __future__ import annotations

import pytest

from maestro.engine.events import Used
from maestro.engine.freezing import EMERGENCY
from maestro.engine.state import Coarse, State
from maestro.model.budget import BudgetSection, Durations
from maestro.model.unit import RestartSection
from maestro.model.values import Seconds
from maestro.testing.theatre import FOREVER, Play, unit
from tests.engine.hosts import Host, agent

LOW, MID, TOP = "low", "mid", "top"


def short(*units: str, free: int = 1000, **uses: int) -> Host:
    """Three agents of rising priority run, and use nearly all there is."""
    host = Host(
        [agent(LOW), agent(MID, priority=5), agent(TOP, priority=10), agent("new", priority=7)], free=free
    )
    host.uses = {LOW: 300, MID: 300, TOP: 300, **uses}
    host.ask("start", LOW, MID, TOP)
    host.run(until=10)
    return host


def frozen(host: Host) -> set[str]:
    return {name for name in host.declared if host.life(name).state is State.FROZEN}


def test_the_least_important_stands_still_and_goes_on_when_there_is_memory() -> None:
    host = short()
    host.ring()
    life = host.life(LOW)
    assert (frozen(host), host.still, life.coarse) == ({LOW}, {"low#1"}, Coarse.ACTIVE)
    assert life.cause == (
        "frozen: the host is short of memory (100M of 2G are available), and of those that may be frozen its "
        "priority, 0, is the lowest; goes on when 128M have been available for 30 s, or by `maestroctl thaw low`"
    )
    kinds = [one.kind for one in host.news if one.unit == LOW]
    assert kinds[-2:] == ["memory-pressure", "frozen"]
    host.run(until=100)
    assert frozen(host) == {LOW}, "there is no more memory than before"
    host.uses[TOP] = 200
    host.run(until=129)
    assert frozen(host) == {LOW}
    host.run(until=132)
    assert (frozen(host), host.still, host.life(LOW).state) == (set(), set(), State.RUNNING)
    assert host.life(LOW).cause.startswith("the host has memory again: it goes on, after ")
    assert host.world.room.due is None, "nobody looks any more"


def test_one_after_the_other_and_back_in_the_other_order() -> None:
    host = short()
    host.ring()
    host.ring()
    assert frozen(host) == {LOW}, "what that has done is to be seen first"
    host.press(2)
    host.ring()
    assert frozen(host) == {LOW, MID}
    host.press(20)
    assert frozen(host) == {LOW, MID}, "the last one that runs is left alone"
    host.uses[TOP] = 0
    host.run(until=host.now + 32)
    assert frozen(host) == {LOW}
    host.run(until=host.now + 6)
    assert frozen(host) == set()


def test_the_word_alone_is_not_enough() -> None:
    """It comes as well when one agent runs into a limit of its own."""
    host = short(free=2000)
    host.feed(host.facts(rang=True))
    assert frozen(host) == set()
    host.ask("start", "new")
    assert host.life("new").state is not State.WAITING


def test_among_equals_it_is_who_uses_most_beyond_what_it_reserves() -> None:
    host = Host([agent("a", "500M"), agent("b", "100M"), agent("c")], free=900)
    host.uses = {"a": 400, "b": 300, "c": 150}
    host.ask("start", "a", "b", "c")
    host.run(until=1)
    host.ring()
    assert frozen(host) == {"b"}


def test_who_is_not_to_be_frozen_for_that_is_not() -> None:
    host = Host(
        [agent("a", on_pressure="none"), agent("b", priority=100), agent("c", on_pressure="none")], free=50
    )
    host.ask("start", "a", "b", "c")
    host.run(until=1)
    host.press(10)
    assert frozen(host) == {"b"}


def test_nothing_is_started_meanwhile_and_the_more_important_before_who_stands_still() -> None:
    host = short()
    host.ring()
    host.ask("start", "new")
    host.run(until=11)
    assert host.life("new").cause == "waits until the host has memory again (100M of 2G are available)"
    host.run(until=21)
    assert host.life("new").state is State.RUNNING, "its priority is higher, and the kernel said nothing more"
    host.ask("stop", MID)
    host.ask("start", MID)
    host.declared["least"] = agent("least", priority=-1)
    host.ask("start", "least")
    host.run(until=25)
    assert host.life(MID).state is State.RUNNING
    assert host.life("least").cause == (
        "waits for those that stand still for want of memory, are no less important, and go on first"
    )
    host.uses[TOP] = 0
    host.run(until=60)
    assert (frozen(host), host.life("least").state) == (set(), State.RUNNING)


def test_a_thaw_by_hand_wins_for_a_while() -> None:
    host = short()
    host.ring()
    host.ask("thaw", LOW)
    assert (host.life(LOW).state, host.still) == (State.RUNNING, set())
    assert host.life(LOW).cause == (
        "thawed on request, after 0.0 s; it is not frozen for want of memory in the next 10 min"
    )
    host.press(6)
    assert frozen(host) == set(), "nobody more important in its stead"
    host.run(until=700)
    host.press(3)
    assert frozen(host) == {LOW, MID}


def test_a_freeze_by_hand_stays() -> None:
    host = short()
    host.ring()
    host.ask("freeze", LOW)
    assert host.life(LOW).cause == "frozen on request"
    host.uses[TOP] = 0
    host.run(until=200)
    assert frozen(host) == {LOW}


@pytest.mark.parametrize("keeper", [False, True])
def test_a_new_manager_lets_it_go_on_when_it_is_time(keeper: bool) -> None:
    host = short()
    host.ring()
    host.kill_manager(keeper=keeper, away=5)
    assert (frozen(host), host.still) == ({LOW}, {"low#1"})
    host.run(until=host.now + 60)
    assert frozen(host) == {LOW}
    host.uses[TOP] = 0
    host.run(until=host.now + 35)
    assert (frozen(host), host.still) == (set(), set())


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_it_can_be_stopped(verb: str) -> None:
    host = short()
    host.ring()
    host.ask(verb, LOW)
    host.run(until=host.now + 1)
    assert host.still == set()
    assert ("low#1", "KILL") not in host.signals
    assert host.world.room.frozen == set()


def test_one_that_is_killed_where_it_stands_starts_again_when_it_may() -> None:
    host = Host(
        [agent(LOW, restart=RestartSection(policy="always", delay=Seconds(1))), agent(TOP, priority=1)],
        lambda name, number: Play(ends=3.0, signal=9) if (name, number) == (LOW, 1) else FOREVER,
        free=50,
    )
    host.ask("start", LOW, TOP)
    host.run(until=1)
    host.press(4)
    assert host.life(LOW).state is State.WAITING
    host.run(until=30)
    assert host.life(LOW).state is State.RUNNING


def test_everybody_is_held_at_once() -> None:
    """An operator's word: from then on it is not memory that lets it go on, and the end of that lets all."""
    host = short()
    host.ring()
    host.ask("hold", LOW, MID, TOP)
    assert host.life(LOW).frozen_for == EMERGENCY
    host.uses[TOP] = 0
    host.run(until=100)
    assert frozen(host) == {LOW, MID, TOP}
    host.ask("release", LOW, MID, TOP)
    assert (frozen(host), host.still) == (set(), set())


def test_the_end_of_an_emergency_lets_nobody_go_on_who_is_frozen_for_memory() -> None:
    host = short()
    host.ask("hold", MID, TOP)
    host.ask("release", TOP)
    host.ring()
    assert host.life(LOW).frozen_for == "pressure"
    host.ask("release", LOW, MID, TOP)
    assert frozen(host) == {LOW}


def test_a_budget_that_is_used_up_by_then_keeps_it() -> None:
    limit = BudgetSection(cpu_seconds=Durations({"day": Seconds("1h")}))
    host = Host([agent(LOW, budget=limit), agent(TOP, priority=1)], free=50)
    host.epoch = 1_795_219_200.0  # 2026-11-21 00:00 UTC
    host.ask("start", LOW, TOP)
    host.run(until=1)
    host.ring()
    host.feed(Used(counters={"low#1": {"cpu_seconds": 4000.0}}))
    host.free = 2000
    host.run(until=60)
    life = host.life(LOW)
    assert (life.state, life.stilled, life.frozen_for) == (State.FROZEN, True, "")
    assert life.cause.startswith("frozen: cpu_seconds of today are used up"), life.cause
    assert host.still == {"low#1"}


def test_a_slice_that_is_frozen_keeps_it() -> None:
    host = Host([unit("a.slice"), agent(LOW, slice="a.slice"), agent(TOP, priority=1)], free=50)
    host.ask("start", LOW, TOP)
    host.run(until=1)
    host.ring()
    host.ask("freeze", "a.slice")
    host.free = 2000
    host.run(until=60)
    assert (host.life(LOW).state, host.life(LOW).frozen_with) == (State.FROZEN, "a.slice")
    host.ask("thaw", "a.slice")
    assert (host.life(LOW).state, host.still) == (State.RUNNING, set())


def test_a_budget_that_is_used_up_by_then_keeps_it_at_the_end_of_an_emergency() -> None:
    """Another agent of its slice has used up the budget of both while it stood still for want of memory."""
    limit = BudgetSection(cpu_seconds=Durations({"day": Seconds("1h")}))
    inside = unit("a.slice", budget=limit)
    host = Host(
        [inside, agent(LOW, slice="a.slice"), agent(MID, slice="a.slice", priority=1), agent(TOP, priority=2)]
    )
    host.free = 50
    host.epoch = 1_795_219_200.0  # 2026-11-21 00:00 UTC
    host.ask("start", LOW, MID, TOP)
    host.run(until=1)
    host.ring()
    assert frozen(host) == {LOW}
    host.feed(Used(counters={"mid#1": {"cpu_seconds": 4000.0}}))
    assert frozen(host) == {LOW, MID}
    host.ask("hold", LOW, MID, TOP)
    host.ask("release", LOW, MID, TOP)
    life = host.life(LOW)
    assert (frozen(host), host.still) == ({LOW, MID}, {"low#1", "mid#1"})
    assert life.cause.startswith("frozen: budget of slice a.slice"), life.cause
    assert [one.words for one in host.news if one.unit == LOW and one.kind == "thawed"] == []
