"""The manager: what is fed is committed, and only then carried out and told."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest

from maestro.engine.events import Asked, Ended
from maestro.engine.jobs import Job, JobState
from maestro.manager import loop, tasks
from maestro.model.unit import RestartSection
from maestro.model.values import Seconds
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import rest, rig, turns


def test_deeds_leave_only_when_the_store_has_them() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            one.store.gate.clear()
            one.manager.feed(Asked("start", ("web",)))
            await turns()
            assert one.keeper.orders == []
            assert one.told == []
            one.store.gate.set()
            await one.manager.settle()
            assert one.keeper.asked("spawn") == [("web#1",)]
            assert one.told == ["starting"]
            assert "web" in one.store.batches[0].lives

    play(go())


def test_agents_are_held_when_nothing_can_be_written(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            one.store.trouble = "database or disk is full"
            one.manager.feed(Asked("start", ("web",)))
            await turns()
            assert one.keeper.asked("spawn") == [("web#1",)]
            assert one.manager.store_trouble == "database or disk is full"
            one.store.trouble = None
            await rest(loop.RETRY_STORE + 0.1)  # by itself: nothing else happens
            assert one.manager.store_trouble == ""

    play(go())
    assert caplog.text.count("database or disk is full") == 1
    assert "can be written again" in caplog.text


def test_a_disk_that_refuses_for_long_is_asked_at_a_steady_rate() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            tries = 0
            commit = one.store.commit

            async def counted(batch: object) -> str | None:
                nonlocal tries
                tries += 1
                return await commit(batch)  # type: ignore[arg-type]

            one.store.commit = counted  # type: ignore[method-assign]
            one.store.trouble = "no"
            for number in range(50):
                one.manager.note_fact("n", str(number))
                await rest(0.01)
            before = tries
            await rest(60)
            assert tries - before <= 60 / loop.RETRY_STORE + 1

    play(go())


def test_the_end_of_a_job_is_told_after_its_commit() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            step = one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            one.store.gate.clear()
            one.spawned("web#1")
            await turns()  # the batch with the job's end is being written
            end = one.manager.when_done(step.jobs[0])
            assert not end.done()
            one.store.gate.set()
            assert (await end).state is JobState.DONE
            assert one.manager.when_done(step.jobs[0]).done()

    play(go())


def test_waiting_for_what_was_fed_ends_while_more_is_fed() -> None:
    async def go() -> None:
        async with rig(unit()) as one:

            async def feed_for_ever() -> None:
                while True:
                    one.manager.note_fact("busy", "very")
                    await turns(1)

            busy = tasks.spawn(feed_for_ever(), "busy")
            one.manager.feed(Asked("start", ("web",)))
            await asyncio.wait_for(one.manager.settle(), 5)
            assert one.keeper.asked("spawn") == [("web#1",)]
            busy.cancel()

    play(go())


def test_a_restart_comes_when_its_pause_is_over() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            for number, pause in ((1, 1.0), (2, 2.0), (3, 4.0)):
                one.spawned(f"web#{number}")
                one.ended(f"web#{number}", code=1)
                await rest(pause - 0.01)
                assert one.state("web") == "auto-restart"
                await rest(0.02)
                assert one.keeper.asked("spawn")[-1] == (f"web#{number + 1}",)

    play(go())


@pytest.mark.parametrize("span", [inf, 3e8])
def test_a_timer_may_be_further_off_than_a_loop_can_count(
    span: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        asked: list[float] = []
        running = asyncio.get_running_loop()
        call_later = running.call_later

        def noted(delay: float, *what: Any) -> asyncio.TimerHandle:
            asked.append(delay)
            return call_later(delay, *what)

        monkeypatch.setattr(running, "call_later", noted)
        async with rig(unit(restart=RestartSection(reset_after=Seconds(span)))) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.ended("web#1", code=1)
            await rest(2)
            one.spawned("web#2")
            await rest(10 * 86400)
            assert "forgive" in one.manager.world.life("web").timers
            assert max(asked) <= 10 * 86400  # uvloop counts milliseconds, and raises OverflowError for ever

    play(go())


def test_the_end_of_an_agent_is_kept_by_the_keeper_until_it_is_committed() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            one.spawned("web#1")
            await one.manager.settle()
            one.store.gate.clear()
            one.ended("web#1", code=3)
            await turns()
            assert one.keeper.asked("acknowledge") == []
            one.store.gate.set()
            await one.manager.settle()
            assert one.keeper.asked("acknowledge") == [("web#1",)]
            one.ended("web#1", code=3)  # told again by a keeper that missed the answer
            assert one.keeper.asked("acknowledge") == [("web#1",), ("web#1",)]

    play(go())


def test_only_so_many_jobs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "KEPT_JOBS", 3)

    async def go() -> None:
        async with rig(unit("a.target")) as one:
            ends = []
            for _ in range(5):
                ends.append(
                    one.manager.when_done(one.manager.feed(Asked("start", ("a.target",), "r")).jobs[0])
                )
                ends.append(one.manager.when_done(one.manager.feed(Asked("stop", ("a.target",))).jobs[0]))
            await one.manager.settle()
            assert all(end.done() for end in ends)
            assert len(one.manager.finished) == 3
            kept = {number for batch in one.store.batches for number, body in batch.jobs.items() if body}
            gone = {
                number for batch in one.store.batches for number, body in batch.jobs.items() if body is None
            }
            assert kept - gone == set(one.manager.finished)

    play(go())


def test_a_request_sent_again_finds_its_jobs() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            jobs = one.manager.feed(Asked("start", ("web",), "0:abc")).jobs
            assert [job.id for job in one.manager.asked_before("0:abc")] == [jobs[0].id]
            one.spawned("web#1")
            assert [job.state for job in one.manager.asked_before("0:abc")] == [JobState.DONE]
            assert one.manager.asked_before("0:other") == []
            assert one.manager.asked_before("") == []

    play(go())


def test_a_new_manager_goes_on_with_the_jobs_it_finds() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            jobs = [
                Job(id=7, unit="web", verb="start", requests=("x",), state=JobState.DONE),
                Job(id=8, unit="web", verb="start", requests=("y",)),
            ]
            one.manager.restore({}, jobs, {"last_job": "5"})
            assert one.manager.world.book.last == 8
            assert one.manager.when_done(jobs[0]).done()
            assert not one.manager.when_done(jobs[1]).done()

    play(go())


def test_a_bug_of_ours_names_the_unit_it_was_at() -> None:
    async def go() -> None:
        async with rig(unit()) as one:
            one.manager.feed(Asked("start", ("web",)))

            def broken(*_: object) -> None:
                raise ZeroDivisionError

            one.manager.world.apply = broken  # type: ignore[assignment]
            with pytest.raises(ZeroDivisionError):
                one.manager.feed(Ended(agent="web#1", code=1))
            assert one.doomed == ["web"]

    play(go())
