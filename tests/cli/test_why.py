"""why: the chain of causes."""

from __future__ import annotations

import json
from typing import Any

from maestro.control import protocol as p
from tests.cli.conftest import Ctl
from tests.control.fake import NOW, Served


def reason(name: str, state: str, cause: str, **fields: Any) -> p.ReasonView:
    given = {"load": "loaded", "fine": "", "goal": "up", "since": NOW - 120, **fields}
    return p.ReasonView(name=name, state=state, cause=cause, **given)


def answered(*reasons: p.ReasonView, named: tuple[str, ...], **errors: p.ErrorView) -> p.WhyView:
    return p.WhyView(named=named, reasons=reasons, now=NOW, errors=errors)


WEB = reason(
    "web",
    "waiting",
    "waits for db, which has failed: ended with exit status 1",
    waits_for=("db", "app"),
    asked="start",
    asked_by="uid 1001",
    asked_at=NOW - 60,
)
APP = reason("app", "waiting", "waits for db, which has failed", waits_for=("db",), pulled_by=("web",))
DB = reason(
    "db",
    "failed",
    "ended with exit status 1; gave up",
    fine="cooldown",
    next="start after the cool-down",
    next_in=42.0,
    hint="the API key has expired",
    pulled_by=("web", "app", "a", "b", "c", "d", "e"),
)


def test_a_chain_of_causes(ctl: Ctl, served: Served) -> None:
    served.service.reasons = answered(WEB, DB, APP, named=("web",))
    assert ctl("why", "web").out.splitlines() == [
        "… web is waiting since 2 min: waits for db, which has failed: ended with exit status 1",
        "  last asked: start, by uid 1001, 1 min ago",
        "  × db is failed (cooldown) since 2 min: ended with exit status 1; gave up",
        "    hint: the API key has expired",
        "    next: start after the cool-down in 42 s",
        "    wanted up by web, app, a, b, c and 2 more",
        "  … app is waiting since 2 min: waits for db, which has failed",
        "    wanted up by web",
        "    × db (told above)",
    ]


def test_a_circle_of_waits_is_told_once(ctl: Ctl, served: Served) -> None:
    a = reason("a", "waiting", "waits for b", waits_for=("b",), pulled_by=("x",))
    b = reason("b", "waiting", "waits for a", waits_for=("a",), pulled_by=("x",))
    served.service.reasons = answered(a, b, named=("a",))
    assert ctl("why", "a").out.splitlines()[-1] == "    … a (told above)"


def test_one_that_nobody_asked_for(ctl: Ctl, served: Served) -> None:
    idle = reason("idle", "inactive", "", goal="down", since=0.0)
    boot = reason("default.target", "active", "reached")
    served.service.reasons = answered(idle, boot, named=("idle", "default.target"))
    assert ctl("why", "idle", "default.target").out.splitlines() == [
        "○ idle is inactive",
        "  nobody asks for it: neither a request that is remembered nor a unit that is up",
        "",
        "● default.target is active since 2 min: reached",
        "  maestrod starts it when it begins",
    ]


def test_what_an_agent_wrote_does_not_steer_the_terminal(ctl: Ctl, served: Served) -> None:
    served.service.reasons = answered(reason("a", "failed", "\x1b[2Jgone"), named=("a",))
    assert ctl("why", "a").out.splitlines()[0] == "× a is failed since 2 min: gone"


def test_one_that_does_not_load(ctl: Ctl, served: Served) -> None:
    served.service.reasons = answered(reason("brk", "inactive", "", since=0.0, load="bad"), named=("brk",))
    assert ctl("why", "brk").out.splitlines()[0] == "× brk does not load"


def test_json_and_a_unit_that_there_is_not(ctl: Ctl, served: Served) -> None:
    missing = p.ErrorView(code="no-such-unit", message="no unit nope")
    served.service.reasons = answered(DB, named=("db",), nope=missing)
    said = ctl("why", "db", "nope")
    assert (said.code, said.err) == (4, "maestroctl: no unit nope\n")
    said = ctl("why", "db", "nope", "-o", "json")
    view = json.loads(said.out)
    assert (said.code, said.err, view["schema"]) == (4, "", 1)
    assert view["reasons"][0]["next"] == "start after the cool-down"
