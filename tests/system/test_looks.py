"""The commands that only look, on a real daemon whose manager dies in between."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.system.harness import Daemon

pytestmark = pytest.mark.system

SLEEP = ["/bin/sleep", "1000"]


def ask(daemon: Daemon, *arguments: str) -> dict[str, Any]:
    view: dict[str, Any] = json.loads(daemon.ctl(*arguments, "-o", "json", check=True).stdout)
    assert view["schema"] == 1
    return view


@pytest.fixture
def house(daemon: Daemon) -> Daemon:
    """A target that wants a quick one, and one behind two slow ones."""
    slow = {"exec": ["/bin/sleep", "0.3"], "type": "oneshot"}
    daemon.unit("disk", agent=slow)
    daemon.unit("db", unit={"requires": ["disk"], "after": ["disk"]}, agent=slow)
    daemon.unit("web", unit={"requires": ["db"], "after": ["db"]}, agent={"exec": SLEEP})
    daemon.unit("quick", agent={"exec": SLEEP})
    daemon.unit("all.target", unit={"wants": ["web", "quick"]})
    daemon.unit("lost", unit={"requires": ["broken"], "after": ["broken"]}, agent={"exec": SLEEP})
    daemon.unit("broken", agent={"exec": ["/bin/false"], "type": "oneshot", "restart": {"policy": "no"}})
    daemon.start()
    return daemon


def test_where_the_time_of_a_start_went_is_known_to_the_next_manager(house: Daemon) -> None:
    house.call("start", units=["all.target"])
    before = ask(house, "critical-chain", "all.target")
    house.new_manager(house.kill_manager())
    after = ask(house, "critical-chain", "all.target")
    assert before == after
    [chain] = after["chains"]
    assert [unit["name"] for unit in chain["units"]] == ["all.target", "web", "db", "disk"]
    assert chain["units"][-1]["began"] == 0.0
    assert 0.6 <= chain["units"][0]["ready"] < 20
    spans = {unit["name"]: unit["took"] for unit in ask(house, "blame")["units"]}
    assert min(spans["db"], spans["disk"]) >= 0.3
    assert max(spans["quick"], spans["web"]) < 0.3 * 10
    picture = house.ctl("plot", "all.target", check=True).stdout
    titles = [title.text or "" for title in ElementTree.fromstring(picture).findall(".//{*}title")]
    assert {title.partition(":")[0] for title in titles[1:]} == {"all.target", "web", "db", "disk", "quick"}


def test_what_scripts_and_people_ask(house: Daemon) -> None:
    house.call("start", units=["all.target", "lost"], wait=False)
    house.wait_state("all.target", "active")
    house.wait_state("broken", "failed")
    assert house.ctl("is-active", "web", "lost").stdout == "active\nactivating\n"
    assert house.ctl("is-active", "-q", "db").returncode == 3
    assert house.ctl("is-failed", "broken").returncode == 0
    assert house.ctl("list-dependencies", "all.target", "--all").stdout.splitlines() == [
        "● all.target",
        "● ├─quick",
        "● └─web",
        "○   └─db",
        "○     └─disk",
    ]
    assert '"web" -> "db" [color="black"' in house.ctl("graph", "web").stdout
    lost, broken = ask(house, "why", "lost")["reasons"]
    assert (lost["state"], lost["asked"], lost["waits_for"]) == ("waiting", "start", ["broken"])
    assert (broken["state"], broken["pulled_by"]) == ("failed", ["lost"])
    assert broken["cause"] == "ended with exit status 1"
