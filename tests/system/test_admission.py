"""What does not fit into its slice waits, in order of priority, and says for what; also after a death of the manager."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.system.harness import Daemon, is_alive, until
from tests.system.test_oom import has_limits_of_memory

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        os.geteuid() != 0 or not has_limits_of_memory(), reason="makes control groups with limits of memory"
    ),
]
SLICE = "small.slice"
FREE = f"of {SLICE} is free"


def small(daemon: Daemon, **agents: dict[str, Any]) -> None:
    """A slice of 100M, and agents in it that reserve 60M."""
    daemon.unit(SLICE, resources={"memory_max": "100M"})
    for name, resources in agents.items():
        daemon.unit(
            name,
            agent={"exec": ["/bin/sleep", "1000"]},
            resources={"slice": SLICE, "memory_low": "60M", **resources},
        )
    daemon.start()


def start(daemon: Daemon, name: str) -> None:
    answer = daemon.call("start", units=[name], wait=False)
    assert not answer["errors"], answer


def waits(daemon: Daemon, name: str) -> dict[str, Any]:
    return daemon.wait_state(name, "waiting")


def test_a_start_waits_for_room_and_the_more_important_goes_first(daemon: Daemon) -> None:
    small(daemon, first={}, low={}, high={"priority": 10})
    start(daemon, "first")
    pid = daemon.wait_state("first", "active")["pid"]
    start(daemon, "low")
    cause = waits(daemon, "low")["cause"]
    assert cause.startswith("waits for memory: it asks for 60M, and "), cause
    assert cause.endswith(FREE), cause
    start(daemon, "high")
    assert FREE in waits(daemon, "high")["cause"]
    until(lambda: "next in line: high (priority 10)" in daemon.status("low")["cause"])

    listed = daemon.ctl("list", "low").stdout
    assert "waiting" in listed
    assert "waits for memory" in daemon.ctl("status", "low").stdout
    assert "waits for memory" in daemon.ctl("why", "low").stdout
    assert "waits for memory" in daemon.ctl("jobs").stdout
    [shown] = json.loads(daemon.ctl("status", "low", "-o", "json").stdout)["units"]
    assert (shown["state"], shown["cause"][:16]) == ("waiting", "waits for memory")

    dead = daemon.kill_manager()
    daemon.new_manager(dead)
    assert is_alive(pid)
    for name in ("low", "high"):
        assert FREE in waits(daemon, name)["cause"]
    daemon.call("stop", units=["first"])
    daemon.wait_state("high", "active")
    assert daemon.status("low")["state"] == "waiting"
    daemon.call("stop", units=["high"])
    daemon.wait_state("low", "active")
    said = [
        event["words"] for event in daemon.events() if (event["unit"], event["kind"]) == ("low", "waiting")
    ]
    assert 1 <= len(said) <= 2, said


def test_what_waits_can_be_told_not_to(daemon: Daemon) -> None:
    small(daemon, first={}, second={}, third={})
    for name in ("first", "second", "third"):
        start(daemon, name)
    waits(daemon, "second")
    waits(daemon, "third")
    daemon.call("cancel", units=["second"])
    daemon.call("stop", units=["third"])
    assert [daemon.status(name)["state"] for name in ("second", "third")] == ["inactive", "inactive"]
    assert daemon.ctl("jobs").stdout == "no jobs are pending\n"


def test_what_can_never_fit_is_told_at_once(daemon: Daemon) -> None:
    small(daemon, vast={"memory_low": "300M"}, fits={})
    asked = daemon.ctl("start", "vast")
    assert asked.returncode != 0
    said = f"cannot fit: it asks for 300M of memory (resources.memory_low), and {SLICE} has 100M (its memory_max)"
    assert said in asked.stdout + asked.stderr
    assert daemon.status("vast")["cause"] == said
    start(daemon, "fits")
    daemon.wait_state("fits", "active")
    answer = daemon.ctl("set", "vast", "resources.memory_low=10M")
    assert answer.returncode == 0, answer
    daemon.wait_state("vast", "active")
