"""What an agent really uses is what `status` and `top` say."""

from __future__ import annotations

import json
import sys

import pytest

from tests.system.harness import Daemon, until
from tests.system.test_oom import has_limits_of_memory

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not has_limits_of_memory(), reason="no group here says what it uses"),
]

CODE = "import os; b = bytearray(40 << 20); os.fork()\nwhile True: pass"


def test_top_and_status(daemon: Daemon) -> None:
    daemon.unit(
        "busy",
        agent={"exec": [sys.executable, "-c", CODE]},
        resources={"memory_max": "200M", "tasks_max": 9, "cpu_max": "40%"},
    )
    daemon.unit("quiet", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["busy", "quiet"])

    def used() -> bool:
        one = daemon.status("busy")["usage"]
        return bool((one["cpu"] or 0) > 0.3 and one["memory"] > 40 << 20 and one["tasks"] == 2)

    until(used, what="both processes work")
    shown = json.loads(daemon.ctl("top", "-o", "json", check=True).stdout)
    assert [unit["name"] for unit in shown["units"]] == ["busy", "quiet"]
    assert 0.1 < shown["units"][0]["cpu_share"] < 0.8
    assert (shown["units"][1]["cpu_share"] or 0.0) < 0.05
    lines = daemon.ctl("top", "-s", "name", "-n", "1", check=True).stdout.splitlines()
    assert lines[0].startswith("2 agents: CPU ")
    assert [line.split()[0] for line in lines[1:]] == ["NAME", "busy"]
    said = daemon.ctl("status", "busy", check=True).stdout
    assert "max 200M)" in said
    assert "Tasks: 2 (max 9)" in said
    daemon.call("stop", units=["busy"])
    assert daemon.status("busy")["usage"] is None
    assert [unit["name"] for unit in daemon.call("usage")["units"]] == ["quiet"]
