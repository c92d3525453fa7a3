"""An agent that has used up its budget stands still and keeps what it has worked out; an operator or the clock lets it go on."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, pause, until
from tests.system.standing import is_still

pytestmark = pytest.mark.system

# Counts in its memory as fast as it can, and writes the number down.
BUSY = "i=0; while :; do i=$((i+1)); case $i in *000) echo $i >> {path};; esac; done"


def busy(daemon: Daemon, folder: Path, **budget: Any) -> Path:
    path = folder / "count"
    daemon.unit("busy", agent={"exec": ["/bin/sh", "-c", BUSY.format(path=path)]}, budget=budget)
    daemon.start()
    daemon.call("start", units=["busy"])
    return path


def counted(path: Path) -> int:
    lines = path.read_text().split() if path.exists() else []
    return int(lines[-1]) if lines else 0


def limit(daemon: Daemon, resource: str, window: str) -> dict[str, Any]:
    limits: list[dict[str, Any]] = daemon.call("budget", units=["busy"])["budgets"][0]["limits"]
    return next(one for one in limits if (one["resource"], one["window"]) == (resource, window))


def test_a_busy_one_is_frozen_and_a_grant_lets_it_go_on_where_it_was(daemon: Daemon, folder: Path) -> None:
    path = busy(daemon, folder, cpu_seconds={"month": "1s", "week": "1000h"})
    seen = daemon.wait_state("busy", "frozen")
    until(partial(is_still, seen["pid"]), what="it stands still")
    assert "cpu_seconds of this month are used up" in seen["cause"]
    assert "maestroctl budget grant busy cpu_seconds 1h" in seen["cause"]
    assert seen["budget"].startswith("1"), seen["budget"]
    assert "cannot thaw busy" in daemon.call("thaw", units=["busy"])["errors"]["busy"]["message"]
    before = counted(path)
    assert before

    dead = daemon.kill_manager()
    daemon.new_manager(dead)
    again = daemon.status("busy")
    assert (again["fine"], again["pid"], again["cause"]) == ("frozen", seen["pid"], seen["cause"])
    assert is_still(seen["pid"])
    used = limit(daemon, "cpu_seconds", "month")["used"]
    assert used >= 1

    said = daemon.ctl("budget", "grant", "busy", "cpu_seconds", "2s")
    assert said.stdout == "busy: 2s of cpu_seconds more, in each window that limits it\n", said
    until(lambda: counted(path) > before, what="it counts on from where it was")
    daemon.wait_state("busy", "frozen")
    now = limit(daemon, "cpu_seconds", "month")
    assert (now["granted"], now["exhausted"]) == (2.0, True)
    assert 3 <= now["used"] < 6
    numbers = list(map(int, path.read_text().split()))
    assert numbers == list(range(1000, numbers[-1] + 1, 1000)), "its memory was kept"
    assert daemon.status("busy")["pid"] == seen["pid"]


def test_what_was_used_while_no_manager_lived_is_counted_once(daemon: Daemon, folder: Path) -> None:
    busy(daemon, folder, cpu_seconds={"month": "1000h"}, wall_time={"month": "1000h"})
    pid = daemon.status("busy")["pid"]
    for _ in range(3):
        pause(0.4)
        dead = daemon.kill_manager()
        daemon.new_manager(dead)

    def agrees() -> bool:
        ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        used = limit(daemon, "cpu_seconds", "month")["used"]
        assert used <= ticks / 100 + 2.5, "never twice"
        return bool(used >= ticks / 100 - 1.5 and used > 1)

    until(agrees, what="the sum is what the kernel says")
    daemon.call("stop", units=["busy"])
    ended = limit(daemon, "cpu_seconds", "month")["used"]
    daemon.stop()
    daemon.reboot()
    daemon.start()
    assert limit(daemon, "cpu_seconds", "month")["used"] == pytest.approx(ended), "it survives the host"


def test_time_that_is_used_up_holds_the_next_start(daemon: Daemon) -> None:
    daemon.unit("busy", agent={"exec": ["/bin/sleep", "1000"]}, budget={"wall_time": {"month": "300ms"}})
    daemon.start()
    daemon.call("start", units=["busy"])
    daemon.wait_state("busy", "frozen")
    daemon.call("stop", units=["busy"])
    answer = daemon.call("start", units=["busy"])
    assert answer["jobs"][0]["state"] == "dependency"
    assert "waits for its budget: wall_time of this month is used up" in answer["jobs"][0]["words"]
    assert daemon.status("busy")["state"] == "waiting"
    daemon.call("budget-reset", units=["busy"])
    daemon.wait_state("busy", "running")


def test_runs_and_restarts_are_counted(daemon: Daemon) -> None:
    restart = {"delay": "10ms", "policy": "always", "start_limits": []}
    daemon.unit(
        "busy",
        agent={"exec": ["/bin/false"], "restart": restart},
        budget={"restarts": {"month": 3}, "runs": {"month": 5}},
    )
    daemon.start()
    daemon.call("start", units=["busy"])
    seen = daemon.wait_state("busy", "waiting")
    assert "restarts of this month are used up (3 of 3)" in seen["cause"]
    assert limit(daemon, "runs", "month")["used"] == 4
    daemon.call("start", units=["busy"], wait=False)
    until(lambda: limit(daemon, "runs", "month")["used"] == 5)
    cause = daemon.wait_state("busy", "waiting")["cause"]
    assert "runs of this month are used up (5 of 5)" in cause
    daemon.ctl("budget", "grant", "busy", "runs", "1", check=True)
    daemon.ctl("budget", "grant", "busy", "restarts", "1", "--window", "month", check=True)
    until(lambda: limit(daemon, "runs", "month")["used"] == 6)


def test_stop_stops_it_until_the_window_is_over(daemon: Daemon, folder: Path) -> None:
    busy(daemon, folder, cpu_seconds={"month": "500ms"}, on_exhausted="stop")
    seen = daemon.wait_state("busy", "waiting")
    assert seen["pid"] == 0
    words = [event["words"] for event in daemon.events() if event["kind"] == "stopped"]
    assert words[0].startswith("stopped: cpu_seconds of this month are used up"), words
    daemon.call("budget-reset", units=["busy"])
    daemon.wait_state("busy", "running")


def test_a_job_that_ends_by_itself_is_held_as_well(daemon: Daemon, folder: Path) -> None:
    """A oneshot is never up before it has ended."""
    done = folder / "done"
    count = f"i=0; while [ $i -lt 2000000 ]; do i=$((i+1)); done; echo $i > {done}"
    daemon.unit(
        "busy",
        agent={"type": "oneshot", "exec": ["/bin/sh", "-c", count], "start_timeout": "2min"},
        budget={"cpu_seconds": {"month": "300ms"}},
    )
    daemon.start()
    daemon.call("start", units=["busy"], wait=False)
    until(lambda: "frozen: cpu_seconds" in daemon.status("busy")["cause"], what="it is held")
    seen = daemon.status("busy")
    until(partial(is_still, seen["pid"]), what="it stands still")
    assert (seen["fine"], seen["next"]) == ("start", ""), "its start time-out rests"
    assert "frozen: cpu_seconds of this month are used up" in daemon.ctl("why", "busy").stdout
    daemon.ctl("budget", "grant", "busy", "cpu_seconds", "1h", check=True)
    until(done.exists, 60, "it goes on to its end")
    daemon.wait_state("busy", "inactive")
    assert done.read_text() == "2000000\n"


def test_it_is_seen_by_people_and_programs(daemon: Daemon, folder: Path) -> None:
    busy(daemon, folder, cpu_seconds={"month": "1000h"}, runs={"month": 10})
    table = daemon.ctl("budget").stdout.splitlines()
    assert table[0].split()[:3] == ["UNIT", "RESOURCE", "WINDOW"]
    assert table[2].split()[:7] == ["busy", "runs", "month", "1", "10", "9", "10%"]
    view = json.loads(daemon.ctl("budget", "busy", "--output", "json").stdout)
    assert [one["resource"] for one in view["budgets"][0]["limits"]] == ["cpu_seconds", "runs"]
    assert "Budget: 10% of runs of this month are used (1 of 10)" in daemon.ctl("status", "busy").stdout
    refused = daemon.ctl("budget", "grant", "busy", "cpu_secnods", "1h")
    assert (refused.returncode, "did you mean cpu_seconds?" in refused.stderr) == (2, True)
    daemon.ctl("budget", "reset", "busy", "runs", check=True)
    assert "budget reset runs of busy" in daemon.ctl("audit").stdout


def test_a_slice_is_used_up_by_all_in_it_together(daemon: Daemon, folder: Path) -> None:
    daemon.unit("team.slice", budget={"cpu_seconds": {"month": "1s"}})
    loop = ["/bin/sh", "-c", "while :; do :; done"]
    for name in ("busy", "busier"):
        daemon.unit(name, agent={"exec": loop}, resources={"slice": "team-a.slice"})
    daemon.unit("idle", agent={"exec": ["/bin/sleep", "1000"]}, resources={"slice": "team.slice"})
    daemon.unit("free", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["busy", "busier", "idle", "free"])
    pids = {name: daemon.wait_state(name, "frozen")["pid"] for name in ("busy", "busier", "idle")}
    for pid in pids.values():
        until(partial(is_still, pid), what="it stands still")
    said = "budget of slice team.slice exhausted: cpu_seconds of this month are used up"
    assert said in daemon.status("idle")["cause"]
    assert said in daemon.ctl("status", "busy").stdout
    assert daemon.status("team-a.slice")["fine"] == daemon.status("free")["fine"] == "running"

    dead = daemon.kill_manager()
    daemon.new_manager(dead)
    [holder] = daemon.call("budget")["budgets"]
    assert holder["unit"] == "team.slice"
    assert 1 <= holder["limits"][0]["used"] < 6
    assert is_still(pids["busy"])
    daemon.unit("late", agent={"exec": loop}, resources={"slice": "team-a.slice"})
    daemon.call("daemon-reload")
    answer = daemon.call("start", units=["late"])
    assert f"waits: {said}" in answer["jobs"][0]["words"]

    done = daemon.ctl("budget", "grant", "team.slice", "cpu_seconds", "1h")
    assert done.stdout == "team.slice: 1h of cpu_seconds more, in each window that limits it\n", done
    assert {daemon.wait_state(name, "running")["pid"] for name in pids} == set(pids.values())
    daemon.wait_state("late", "running")
    assert "team.slice" in daemon.ctl("budget").stdout
    daemon.ctl("budget", "reset", "team.slice", check=True)
    assert daemon.call("budget")["budgets"][0]["limits"][0]["granted"] == 0
