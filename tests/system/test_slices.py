"""Slices: what the kernel holds the sum of their agents to, and what a stop, a freeze and a death of ours does to them."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from maestro.drivers import cgroups
from tests.system.harness import Daemon, is_alive, until
from tests.system.standing import is_still

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        os.geteuid() != 0 or not os.access("/sys/fs/cgroup", os.W_OK), reason="makes control groups"
    ),
]
ABOVE, BELOW = "tenants.slice", "tenants-acme.slice"
SLEEP = ["/bin/sleep", "1000"]


def agent(
    daemon: Daemon, name: str, slice_: str = BELOW, command: list[str] | None = None, **options: object
) -> None:
    daemon.unit(name, agent={"exec": command or SLEEP, **options}, resources={"slice": slice_})


def started(daemon: Daemon, *names: str) -> list[int]:
    daemon.call("start", units=list(names))
    return [daemon.status(name)["pid"] for name in names]


def groups_of(daemon: Daemon) -> list[str]:
    """Directories of control groups of this daemon's slices and agents, in every hierarchy."""
    tops = [Path(one) for one in cgroups.directories(cgroups.this_host(daemon.keeper), str(daemon.root))]
    return [
        str(path)
        for top in tops
        if top.exists()
        for path in top.rglob("*")
        if path.suffix in (".slice", ".agent")
    ]


def path_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


def test_an_agent_is_born_in_the_groups_of_its_slices(daemon: Daemon) -> None:
    agent(daemon, "web")
    daemon.start()
    [pid] = started(daemon, "web")
    assert f"/{ABOVE}/{BELOW}/web.agent/1" in path_of(pid)
    assert daemon.status(BELOW)["state"] == "active", "a slice needs no file"
    assert daemon.status(ABOVE)["members"] == [BELOW]
    daemon.call("stop", units=["web"])
    assert groups_of(daemon) == [], "empty groups go"


FORKS = """
import os, sys, time
made = 0
for _ in range(12):
    try:
        if os.fork() == 0:
            time.sleep(1000)
    except BlockingIOError:
        break
    made += 1
with open(sys.argv[1], "w") as file:
    file.write(str(made))
time.sleep(1000)
"""


def forks(daemon: Daemon, name: str) -> None:
    script = daemon.root / "forks.py"
    script.write_text(FORKS)
    agent(daemon, name, command=[sys.executable, str(script), str(daemon.root / name)])


def made(daemon: Daemon, name: str) -> int:
    path = daemon.root / name
    return int(until(lambda: path.exists() and path.read_text()))


def test_a_limit_holds_for_the_sum_of_two_agents(daemon: Daemon) -> None:
    daemon.unit(ABOVE, resources={"tasks_max": 20})
    forks(daemon, "one")
    forks(daemon, "two")
    daemon.start()
    daemon.call("start", units=["one"])
    assert made(daemon, "one") == 12
    daemon.call("start", units=["two"])
    assert made(daemon, "two") == 6, "20 less the 13 of the other, and itself"
    shown = daemon.status(ABOVE)
    assert shown["usage"]["tasks"] == 20
    assert shown["usage"]["tasks_max"] == 20


HOG = """
import sys, time
held = bytearray(int(sys.argv[2]) << 20)
with open(sys.argv[1], "w") as file:
    file.write("1")
time.sleep(1000)
"""


def test_memory_is_counted_and_limited_together(daemon: Daemon) -> None:
    daemon.unit(BELOW, resources={"memory_max": "120M", "memory_swap_max": 0})
    script = daemon.root / "hog.py"
    script.write_text(HOG)
    for name in ("one", "two"):
        command = [sys.executable, str(script), str(daemon.root / name), "80"]
        agent(daemon, name, command=command, restart={"policy": "no"})
    daemon.start()
    daemon.call("start", units=["one"])
    made(daemon, "one")
    daemon.call("start", units=["two"])
    until(lambda: "failed" in {daemon.status(name)["state"] for name in ("one", "two")}, what="one is killed")


def test_limits_follow_a_reload(daemon: Daemon) -> None:
    """Also one of a kind that nothing in the slice had before: what runs is taken into its groups."""
    forks(daemon, "one")
    forks(daemon, "two")
    daemon.start()
    daemon.call("start", units=["one"])
    assert made(daemon, "one") == 12
    daemon.unit(ABOVE, resources={"tasks_max": 16, "cpu_max": "50%"})
    daemon.call("daemon-reload")
    daemon.call("start", units=["two"])
    assert made(daemon, "two") == 2
    limits = [Path(group) for group in groups_of(daemon) if group.endswith(f"/{ABOVE}")]
    quotas = [
        path / name for path in limits for name in ("cpu.max", "cpu.cfs_quota_us") if (path / name).exists()
    ]
    assert [path.read_text().split()[0] for path in quotas] == ["50000"]
    [line] = [
        line
        for line in path_of(daemon.status("one")["pid"]).splitlines()
        if ":cpu" in line or line[:3] == "0::"
    ][-1:]
    assert "one.agent" in line


def test_a_stop_of_a_slice_stops_all_in_it(daemon: Daemon) -> None:
    agent(daemon, "web")
    agent(daemon, "db", ABOVE)
    daemon.unit("free", agent={"exec": SLEEP})
    daemon.start()
    web, db, free = started(daemon, "web", "db", "free")
    daemon.ctl("stop", BELOW, check=True)
    assert not is_alive(web)
    assert is_alive(db)
    daemon.ctl("stop", ABOVE, check=True)
    assert not is_alive(db)
    assert is_alive(free)
    assert not [group for group in groups_of(daemon) if "tenants" in group]


def test_a_frozen_slice_stands_still_through_a_death_of_the_manager(daemon: Daemon) -> None:
    agent(daemon, "web")
    agent(daemon, "db", ABOVE)
    daemon.start()
    found = started(daemon, "web", "db")
    daemon.ctl("freeze", ABOVE, check=True)
    until(lambda: all(map(is_still, found)), what="all stand still")
    daemon.new_manager(daemon.kill_manager())
    assert all(map(is_still, found))
    assert daemon.status("web")["fine"] == "frozen"
    daemon.ctl("thaw", ABOVE, check=True)
    until(lambda: not any(map(is_still, found)), what="all go on")
    assert daemon.status(ABOVE)["fine"] == "running"


def test_agents_in_slices_are_found_again_when_the_keeper_dies(daemon: Daemon) -> None:
    agent(daemon, "web")
    daemon.start()
    [pid] = started(daemon, "web")
    agent(daemon, "web", "others.slice")  # which only its next start follows
    daemon.call("daemon-reload")
    assert daemon.status("web")["outdated"] == {"resources.slice": "restart"}
    daemon.kill_keeper()
    daemon.start()
    assert daemon.wait_state("web", "active")["pid"] == pid
    assert f"/{BELOW}/web.agent/1" in path_of(pid)
    daemon.call("restart", units=["web"])
    now = daemon.status("web")["pid"]
    assert "/others.slice/web.agent/2" in path_of(now)
    assert not [group for group in groups_of(daemon) if BELOW in group], "the group that it left is gone"
    daemon.call("stop", units=["others.slice"])
    until(partial(lambda pid: not is_alive(pid), now))


def test_status_and_list_show_a_slice(daemon: Daemon) -> None:
    daemon.unit(BELOW, unit={"description": "What acme runs"}, resources={"memory_max": "1G"})
    agent(daemon, "web")
    daemon.start()
    started(daemon, "web")
    said = daemon.ctl("status", BELOW, check=True).stdout
    assert f"● {BELOW} - What acme runs" in said
    assert "Members: web\n" in said
    assert "max 1G)" in said
    assert "Tasks: 1\n" in said
    listed = daemon.ctl("list", check=True).stdout
    assert ABOVE in listed
    assert BELOW in listed


def test_what_is_no_slice_is_refused(daemon: Daemon) -> None:
    daemon.unit("web", agent={"exec": SLEEP}, resources={"slice": "tenants"})
    daemon.unit(BELOW, slice={"uid_range": "70000-70999"})
    daemon.unit("other.slice", slice={"uid_range": "70500-71000"})
    daemon.start()
    answer = daemon.call("daemon-reload")
    assert [one["message"] for one in answer["problems"]] == ["'tenants' is not a slice"]
    assert [one["message"] for one in answer["warnings"]] == [
        "70000-70999 overlaps 70500-71000 of other.slice"
    ]


def test_a_transient_unit_is_put_into_a_slice(daemon: Daemon) -> None:
    daemon.start()
    daemon.ctl("run", "--unit", "once", "--slice", BELOW, *SLEEP, check=True)
    assert f"/{ABOVE}/{BELOW}/once.agent/1" in path_of(daemon.status("once")["pid"])
    daemon.ctl("stop", BELOW, check=True)
    until(lambda: groups_of(daemon) == [], what="it is gone, and so are the slices")
    daemon.call("daemon-reload")
    assert "once" not in {unit["name"] for unit in daemon.call("status")["units"]}
    assert BELOW not in {unit["name"] for unit in daemon.call("status")["units"]}, "nothing is in it any more"
