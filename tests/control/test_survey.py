"""What the desk answers of how units hang together, how they started, and why they are as they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from maestro.control import protocol as p
from maestro.engine.events import Asked, CannotSpawn
from maestro.manager import tasks
from maestro.testing.loop import play
from tests.control.office import GOOD, ROOT, Behind
from tests.manager.rig import rest


@asynccontextmanager
async def behind(**texts: str) -> AsyncIterator[Behind]:
    """A desk whose manager commits what happens."""
    made = Behind(**texts)
    committing = tasks.spawn(made.manager.run(), "committer")
    try:
        yield made
    finally:
        committing.cancel()


def says(**options: str) -> str:
    return GOOD + "unit: {" + ", ".join(f"{name}: {value}" for name, value in options.items()) + "}\n"


# ------------------------------------------------------------------------------------------- links


def test_links_are_what_units_say_once_each() -> None:
    async def go() -> None:
        async with behind(web=says(requires="[db]", after="[db]"), db=says(part_of="[web]")) as made:
            view = await made.desk.links(ROOT, p.Links(units=("w*",)))
            assert view.named == ("web",)
            assert {(link.by, link.option, link.other) for link in view.links} == {
                ("web", "requires", "db"),
                ("db", "part_of", "web"),
            }
            assert len(view.links) == 2
            [edge] = view.order
            assert (edge.first, edge.second, edge.option) == ("db", "web", "after")
            assert edge.where.endswith("web.agent.yaml:2")

    play(go())


def test_links_reach_instances_that_nobody_has_asked_for_yet() -> None:
    async def go() -> None:
        async with behind(web=says(wants='["w@eu", ghost]'), w_=says(requires="[db]"), db=GOOD) as made:
            view = await made.desk.links(ROOT, p.Links())
            assert ("w@eu", "requires", "db") in {(link.by, link.option, link.other) for link in view.links}
            loads = {node.name: node.load for node in view.units}
            assert loads["w@eu"] == "loaded"
            assert loads["ghost"] == "missing"

    play(go())


def test_links_of_a_unit_that_there_is_not() -> None:
    async def go() -> None:
        async with behind(web=GOOD) as made:
            view = await made.desk.links(ROOT, p.Links(units=("nope", "web")))
            assert view.named == ("web",)
            assert view.errors["nope"].code == "no-such-unit"

    play(go())


# ------------------------------------------------------------------------------------------- starts


def test_starts_tell_what_was_waited_for() -> None:
    async def go() -> None:
        async with behind(
            web=says(requires="[db]", after="[db]"), db="agent: {exec: x, type: notify}\n", idle=GOOD
        ) as made:
            manager = made.manager
            manager.feed(Asked("start", ("web",)))
            view = await made.desk.starts(ROOT, p.Starts())
            web, db = sorted(view.starts, key=lambda one: one.name, reverse=True)
            assert (web.asked, web.began, web.ready, web.after) == (db.asked, None, None, ("db",))
            assert (db.began, db.ready, db.state) == (db.asked, None, "activating")

    play(go())


def test_the_commands_before_a_start_are_part_of_it() -> None:
    """As systemd counts it: from activating to active."""

    async def go() -> None:
        async with behind(web="agent: {exec: x, exec_start_pre: [prepare]}\n") as made:
            made.manager.feed(Asked("start", ("web",)))
            await made.manager.settle()
            made.spawned("web#1/pre1", pid=90)
            await rest(3)
            assert (await made.desk.starts(ROOT, p.Starts(units=("web",)))).starts[0].started is None
            made.ended("web#1/pre1")
            await made.manager.settle()
            made.spawned("web#1")
            [web] = (await made.desk.starts(ROOT, p.Starts(units=("web",)))).starts
            assert web.began == web.asked
            assert (web.started, web.ready) == pytest.approx((web.asked + 3, web.asked + 3), abs=0.01)

    play(go())


def test_a_start_that_waits_again_shows_no_times_of_the_one_before() -> None:
    async def go() -> None:
        async with behind(web=GOOD) as made:
            manager = made.manager
            manager.feed(Asked("start", ("web",)))
            first = (await made.desk.starts(ROOT, p.Starts(units=("web",)))).starts[0]
            assert first.began is not None
            manager.feed(CannotSpawn(manager.world.life("web").agent, "no such file"))
            [failed] = (await made.desk.starts(ROOT, p.Starts(units=("web",)))).starts
            assert failed.ended is not None
            assert failed.ready is None

    play(go())


# ------------------------------------------------------------------------------------------- why


def test_why_follows_what_is_waited_for_and_says_who_asked() -> None:
    async def go() -> None:
        async with behind(
            web=says(requires="[app]", after="[app]"),
            app=says(requires="[db]", after="[db]"),
            db="agent: {exec: x, restart: {policy: 'no'}}\n",
        ) as made:
            [_] = [view async for view in made.desk.verb(ROOT, p.Start(units=("web",), wait=False))]
            manager = made.manager
            manager.feed(CannotSpawn(manager.world.life("db").agent, "no such file"))
            await manager.settle()
            view = await made.desk.why(ROOT, p.Why(units=("web", "nope")))
            assert [(one.name, one.state, one.waits_for) for one in view.reasons] == [
                ("web", "waiting", ("app",)),
                ("app", "waiting", ("db",)),
                ("db", "failed", ()),
            ]
            web, app, db = view.reasons
            assert (web.asked, web.asked_by, web.pulled_by) == ("start", "uid 0", ())
            assert (app.asked, app.pulled_by) == ("", ("web",))
            assert db.cause == "no such file"
            assert view.errors["nope"].code == "no-such-unit"

    play(go())


def test_the_newest_request_counts_and_enabling_is_none() -> None:
    async def go() -> None:
        async with behind(web=GOOD + "install: {wanted_by: [default.target]}\n") as made:
            for request in (p.Start(units=("web",), wait=False), p.Stop(units=("web",), wait=False)):
                [_] = [view async for view in made.desk.verb(ROOT, request)]
            [_] = [view async for view in made.desk.link(ROOT, p.Enable(units=("web",)))]
            await made.manager.settle()
            [reason] = (await made.desk.why(ROOT, p.Why(units=("web",)))).reasons
            assert (reason.asked, reason.asked_by) == ("stop", "uid 0")

    play(go())


def test_a_request_that_was_refused_is_not_who_asked_last() -> None:
    async def go() -> None:
        async with behind(web=GOOD, db=GOOD) as made:
            both = ("web", "db")
            for request in (p.Start(units=both, wait=False), p.Reload(units=both, wait=False)):
                [_] = [view async for view in made.desk.verb(ROOT, request)]
            await made.desk.kill(
                ROOT, p.Kill(units=("db",))
            )  # its process is ordered, and is there for all we know
            await made.manager.settle()
            web, db = (await made.desk.why(ROOT, p.Why(units=both))).reasons
            assert (web.asked, db.asked) == ("start", "kill")

    play(go())


def test_the_views_are_plain_json() -> None:
    async def go() -> None:
        import msgspec

        async with behind(web=GOOD) as made:
            view = await made.desk.why(ROOT, p.Why(units=("web",)))
            assert json.loads(msgspec.json.encode(view))["reasons"][0]["name"] == "web"

    play(go())
