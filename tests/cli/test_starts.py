"""blame, critical-chain and plot."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from maestro.cli.render.plot import escape, svg
from maestro.cli.render.starts import exactly
from maestro.cli.starting import Window
from maestro.control import protocol as p
from tests.cli.conftest import Ctl
from tests.control.fake import Served

BASE = 5000.0  # CLOCK_MONOTONIC, when the start was asked for


def start(
    name: str,
    began: float | None = None,
    ready: float | None = None,
    *,
    asked: float = 0.0,
    started: float | None = None,
    ended: float | None = None,
    state: str = "active",
    after: tuple[str, ...] = (),
    after_started: tuple[str, ...] = (),
) -> p.StartView:
    def at(when: float | None) -> float | None:
        return None if when is None else BASE + when

    kind = "target" if name.endswith(".target") else "agent"
    return p.StartView(
        name=name,
        kind=kind,
        state=state,
        asked=BASE + asked,
        began=at(began),
        started=at(started),
        ready=at(ready),
        ended=at(ended),
        after=(*after, *after_started),
        after_started=after_started,
    )


def started(*starts: p.StartView, named: tuple[str, ...] = (), now: float = 60.0) -> p.StartsView:
    return p.StartsView(named=named, starts=starts, now=BASE + now)


HOUSE = (
    start("default.target", 6.5, 6.5, after=("web", "clock", "idle")),
    start("web", 4.25, 6.5, after=("db", "log")),
    start("db", 0.0, 4.25, after=("disk",)),
    start("log", 0.0, 0.5),
    start("clock", 0.0, 0.012),
    start("disk", -90.0, -80.0, asked=-90.0),  # it was up before anything of this was asked for
    start("dead", 0.0, None, ended=1.0, state="failed"),
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0ms"),
        (0.0004, "0ms"),
        (0.012, "12ms"),
        (0.9996, "1.000s"),
        (2.2474, "2.247s"),
        (60, "1min 0.000s"),
        (3723.5, "1h 2min 3.500s"),
        (3600, "1h 0.000s"),
    ],
)
def test_spans_as_systemd_analyze_writes_them(seconds: float, words: str) -> None:
    assert exactly(seconds) == words


# ------------------------------------------------------------------------------------------- blame


def test_blame(ctl: Ctl, served: Served) -> None:
    served.service.started = started(*HOUSE, start("slow", 1.0, state="activating"))
    assert ctl("blame").out.splitlines() == [
        "59.000s slow (still starting)",
        "10.000s disk",
        " 4.250s db",
        " 2.250s web",
        "  500ms log",
        "   12ms clock",
    ]


def test_blame_in_json(ctl: Ctl, served: Served) -> None:
    served.service.started = started(*HOUSE[3:5])
    assert json.loads(ctl("blame", "-o", "json").out)["units"] == [
        {"name": "log", "took": 0.5, "ready": True},
        {"name": "clock", "took": 0.012, "ready": True},
    ]


def test_blame_of_nothing(ctl: Ctl) -> None:
    assert ctl("blame").out == ""


# ------------------------------------------------------------------------------------------- critical-chain


def chain(ctl: Ctl, served: Served, *starts: p.StartView, name: str = "default.target") -> list[str]:
    served.service.started = started(*starts, named=(name,))
    said = ctl("critical-chain", "-q", name)
    assert said.code == 0
    return said.out.splitlines()


def test_a_chain_leads_to_what_came_first(ctl: Ctl, served: Served) -> None:
    assert chain(ctl, served, *HOUSE) == [
        "default.target @6.500s",
        "└─web @4.250s +2.250s",
        "  └─db @0ms +4.250s",
    ]


def test_what_only_had_to_be_started_held_up_until_then(ctl: Ctl, served: Served) -> None:
    web = start("web", 2.0, 3.0, after_started=("db",))
    db = start("db", 1.0, 9.0, started=2.0, after=("disk",))  # its exec_start_pre took a second
    assert chain(ctl, served, web, db, start("disk", 0.0, 1.0), name="web") == [
        "web @2.000s +1.000s",
        "└─db @1.000s +8.000s",
        "  └─disk @0ms +1.000s",
    ]


def test_times_count_from_the_start_of_the_unit_that_is_asked_about(ctl: Ctl, served: Served) -> None:
    late = start("late", 100.5, 101.0, asked=100.0, after=("web", "helper"))
    helper = start("helper", 100.0, 100.5, asked=100.0)
    assert chain(ctl, served, *HOUSE, late, helper, name="late") == [
        "late @500ms +500ms",
        "└─helper @0ms +500ms",
    ]


def test_a_chain_that_still_waits(ctl: Ctl, served: Served) -> None:
    waiting = start("web", None, None, state="waiting", after=("db", "log"))
    db = start("db", 0.0, None, state="activating")
    assert chain(ctl, served, waiting, db, HOUSE[3], name="web") == [
        "web (still waits)",
        "└─db @0ms +1min 0.000s (still starting)",
    ]


OTHERWISE = "waited {} for what no order names: a conflict, an end under way, a thing that one unit at a time may hold"


def test_a_wait_that_no_order_explains_is_told(ctl: Ctl, served: Served) -> None:
    web, db = start("web", 8.0, 9.0, after=("db",)), start("db", 2.5, 4.0)
    assert chain(ctl, served, web, db, name="web") == [
        "web @8.000s +1.000s",
        "└─db @2.500s +1.500s",
        f"web {OTHERWISE.format('4.000s')}",
        f"db {OTHERWISE.format('2.500s')}",
    ]
    assert json.loads(ctl("critical-chain", "web", "-o", "json").out)["chains"][0]["otherwise"] == {
        "web": 4.0,
        "db": 2.5,
    }


def test_one_that_failed_holds_up_until_it_has(ctl: Ctl, served: Served) -> None:
    web = start("web", 1.0, 2.0, after=("dead",))
    assert chain(ctl, served, web, HOUSE[-1], name="web") == [
        "web @1.000s +1.000s",
        "└─dead @0ms (did not get ready)",
    ]


def test_what_is_not_known_any_more_is_said_and_not_guessed(ctl: Ctl, served: Served) -> None:
    web = start("web", 5.0, 6.0, after=("db", "log"))
    db = start("db", 31.0, 32.0, asked=30.0)
    assert chain(ctl, served, web, db, HOUSE[3], name="web") == [
        "web @5.000s +1.000s",
        "db was started again since: how long it held this up is not known any more",
    ]


def test_a_circle_of_waits_ends(ctl: Ctl, served: Served) -> None:
    a = start("a", None, None, state="waiting", after=("b",))
    b = start("b", None, None, state="waiting", after=("a",))
    assert chain(ctl, served, a, b, name="a") == ["a (still waits)", "└─b (still waits)"]


def test_a_chain_of_what_was_never_started(ctl: Ctl, served: Served) -> None:
    served.service.started = started(named=("default.target",))
    said = ctl("critical-chain")
    assert said.code == 1
    assert said.err.startswith("maestroctl: default.target was not started since the host was booted\n")
    view = json.loads(ctl("critical-chain", "-o", "json").out)
    assert view["errors"]["default.target"]["code"] == "not-started"


def test_a_chain_in_json(ctl: Ctl, served: Served) -> None:
    served.service.started = started(*HOUSE, named=("default.target",))
    [view] = json.loads(ctl("critical-chain", "-o", "json").out)["chains"]
    assert [(unit["name"], unit["began"], unit["ready"]) for unit in view["units"]] == [
        ("default.target", 6.5, 6.5),
        ("web", 4.25, 6.5),
        ("db", 0.0, 4.25),
    ]


# ------------------------------------------------------------------------------------------- plot


def window(*starts: p.StartView, now: float = 60.0) -> Window:
    view: dict[str, Any] = msgspec.to_builtins(started(*starts, now=now))
    return Window(view, "default.target")


def bars(text: str) -> dict[str, list[tuple[str, float, float]]]:
    """Unit -> its bars: phase, left, right."""
    found: dict[str, list[tuple[str, float, float]]] = {}
    for group in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}g"):
        name = str(group[0].text).partition(":")[0]
        rects = [part.attrib for part in group if part.tag.endswith("rect")]
        found[name] = [
            (rect["class"], float(rect["x"]), float(rect["x"]) + float(rect["width"])) for rect in rects
        ]
    return found


def test_a_picture_has_a_bar_for_each_unit_that_came_along(ctl: Ctl, served: Served) -> None:
    served.service.started = started(
        *HOUSE, start("again", 40.0, 41.0, asked=40.0), named=("default.target",)
    )
    text = ctl("plot").out
    found = bars(text)
    assert set(found) == {"default.target", "web", "db", "log", "clock", "dead"}
    assert [phase for phase, _, _ in found["web"]] == ["waiting", "starting", "running"]
    assert [phase for phase, _, _ in found["dead"]] == ["failed"]
    assert found["web"][0][2] == pytest.approx(found["db"][0][2], abs=0.2)
    assert "1 unit was started later, or again" in text


def test_a_picture_stands_alone_and_within_its_width() -> None:
    odd = '<script>"&' + "x" * 300
    text = svg(window(*HOUSE, start(odd, 0.0, 3.0), start("early", 0.0, 0.1, ended=0.3, state="inactive")))
    for phases in bars(text).values():
        assert all(240 <= left <= right <= 1000 for _, left, right in phases)
    assert not re.search(r"<script|href|url\(|@import|http(?!://www\.w3\.org/2000/svg)", text)
    assert "prefers-color-scheme: dark" in text
    assert escape(odd) in text


def test_a_picture_of_a_start_that_goes_on() -> None:
    target = start("default.target", None, None, state="waiting", after=("web",))
    going = window(target, start("web", 1.0, None, state="activating"), now=9.0)
    assert going.length == 9.0
    assert [phase for phase, _, _ in bars(svg(going))["web"]] == ["waiting", "starting"]


def test_a_picture_of_a_start_that_took_no_time() -> None:
    [(phase, left, right)] = bars(svg(window(start("default.target", 0.0, 0.0))))["default.target"]
    assert (phase, left) == ("running", 240.0)
    assert right == pytest.approx(980.0)


def test_the_picture_in_json(ctl: Ctl, served: Served) -> None:
    served.service.started = started(*HOUSE, named=("default.target",))
    view = json.loads(ctl("plot", "--format", "json").out)
    assert (view["schema"], view["name"], view["seconds"], view["later"]) == (1, "default.target", 6.5, [])
    assert view == json.loads(ctl("plot", "-o", "json").out)
    web = next(unit for unit in view["units"] if unit["name"] == "web")
    assert (web["asked"], web["began"], web["ready"], web["ended"]) == (0.0, 4.25, 6.5, None)


def test_one_picture_shows_one_start(ctl: Ctl, served: Served) -> None:
    served.service.started = started(*HOUSE, named=("web", "db"))
    assert ctl("plot", "*").code == 2
    missing = p.ErrorView(code="no-such-unit", message="no unit nope")
    served.service.started = p.StartsView(named=(), starts=(), now=0.0, errors={"nope": missing})
    assert ctl("plot", "nope").code == 4
