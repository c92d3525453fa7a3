"""Transient units: made once, started, and gone when they have ended."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from msgspec.structs import replace

from maestro.control import protocol as p
from maestro.control.service import Refused
from maestro.engine.events import Ended, Looked
from maestro.engine.state import Life, State
from maestro.manager.transients import Transients
from maestro.testing.loop import play
from tests.control.office import GOOD, ROOT, Behind
from tests.control.test_linker import behind

T = TypeVar("T")
FILE = "job.agent.yaml"


def running(do: Callable[[Behind], Awaitable[T]], **texts: str) -> T:
    return behind(do, **texts)


async def run(
    desk: Behind, *properties: str, unit: str = "job", request: str = "", **fields: bool
) -> p.RunView:
    asked = p.Run(unit=unit, properties=("agent.exec=[/bin/true]", *properties), wait=False, **fields)
    caller = replace(ROOT, request_id=request)
    return [view async for view in desk.desk.run(caller, asked)][-1]


async def start(desk: Behind, name: str) -> None:
    async for _ in desk.desk.verb(ROOT, p.Start(units=(name,), wait=False)):
        pass


async def ends(desk: Behind, agent: str, code: int = 0) -> None:
    carrier = desk.desk._o.carrier
    carrier.spawned(agent, 100, 1)
    carrier.ended(Ended(agent=agent, code=code))
    await desk.manager.settle()
    await desk.manager.settle()


async def events(desk: Behind) -> list[p.EventView]:
    return [one async for one in desk.desk.events(ROOT, p.Events(cursor=0, follow=False))]


def test_it_is_a_unit_like_any_other_until_it_has_ended_well() -> None:
    async def go(desk: Behind) -> None:
        view = await run(desk, "unit.description=once")
        assert (view.unit, view.path, [job.verb for job in view.jobs]) == (
            "job",
            f"/run/transient/{FILE}",
            ["start"],
        )
        assert desk.files.texts[FILE] == view.text
        assert desk.manager.world.units["job"].unit.description == "once"
        await ends(desk, "job#1")
        assert FILE not in desk.files.texts
        assert "job" not in desk.manager.world.units
        assert "job" not in desk.manager.world.lives
        assert [one.exit for one in await events(desk) if one.kind == "completed"] == [0]
        committed = [batch for batch in desk.store.batches if "job" in batch.lives][-1]
        assert committed.lives["job"] is None
        assert committed.definitions["job"] is None

    running(go)


def test_no_agent_id_is_given_twice() -> None:
    async def go(desk: Behind) -> None:
        await run(desk)
        await ends(desk, "job#1")
        await run(desk)
        assert desk.manager.world.life("job").agent == "job#2"

    running(go)


def test_one_that_failed_stays_until_its_failure_is_reset() -> None:
    async def go(desk: Behind) -> None:
        await run(desk)
        await ends(desk, "job#1", code=3)
        assert FILE in desk.files.texts
        assert [one.exit for one in await events(desk) if one.kind == "failed"] == [3]
        with pytest.raises(Refused) as caught:
            await run(desk)
        assert caught.value.error.hint == "maestroctl reset-failed job forgets it"
        await desk.desk.at_once(ROOT, p.ResetFailed(units=("job",)))
        await desk.manager.settle()
        assert FILE not in desk.files.texts
        await run(desk)

    running(go)


def test_one_that_failed_is_forgotten_where_that_is_asked_for() -> None:
    async def go(desk: Behind) -> None:
        await run(desk, "unit.collect_mode=inactive-or-failed")
        await ends(desk, "job#1", code=3)
        assert FILE not in desk.files.texts

    running(go)


def test_the_same_request_twice_makes_one_unit() -> None:
    async def go(desk: Behind) -> None:
        first = await run(desk, request="r1")
        assert [job.id for job in (await run(desk, request="r1")).jobs] == [job.id for job in first.jobs]
        await ends(desk, "job#1")
        assert [job.state for job in (await run(desk, request="r1")).jobs] == ["done"]
        assert FILE not in desk.files.texts

    running(go)


def test_a_name_that_is_taken_is_refused() -> None:
    async def go(desk: Behind) -> None:
        for name in ("web", "w@1"):
            with pytest.raises(Refused) as caught:
                await run(desk, unit=name)
            assert caught.value.error.code == "exists"
        desk.files.texts["late.agent.yaml"] = GOOD  # nobody has read it yet
        with pytest.raises(Refused, match="there is a unit of this name already, /units/late"):
            await run(desk, unit="late")
        for name in ("a/b", "w@", "x.target", ".x"):
            with pytest.raises(Refused) as caught:
                await run(desk, unit=name)
            assert caught.value.error.code == "bad-request"
        desk.manager.world.restore({"lost": Life(state=State.RUNNING, agent="lost#1", pid=9)}, [])
        with pytest.raises(Refused, match="an agent of this name still runs"):
            await run(desk, unit="lost")

    running(go, web=GOOD, w_=GOOD)


def test_what_would_not_load_is_refused_by_its_properties() -> None:
    async def go(desk: Behind) -> None:
        with pytest.raises(Refused) as caught:
            await run(desk, "agent.restart.policy=sometimes", "agent.typ=oneshot")
        assert caught.value.error.message.startswith(
            "cannot run job: agent.restart.policy: 'sometimes' is not one of"
        )
        assert "agent.typ: no such option" in caught.value.error.message
        with pytest.raises(Refused, match="cannot run job: 'agent' names no option"):
            await run(desk, "agent")
        assert desk.files.texts == {}

    running(go)


def test_what_cannot_be_started_is_not_there_afterwards() -> None:
    async def go(desk: Behind) -> None:
        with pytest.raises(Refused) as caught:
            await run(desk, "unit.requires=[ghost]")
        assert caught.value.error.code == "missing-requirement"
        assert desk.files.texts == {}
        assert "job" not in desk.manager.world.units

    running(go)


def test_a_dry_run_only_shows_the_file() -> None:
    async def go(desk: Behind) -> None:
        view = await run(desk, dry_run=True)
        assert "exec: [/bin/true]" in view.text
        assert desk.files.texts == {}
        assert view.jobs == ()

    running(go)


def test_the_audit_log_names_the_command_and_not_its_variables() -> None:
    async def go(desk: Behind) -> None:
        await run(desk, "agent.environment={KEY: secret}")
        await desk.manager.settle()
        [entry] = [json.loads(body) for batch in desk.store.batches for _, body in batch.audit]
        assert (entry["action"], entry["result"]) == ("run job /bin/true", "job: job 1")

    running(go)


def test_why_says_who_ran_it_and_does_not_take_its_words_for_units() -> None:
    async def go(desk: Behind) -> None:
        await run(desk, "agent.exec=[/bin/echo, web]")
        await desk.manager.settle()
        desk.store.rows.clear()
        job, web = (await desk.desk.why(ROOT, p.Why(units=("job", "web")))).reasons
        assert (job.asked, job.asked_by, web.asked) == ("run", "uid 0", "")

    running(go, web=GOOD)


def test_the_end_is_committed_before_the_file_goes() -> None:
    async def go(desk: Behind) -> None:
        await run(desk)
        desk.store.trouble = "the disk is full"
        await ends(desk, "job#1")
        assert FILE in desk.files.texts
        desk.store.trouble = None
        desk.manager.note_fact("any", "thing")
        await desk.manager.settle()
        assert FILE not in desk.files.texts

    running(go)


def test_a_new_manager_takes_away_what_an_earlier_one_left() -> None:
    """A file that was never started, one of a unit that had ended; and a unit whose file had gone is forgotten."""

    async def go() -> None:
        texts = dict.fromkeys(("never", "ended", "failed", "collected", "runs", "mine"), GOOD)
        texts["collected"] = f"{GOOD}unit: {{collect_mode: inactive-or-failed}}\n"
        desk = Behind(**texts)
        desk.files.passing = {f"{name}.agent.yaml" for name in texts if name != "mine"}
        desk.catalogue.load(desk.manager.world, {})
        lives = {
            "ended": Life(spawns=7, agent="ended#7"),
            "failed": Life(state=State.FAILED, agent="failed#1", spawns=1),
            "collected": Life(state=State.FAILED, agent="collected#1", spawns=1),
            "runs": Life(state=State.RUNNING, agent="runs#1", spawns=1, pid=9),
            "mine": Life(spawns=2, agent="mine#2"),
            "gone": Life(spawns=9, agent="gone#9"),
            "failed-gone": Life(state=State.FAILED, agent="failed-gone#1", spawns=1),
        }
        desk.manager.restore(lives, [], {})
        transients = Transients(desk.manager, desk.desk._o.catalogue)
        over = transients.take_up("")
        transients.forget(over)
        assert set(over) == {"never", "ended", "collected", "gone", "failed-gone"}
        assert set(desk.files.texts) == {"failed.agent.yaml", "runs.agent.yaml", "mine.agent.yaml"}
        assert set(desk.manager.world.lives) == {"failed", "runs", "mine"}
        assert desk.manager.world.life("ended").spawns == 9

    play(go())


def test_one_that_runs_is_not_forgotten_though_its_life_was_never_committed() -> None:
    """The disk was full when it was started, and that manager died: the next one finds its agent."""

    async def go() -> None:
        desk = Behind(job=GOOD)
        desk.files.passing = {FILE}
        transients = Transients(desk.manager, desk.catalogue)
        over = transients.take_up("")
        desk.manager.feed(Looked({"job#1": (9, 1)}, {}, fresh=False))
        transients.forget(over)
        assert FILE in desk.files.texts
        assert desk.manager.world.life("job").agents == ("job#1",)

    play(go())


def test_the_file_that_counts_by_now_outlives_it() -> None:
    """A unit of the same name was installed while it ran."""

    async def go(desk: Behind) -> None:
        await run(desk)
        desk.files.texts[FILE] = GOOD
        desk.files.paths[FILE] = f"/etc/{FILE}"
        desk.carrier.reread()
        await ends(desk, "job#1")
        assert desk.catalogue.path_of("job") == f"/etc/{FILE}"
        assert "job" in desk.manager.world.units
        await start(desk, "job")
        await ends(desk, "job#2")
        assert "job" in desk.manager.world.units

    running(go)


def test_a_file_that_could_not_be_made_is_of_no_transient_unit() -> None:
    async def go(desk: Behind) -> None:
        desk.files.trouble = "no space left on device"
        with pytest.raises(Refused, match="no space left"):
            await run(desk)
        desk.files.trouble = ""
        desk.files.texts[FILE] = GOOD
        desk.carrier.reread()
        await start(desk, "job")
        await ends(desk, "job#1")
        assert FILE in desk.files.texts

    running(go)


def test_the_log_of_one_that_is_gone_is_still_read() -> None:
    async def go(desk: Behind) -> None:
        desk.desk._o.logs.note("job", "hello")
        lines = desk.desk.logs(ROOT, p.Logs(units=("job",), follow=True, to_end=True, lines=None))
        assert "hello" in [line.text async for line in lines]
        with pytest.raises(Refused, match="no unit job"):
            [line async for line in desk.desk.logs(ROOT, p.Logs(units=("job",)))]
        with pytest.raises(Refused):
            [line async for line in desk.desk.logs(ROOT, p.Logs(units=("../x",), to_end=True))]

    running(go)


def test_the_logs_of_the_newest_that_are_gone_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may have a name that never comes again: the disk would fill."""
    monkeypatch.setattr("maestro.manager.transients.KEPT_LOGS", 2)

    async def go(desk: Behind) -> None:
        discarded: list[str] = []
        desk.desk._o.transients.discard_log = discarded.append
        for name in ("a", "b", "a", "c", "d"):
            await run(desk, unit=name)
            await ends(desk, f"{name}#{desk.manager.world.life(name).spawns}")
        assert discarded == ["b", "a"]
        noted = [batch.facts["gone"] for batch in desk.store.batches if "gone" in batch.facts]
        assert noted[-1] == "c\nd"
        desk.files.texts["c.agent.yaml"] = GOOD  # the name is a unit's now, and so is the log
        desk.carrier.reread()
        for name in ("e", "f"):
            await run(desk, unit=name)
            await ends(desk, f"{name}#{desk.manager.world.life(name).spawns}")
        assert discarded == ["b", "a", "d"]

    running(go)
