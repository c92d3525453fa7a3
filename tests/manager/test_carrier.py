"""The manager's hands and ears: deeds become orders, news become events."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from maestro.engine.events import Asked, Notified, Probe, Unprobe
from maestro.model.unit import HealthSection, ReadinessSection
from maestro.model.values import CommandLine, Pattern, Seconds, UserName
from maestro.ports import SOMEBODYS
from maestro.testing.fakes import FakeFiles
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import Rig, rest, rig, turns


def with_probe(**options: object) -> HealthSection:
    return HealthSection(readiness=ReadinessSection(**options))  # type: ignore[arg-type]


async def begin(one: Rig, name: str = "web") -> None:
    one.manager.feed(Asked("start", (name,)))
    await one.manager.settle()
    one.spawned(f"{name}#1")
    await one.manager.settle()


def test_a_stop_is_a_signal_to_the_whole_tree() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            await begin(one)
            one.manager.feed(Asked("stop", ("web",)))
            await one.manager.settle()
            assert one.keeper.asked("send") == [("web#1", signal.SIGTERM, True)]

    play(go())


def test_what_cannot_be_prepared_is_said_in_words_and_tried_again() -> None:
    async def go() -> None:
        async with rig(unit(user=UserName("no-such-user"))) as one:
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            life = one.manager.world.life("web")
            assert life.cause == "cannot run as user no-such-user: no such user"
            assert (one.state("web"), life.result.value) == ("auto-restart", "resources")
            assert one.keeper.asked("spawn") == []

    play(go())


def test_what_the_keeper_cannot_take_is_said_in_words() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            one.keeper.refuses = ValueError("too long")
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            assert one.manager.world.life("web").cause == "cannot be started: too long"

    play(go())


def test_what_the_keeper_could_not_start_is_said_in_words() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            one.carrier.cannot_spawn("web#1", "change directory to /srv", 2)
            assert (
                one.manager.world.life("web").cause
                == "cannot change directory to /srv: no such file or directory"
            )

    play(go())


# ------------------------------------------------------------------------------------------- notifications


def notify(one: Rig, pid: int, **fields: str) -> None:
    one.carrier.notified(pid, one.keeper.whose(pid) or "nobody's", fields)


def test_a_stranger_cannot_make_it_ready() -> None:
    async def go() -> None:
        async with rig(unit(type="notify")) as one:
            await begin(one)
            notify(one, 4242, READY="1")
            assert one.state("web") == "start"
            one.keeper.family[4243] = "other#1"
            notify(one, 4243, READY="1")
            assert one.state("web") == "start"
            one.keeper.family[101] = "web#1"  # a child of its
            notify(one, 101, READY="1", STATUS="fine")
            assert one.state("web") == "running"
            assert one.manager.world.life("web").status == "fine"

    play(go())


def test_a_word_before_the_keepers_is_owed_until_it_comes() -> None:
    async def go() -> None:
        async with rig(unit(type="notify")) as one:
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            one.keeper.family[100] = SOMEBODYS
            notify(one, 100, READY="1")
            assert one.carrier.owes()
            one.spawned("web#1")
            assert one.state("web") == "running"
            assert not one.carrier.owes()
            notify(one, 4242, READY="1")
            one.keeper.family[101] = SOMEBODYS
            notify(one, 101, READY="1")
            assert not one.carrier.owes(), "nobody begins who could claim it"

    play(go())


def test_the_main_process_alone_where_the_unit_says_so() -> None:
    async def go() -> None:
        async with rig(unit(type="notify", notify_access="main")) as one:
            await begin(one)
            one.keeper.family[101] = "web#1"
            notify(one, 101, READY="1")
            assert one.state("web") == "start"
            notify(one, 100, READY="1")
            assert one.state("web") == "running"

    play(go())


def test_an_agent_can_name_only_a_process_of_its_own() -> None:
    async def go() -> None:
        async with rig(unit(type="notify")) as one:
            await begin(one)
            one.keeper.family[101] = "web#1"
            for pid in ("1", "4242", "99999999999999999999", "-1", "x", ""):
                notify(one, 100, MAINPID=pid)
                assert not any(order[0] == "follow" for order in one.keeper.orders)
            notify(one, 100, MAINPID="101")
            assert ("follow", "web#1", 101) in one.keeper.orders

    play(go())


@pytest.mark.parametrize("value", ["x", "", "-1", "1e9", "9" * 16, "٣"])
def test_numbers_that_are_none_are_left_out(value: str) -> None:
    async def go() -> None:
        async with rig(unit(type="notify")) as one:
            await begin(one)
            before = one.manager.world.life("web")
            notify(one, 100, EXTEND_TIMEOUT_USEC=value, WATCHDOG_USEC=value)
            assert one.manager.world.life("web") == before

    play(go())


# ------------------------------------------------------------------------------------------- probes


def test_a_log_probe_waits_for_its_line() -> None:
    async def go() -> None:
        web = replace(unit(), health=with_probe(log=Pattern("^up")))
        async with rig(web) as one:
            await begin(one)
            assert one.state("web") == "start"
            pattern, seen = one.logs.awaited["web"]
            assert pattern == "^up"
            seen()
            assert one.state("web") == "running"
            assert one.carrier.prober._asked == {}, "nothing is kept of a question that was answered"

    play(go())


def test_a_line_before_the_keepers_answer_counts() -> None:
    async def go() -> None:
        web = replace(unit(), health=with_probe(log=Pattern("^up")))
        async with rig(web) as one:
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            one.logs.awaited["web"][1]()
            one.spawned("web#1")
            assert one.state("web") == "running"

    play(go())


def exec_probe(timeout: float = 3) -> HealthSection:
    return with_probe(exec=CommandLine(("/bin/check",)), timeout=Seconds(timeout))


def probes_of(one: Rig) -> list[str]:
    return [str(agent) for (agent,) in one.keeper.asked("spawn") if str(agent).startswith("probe:")]


def test_an_exec_probe_is_run_by_the_keeper() -> None:
    async def go() -> None:
        async with rig(replace(unit(), health=exec_probe())) as one:
            await begin(one)
            await turns()
            [first] = probes_of(one)
            assert one.keeper.recipes[first].argv == ("/bin/check",)
            one.ended(first, code=1)
            await rest(0.2)
            assert one.state("web") == "start"
            second = probes_of(one)[1]
            one.ended(second, code=0)
            await turns()
            assert one.state("web") == "running"
            assert {(first,), (second,)} <= set(one.keeper.asked("acknowledge"))

    play(go())


def test_an_exec_probe_that_hangs_is_killed_with_its_tree() -> None:
    async def go() -> None:
        async with rig(replace(unit(), health=exec_probe(timeout=2))) as one:
            await begin(one)
            await rest(2.05)
            [probe] = probes_of(one)[:1]
            assert (probe, signal.SIGKILL, True) in one.keeper.asked("send")
            one.ended(probe, code=None, signal=9)
            await turns()
            assert (probe,) in one.keeper.asked("acknowledge")
            assert one.state("web") == "start"

    play(go())


def test_an_exec_probe_ends_with_its_agent() -> None:
    async def go() -> None:
        async with rig(replace(unit(), health=exec_probe())) as one:
            await begin(one)
            await turns()
            [probe] = probes_of(one)
            one.manager.feed(Asked("stop", ("web",)))
            await one.manager.settle()
            one.ended("web#1", code=0)
            await rest(100)
            assert probes_of(one) == [probe]
            assert (probe, signal.SIGKILL, True) in one.keeper.asked("send")

    play(go())


def test_an_exec_probe_that_leaves_something_is_swept() -> None:
    async def go() -> None:
        async with rig(replace(unit(), health=exec_probe())) as one:
            await begin(one)
            await turns()
            [probe] = probes_of(one)
            one.ended(probe, code=0, left=("7 (sleep)",))
            assert (probe, signal.SIGKILL, True) in one.keeper.asked("send")
            one.carrier.emptied(probe)

    play(go())


def test_probes_of_an_earlier_manager_are_swept() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            assert one.carrier.prober.sweep("probe:web#1:77:1")
            assert one.keeper.asked("send") == [("probe:web#1:77:1", signal.SIGKILL, True)]
            assert not one.carrier.prober.sweep("web#1")

    play(go())


def test_a_probe_is_begun_once_and_may_be_ended_twice() -> None:
    async def go() -> None:
        async with rig(replace(unit(), health=with_probe(log=Pattern("up")))) as one:
            one.carrier.carry(Probe("web", "web#1"))
            one.logs.awaited.clear()
            one.carrier.carry(Probe("web", "web#1"))
            assert one.logs.awaited == {}
            one.carrier.carry(Unprobe("web#1"))
            one.carrier.carry(Unprobe("web#1"))

    play(go())


# ------------------------------------------------------------------------------------------- definitions


def test_the_store_learns_what_an_agent_was_started_from(tmp_path: Path) -> None:
    text = "agent: {exec: /bin/true}\n"

    async def go() -> None:
        files = FakeFiles(**{"web.agent.yaml": text})
        async with rig(files=files) as one:
            one.catalogue.load(one.manager.world, {})
            await begin(one)
            bodies = [batch.definitions["web"] for batch in one.store.batches if "web" in batch.definitions]
            assert len(bodies) == 1
            assert bodies[0] is not None
            assert text.encode() in bodies[0]
            intents = [batch for batch in one.store.batches if batch.lives.get("web")]
            assert "web" in intents[0].definitions, (
                "with the intent: its file may be gone when a new manager looks"
            )

    play(go())


def test_a_unit_whose_file_is_gone_stays_gone_for_the_next_manager() -> None:
    """It was waiting for its next try; neither this manager nor the next may start it."""

    async def go() -> None:
        files = FakeFiles(**{"web.agent.yaml": "agent: {exec: /bin/true}\n"})
        async with rig(files=files) as one:
            one.catalogue.load(one.manager.world, {})
            await begin(one)
            one.ended("web#1", code=1)
            await one.manager.settle()
            assert one.state("web") == "auto-restart"
            files.texts.clear()
            assert one.carrier.reread().removed == ("web",)
            await rest(100)
            assert one.keeper.asked("spawn") == [("web#1",)]
            last = [batch for batch in one.store.batches if "web" in batch.lives][-1]
            assert last.lives["web"] is None
            assert last.facts["forgotten_spawns"] == "1"
            assert one.manager.world.life("web").spawns == 1  # no number is given twice

    play(go())


def test_a_late_word_of_a_past_agent_means_nothing() -> None:
    async def go() -> None:
        async with rig(unit(type="notify")) as one:
            await begin(one)
            one.ended("web#1", code=1)
            await one.manager.settle()
            before = one.manager.world.life("web")
            one.manager.feed(Notified("web#1", {"READY": "1", "STATUS": "hello"}))
            one.carrier.spawned("web#1", 100, 1)
            one.carrier.emptied("web#1")
            assert one.manager.world.life("web") == before

    play(go())


def test_the_impatient_operator_kills_what_is_there() -> None:
    async def go() -> None:
        async with rig(unit("a"), unit("b")) as one:
            await begin(one, "a")
            one.carrier.kill_all()
            assert one.keeper.asked("send") == [("a#1", signal.SIGKILL, True)]

    play(go())


@pytest.mark.parametrize(
    ("access", "mains", "others"),
    [("none", False, False), ("main", True, False), ("exec", True, False), ("all", True, True)],
)
def test_whose_word_counts(access: str, mains: bool, others: bool) -> None:
    async def heard(pid: int, before: str) -> bool:
        """By the unit's option, or by the agent's own word."""
        options = {} if before else {"notify_access": access}
        async with rig(unit(**options)) as one:
            await begin(one)
            one.keeper.family[101] = "web#1"
            if before:
                notify(one, 100, NOTIFYACCESS=before)
            notify(one, pid, STATUS="here")
            return one.manager.world.life("web").status == "here"

    for before in ("", access):
        assert play(heard(100, before)) is mains
        assert play(heard(101, before)) is others


def test_a_word_on_access_is_forgotten_at_the_next_start() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            await begin(one)
            notify(one, 100, NOTIFYACCESS="nonsense")
            assert one.manager.world.life("web").access == ""
            notify(one, 100, NOTIFYACCESS="none")
            one.manager.feed(Asked("restart", ("web",)))
            await one.manager.settle()
            one.ended("web#1", None, signal=15)
            await one.manager.settle()
            assert one.manager.world.life("web").agent == "web#2"
            assert one.manager.world.life("web").access == ""

    play(go())
