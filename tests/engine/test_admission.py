"""A start that does not fit waits, in order of priority and of waiting time, and says for what."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from maestro.engine.events import Reread
from maestro.engine.jobs import JobState
from maestro.engine.state import Coarse, State
from maestro.model.amounts import MemoryAmount
from maestro.model.unit import RestartSection, SliceSection
from maestro.model.values import Seconds, UserName
from maestro.testing.theatre import FOREVER, Play, unit
from tests.engine.hosts import Host, agent, limited

SLICE = "small.slice"


def states(host: Host, *names: str) -> list[State]:
    return [host.life(name).state for name in names]


def told(host: Host, name: str) -> list[str]:
    return [one.words for one in host.news if (one.unit, one.kind) == (name, "waiting")]


def test_it_waits_says_why_and_starts_when_there_is_room() -> None:
    host = Host([agent("big", "1G"), agent("more", "1G")])
    host.uses["big"] = 1024
    host.ask("start", "big", "more")
    host.run(until=1)
    life = host.life("more")
    assert (life.state, life.coarse, host.life("big").state) == (State.WAITING, Coarse.WAITING, State.RUNNING)
    assert life.cause == "waits for memory: it asks for 1G, and 960M of the host is free"
    assert told(host, "more") == [life.cause], "once, not each second"
    job = host.world.book.of("more")
    assert job is not None
    assert job.state is JobState.RUNNING
    host.run(until=30)
    assert told(host, "more")[1:] == []
    host.ask("stop", "big")
    host.run(until=30.1)
    assert states(host, "big", "more") == [State.DEAD, State.RUNNING]
    assert host.world.book.of("more") is None


def test_what_is_reserved_and_not_used_yet_is_taken() -> None:
    host = Host([agent("one", "1G"), agent("two", "1G"), agent("none")])
    host.ask("start", "one", "two", "none")
    host.run(until=5)
    assert states(host, "one", "two", "none") == [State.RUNNING, State.WAITING, State.RUNNING]
    host.uses["one"] = 1024  # which comes to the same
    host.run(until=10)
    assert host.life("two").state is State.WAITING


def test_one_that_reserves_nothing_fits_always_and_nobody_looks() -> None:
    host = Host([agent("web"), unit("all.target", wants=("web",))], free=100)
    host.ask("start", "all.target")
    host.run(until=100)
    assert (host.life("web").state, host.looks) == (State.RUNNING, 0)


def test_nobody_looks_while_nobody_waits() -> None:
    host = Host([agent("web", "1G")])
    host.ask("start", "web")
    host.run(until=1000)
    assert (host.life("web").state, host.looks) == (State.RUNNING, 1)
    assert host.world.next_ring() is None or host.world.next_ring() == host.life("web").timers.get("forgive")


def test_the_more_important_goes_first_and_among_equals_who_waits_longer() -> None:
    names = ("low", "high", "first", "second")
    host = Host([agent("all", "1900M"), *(agent(name, "1G", 5 if name == "high" else 0) for name in names)])
    host.ask("start", "all")
    for name in ("first", "low", "high", "second"):
        host.run(until=host.now + 1)
        host.ask("start", name)
    host.run(until=host.now + 2)
    assert states(host, *names) == [State.WAITING] * 4
    assert host.life("low").cause.endswith("; next in line: high (priority 5)")
    assert "next in line" not in host.life("high").cause
    host.ask("stop", "all")
    order = []
    for _ in names:
        host.run(until=host.now + 2)
        [running] = [name for name in names if host.life(name).state is State.RUNNING]
        order.append(running)
        host.ask("stop", running)
    assert order == ["high", "first", "low", "second"]


def test_a_smaller_one_does_not_overtake() -> None:
    host = Host([agent("all", "1G"), agent("large", "1500M", 1), agent("little", "10M"), agent("none")])
    host.ask("start", "all")
    host.ask("start", "large")
    host.run(until=5)
    host.ask("start", "little", "none")
    host.run(until=10)
    assert states(host, "large", "little", "none") == [State.WAITING, State.WAITING, State.RUNNING]
    assert host.life("little").cause == (
        "waits for memory of the host, which another gets first; next in line: large (priority 1)"
    )
    host.ask("stop", "large")
    host.run(until=10)
    assert states(host, "large", "little") == [State.DEAD, State.RUNNING], "nobody is before it any more"


def test_a_slice_has_room_of_its_own() -> None:
    inside = [agent(name, "100M", slice=SLICE) for name in ("one", "two", "three")]
    host = Host([limited(SLICE, "250M"), *inside, agent("outside", "1G")])
    host.ask("start", "one", "two", "three")
    host.run(until=3)
    assert states(host, "one", "two", "three") == [State.RUNNING, State.WAITING, State.RUNNING]
    assert host.life("two").cause == f"waits for memory: it asks for 100M, and 50M of {SLICE} is free"
    host.ask("start", "outside")
    assert host.life("outside").state is not State.WAITING, "it waits for nothing that they wait for"
    host.ask("stop", "one")
    host.run(until=3.2)
    assert host.life("two").state is State.RUNNING


def test_what_others_in_a_slice_use_counts_beside_what_is_reserved() -> None:
    host = Host(
        [
            limited(SLICE, "500M"),
            agent("a", "100M", slice=SLICE),
            agent("b", slice=SLICE),
            agent("c", "200M", slice=SLICE),
        ]
    )
    host.ask("start", "a", "b")
    host.uses |= {"a": 20, "b": 250}
    host.run(until=1)
    host.ask("start", "c")
    host.run(until=2)
    assert host.life("c").cause == f"waits for memory: it asks for 200M, and 150M of {SLICE} is free"
    host.uses["b"] = 200
    host.run(until=4)
    assert host.life("c").state is State.RUNNING


def test_a_tenant_is_not_told_the_names_of_others() -> None:
    mine = replace(unit("mine.slice"), slice=SliceSection(owner=UserName("ann")))
    host = Host(
        [
            mine,
            unit("mine-deep.slice"),
            agent("all", "1800M"),
            agent("hers", "1G", slice="mine-deep.slice"),
            agent("other", "1G", 5),
            agent("own", "1G", 3, slice="mine.slice"),
        ]
    )
    host.ask("start", "all")
    host.ask("start", "own", "hers")
    host.run(until=2)
    assert host.life("hers").cause.endswith("; next in line: own (priority 3)")
    host.ask("start", "other")
    host.run(until=4)
    assert host.life("hers").cause.endswith("; next in line: another (priority 5)")
    assert host.life("other").cause.endswith("of the host is free")


def test_a_slice_has_so_many_tasks_and_no_more() -> None:
    host = Host([limited(SLICE, tasks="1"), agent("one", slice=SLICE), agent("two", slice=SLICE)])
    host.ask("start", "one", "two")
    host.run(until=1)
    assert host.life("two").cause == f"waits for tasks: {SLICE} has 1 of 1 (its tasks_max)"
    host.ask("stop", "one")
    host.run(until=2)
    assert host.life("two").state is State.RUNNING


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("3G", "cannot fit: it asks for 3G of memory (resources.memory_low), and the host has 1.9G for agents"),
        ("400M", f"cannot fit: it asks for 400M of memory (resources.memory_low), and {SLICE} has 250M (its memory_max)"),
    ],
)  # fmt: skip
def test_what_can_never_fit_is_told_at_once_and_holds_nobody_up(what: str, said: str) -> None:
    host = Host(
        [limited(SLICE, "250M"), agent("vast", what, 100, slice=SLICE), agent("small", "10M", slice=SLICE)]
    )
    host.ask("start", "vast")
    assert (host.life("vast").state, host.life("vast").cause) == (State.WAITING, said)
    assert host.world.book.of("vast") is None, "the job does not wait for ever"
    host.ask("start", "small")
    host.run(until=1)
    assert host.life("small").state is State.RUNNING
    host.declared["vast"] = agent("vast", "10M", 100, slice=SLICE)
    host.world.put(host.declared["vast"])
    host.feed(Reread())
    host.run(until=2)
    assert host.life("vast").state is State.RUNNING, "its file was mended"


def test_who_is_protected_without_limit_names_no_amount() -> None:
    host = Host([agent("web", "infinity")])
    host.ask("start", "web")
    host.run(until=1)
    assert host.life("web").state is State.RUNNING


def test_nobody_reserves_more_than_it_may_use() -> None:
    host = Host([agent("web", "3G")])
    web = host.declared["web"]
    host.declared["web"] = replace(web, resources=replace(web.resources, memory_max=MemoryAmount("1G")))
    host.world.put(host.declared["web"])
    host.ask("start", "web")
    host.run(until=1)
    assert host.life("web").state is State.RUNNING


@pytest.mark.parametrize("verb", ["stop", "cancel"])
def test_who_waits_is_told_not_to(verb: str) -> None:
    host = Host([agent("all", "1G"), agent("web", "1G")])
    host.ask("start", "all", "web")
    host.run(until=2)
    host.ask(verb, "web")
    assert (host.life("web").state, host.world.room.line) == (State.DEAD, {})
    host.ask("stop", "all")
    host.run(until=50)
    assert host.life("web").state is State.DEAD
    assert host.world.next_ring() is None


def test_an_automatic_restart_waits_as_well() -> None:
    often = RestartSection(policy="always", delay=Seconds(1))
    host = Host(
        [agent("web", "1G", restart=often), agent("big", "1500M", 1)],
        lambda name, number: Play(ends=5.0, code=1) if (name, number) == ("web", 1) else FOREVER,
    )
    host.ask("start", "web")
    host.run(until=5.5)
    assert host.life("web").state is State.BACKOFF
    host.ask("start", "big")
    host.run(until=10)
    assert states(host, "big", "web") == [State.RUNNING, State.WAITING]
    assert host.life("web").again
    host.ask("stop", "big")
    host.run(until=12)
    assert (host.life("web").state, host.life("web").restarts) == (State.RUNNING, 1)


@pytest.mark.parametrize(("priority", "started"), [(0, "web"), (9, "other")])
def test_who_is_between_two_runs_keeps_its_place_before_lesser_ones(priority: int, started: str) -> None:
    pauses = RestartSection(policy="always", delay=Seconds(20.3))
    host = Host(
        [agent("web", "1G", 5, restart=pauses), agent("other", "1G", priority), agent("small", "500M")],
        lambda name, number: Play(ends=5.0, code=1) if (name, number) == ("web", 1) else FOREVER,
    )
    host.ask("start", "web")
    host.ask("start", "other")
    host.run(until=8)
    assert host.life("web").state is State.BACKOFF
    assert host.life("other").state is (State.RUNNING if started == "other" else State.WAITING)
    host.run(until=40)
    assert host.life(started).state is State.RUNNING
    assert states(host, "web", "other").count(State.WAITING) == 1
    assert len(told(host, "web")) == (started != "web"), "it is not held up by what is kept for itself"
    host.ask("start", "small")
    host.run(until=42)
    assert host.life("small").state is State.WAITING, "behind who waits"
    host.ask("stop", "web", "other")
    host.run(until=44)
    assert host.life("small").state is State.RUNNING
    assert host.world.room.kept == {}


def test_a_restart_finds_what_it_gives_back() -> None:
    host = Host([agent("web", "1500M")])
    host.uses["web"] = 1500
    host.ask("start", "web")
    host.run(until=5)
    host.ask("restart", "web")
    host.run(until=5.2)
    assert (host.life("web").state, host.life("web").agent) == (State.RUNNING, "web#2")
    host.ask("restart", "web")
    host.run(until=5.4)
    assert host.life("web").agent == "web#3", "what was seen a moment ago is not true any more"


@pytest.mark.parametrize("away", [0.0, 20.0])
def test_a_new_manager_goes_on_with_the_line(away: float) -> None:
    host = Host([agent("all", "1G"), agent("low", "1G"), agent("high", "1G", 1)])
    host.ask("start", "all")
    host.ask("start", "low")
    host.run(until=1)
    host.ask("start", "high")
    host.kill_manager(away=away)
    host.run(until=host.now + 3)
    assert states(host, "all", "low", "high") == [State.RUNNING, State.WAITING, State.WAITING]
    host.ask("stop", "all")
    host.run(until=host.now + 3)
    assert states(host, "low", "high") == [State.WAITING, State.RUNNING]


def test_a_start_that_was_asked_as_the_manager_died() -> None:
    host = Host([agent("web", "1G")])
    host.ask_in_vain("start", "web")
    host.run(until=1)
    assert (host.life("web").state, host.life("web").agent) == (State.RUNNING, "web#1")


def test_what_waits_for_another_unit_is_not_in_line() -> None:
    host = Host(
        [
            agent("db", type="notify", restart=RestartSection(delay=Seconds(20))),
            agent("web", "1G", 9, requires=("db",), after=("db",)),
            agent("other", "1G"),
        ],
        lambda name, _: Play(ready=5.0, ends=9.0, code=1) if name == "db" else FOREVER,
    )
    host.ask("start", "web")
    host.ask("start", "other")
    host.run(until=3)
    assert states(host, "web", "other") == [State.WAITING, State.RUNNING]
    assert host.life("web").cause == "waits for db, which is still starting"
    host.run(until=8)
    assert "it asks for 1G" in host.life("web").cause
    host.run(until=10)
    assert host.life("web").cause.startswith("waits for db, which is being restarted")
    assert host.world.room.line == {}


def test_a_priority_that_changes_changes_the_order() -> None:
    host = Host([agent("all", "1G"), agent("one", "1G"), agent("two", "1G")])
    host.ask("start", "all")
    host.ask("start", "one")
    host.run(until=1)
    host.ask("start", "two")
    host.declared["two"] = agent("two", "1G", 7)
    host.world.put(host.declared["two"])
    host.feed(Reread())
    host.run(until=2)
    assert host.life("one").cause.endswith("next in line: two (priority 7)")
    host.ask("stop", "all")
    host.run(until=3)
    assert states(host, "one", "two") == [State.WAITING, State.RUNNING]


def test_who_waits_and_loses_its_file_holds_nobody_up() -> None:
    host = Host([agent("big", "1G"), agent("first", "1G"), agent("second", "512M", -5)])
    host.uses["big"] = 1024
    host.ask("start", "big", "first")
    host.run(until=1)
    host.ask("start", "second")
    host.run(until=2)
    assert host.life("second").cause.endswith("next in line: first (priority 0)")
    host.declared.pop("first")
    host.feed(Reread(("first",)))
    host.run(until=3)
    assert states(host, "big", "second") == [State.RUNNING, State.RUNNING]
    host.ask("stop", "big")
    host.run(until=10)
    assert (host.world.room.line, host.world.room._queues) == ({}, {})


def test_what_can_never_fit_is_not_looked_after_each_second() -> None:
    host = Host([agent("huge", "1000G")])
    host.ask("start", "huge")
    host.run(until=1000)
    assert (host.life("huge").state, host.life("huge").hopeless) == (State.WAITING, True)
    assert host.looks == 1
    host.declared["huge"] = agent("huge", "1G")
    host.world.put(host.declared["huge"])
    host.feed(Reread())
    host.run(until=1001)
    assert host.life("huge").state is State.RUNNING
