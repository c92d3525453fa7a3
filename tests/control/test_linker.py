"""Enable, disable, mask, preset: which links a request changes, and what is refused afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from maestro.control import protocol as p
from maestro.control.service import Refused
from maestro.engine.state import Life, State
from maestro.manager import tasks
from maestro.ports import Piece
from maestro.testing.loop import play
from tests.control.office import GOOD, ROOT, Behind

INSTALL = "install: {wanted_by: [default.target]}\n"
T = TypeVar("T")


def behind(do: Callable[[Behind], Awaitable[T]], **texts: str) -> T:
    """Run something behind a desk whose manager commits."""

    async def go() -> T:
        desk = Behind(**texts)
        committing = tasks.spawn(desk.manager.run(), "committer")
        try:
            return await do(desk)
        finally:
            committing.cancel()

    return play(go())


async def link(desk: Behind, request: p.Linking) -> p.VerbView:
    return [view async for view in desk.desk.link(ROOT, request)][-1]


async def start(desk: Behind, *names: str, verb: type[p.Start | p.Stop] = p.Start) -> p.VerbView:
    return [view async for view in desk.desk.verb(ROOT, verb(units=names, wait=False))][-1]


def test_what_is_masked_is_not_started_and_says_who_masked_it() -> None:
    async def go(desk: Behind) -> None:
        assert (await link(desk, p.Mask(units=("web", "unheard-of")))).changes == (
            "masked web", "masked unheard-of",
        )  # fmt: skip
        view = await start(desk, "web", "app")
        assert {name: error.code for name, error in view.errors.items()} == {"web": "masked", "app": "masked"}
        assert view.errors["web"].message == "web is masked by /units/web.agent.yaml"
        assert "web is masked by" in view.errors["app"].message
        [unit] = (await desk.desk.status(ROOT, p.Status(units=("web",)))).units
        assert unit.load == "masked"
        [app] = (await desk.desk.status(ROOT, p.Status(units=("app",)))).units
        assert app.cause == "requires web, which is masked by /units/web.agent.yaml"
        await link(desk, p.Unmask(units=("web",)))
        assert not (await start(desk, "web")).errors

    behind(go, web=GOOD, app=f"{GOOD}unit: {{requires: [web]}}\n")


def test_what_runs_when_it_is_masked_can_be_stopped_and_is_not_restarted() -> None:
    async def go(desk: Behind) -> None:
        desk.manager.world.restore({"web": Life(state=State.RUNNING, agent="web#1", pid=9)}, [])
        await link(desk, p.Mask(units=("web",)))
        agent = desk.manager.world.units["web"].agent
        assert agent is not None
        assert agent.restart.policy == "no"
        assert (await start(desk, "web")).errors["web"].code == "masked"
        assert not (await start(desk, "web", verb=p.Stop)).errors

    behind(go, web=GOOD)


def test_enabling_what_is_masked_is_refused() -> None:
    async def go(desk: Behind) -> None:
        await link(desk, p.Mask(units=("web",)))
        assert (await link(desk, p.Enable(units=("web",)))).errors["web"].code == "masked"

    behind(go, web=GOOD + INSTALL)


def test_an_alias_is_answered_with_the_name() -> None:
    async def go(desk: Behind) -> None:
        await link(desk, p.Enable(units=("postgres",)))
        [job] = (await start(desk, "pg")).jobs
        assert job.unit == "postgres"
        assert [one.name for one in (await desk.desk.status(ROOT, p.Status(units=("pg",)))).units] == [
            "postgres"
        ]
        states = await desk.desk.is_enabled(ROOT, p.IsEnabled(units=("pg", "postgres", "none", "a/b")))
        assert [one.state for one in states] == ["alias", "enabled", "not-found", "not-found"]

    behind(go, postgres=f"{GOOD}install: {{alias: [pg]}}\n")


def test_also_is_enabled_and_disabled_too() -> None:
    async def go(desk: Behind) -> None:
        view = await link(desk, p.Enable(units=("web",)))
        assert view.changes == ("linked web into default.target", "linked db into default.target")
        assert (await link(desk, p.Disable(units=("web",)))).changes == ("unlinked web", "unlinked db")

    install = "install: {{wanted_by: [default.target], also: [{}]}}\n"
    behind(go, web=GOOD + install.format("db"), db=GOOD + install.format("web"))


def test_disable_now_stops_the_instances_of_a_template() -> None:
    async def go(desk: Behind) -> None:
        desk.manager.world.know("w@1")
        view = await link(desk, p.Disable(units=("w@",), now=True))
        assert [job.unit for job in view.jobs] == ["w@1"]

    behind(go, w_=GOOD + INSTALL)


def test_presets() -> None:
    async def go(desk: Behind) -> None:
        text = b"disable db\nenable w@ eu us\nenable *\n"
        desk.files.preset_files = (Piece(path="/preset/x", text=text),)
        desk.files.enabled["db"] = "enabled"
        view = await link(desk, p.Preset(units=("db", "web")))
        assert view.changes == ("unlinked db", "linked web into default.target")
        view = await link(desk, p.Preset())
        assert view.changes == (
            "linked w@eu into default.target",
            "linked w@us into default.target",
            "linked web into default.target",
        )
        desk.files.preset_files = (Piece(path="/preset/x", text=b"enabel db\n"),)
        with pytest.raises(Refused, match="cannot take presets: /preset/x:1:1: 'enabel db' is no rule"):
            await link(desk, p.Preset())

    behind(go, db=GOOD + INSTALL, web=GOOD + INSTALL, w_=GOOD + INSTALL, plain=GOOD)
