"""Nothing that runs dies with us: DESIGN §2, row by row, with real processes."""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

import pytest

from tests.system.harness import Daemon, is_alive, patient, pause, until
from tests.system.herd import LOST, Herd

pytestmark = pytest.mark.system

KILLS = int(os.environ.get("MAESTRO_KILLS", "30"))
AGENTS = int(os.environ.get("MAESTRO_AGENTS", "200"))


# ------------------------------------------------------------------------------------------------ the manager


@pytest.mark.timeout(900)
def test_nothing_is_lost_though_the_manager_is_killed_and_renewed(daemon: Daemon, folder: Path) -> None:
    herd = Herd(daemon, folder / "herd")
    for number in range(AGENTS):
        policy = ("always", "always", "on-failure", "always", "no")[number % 5]
        logs = {"max_size": "64K", "max_files": 1000} if number % 2 else {}
        herd.add(f"a{number}", policy, shortest=2, longest=12, **logs)
    daemon.start()
    jobs = daemon.call("start", units=["a*"])["jobs"]
    assert {job["state"] for job in jobs} == {"done"}
    assert len(jobs) == AGENTS
    seed = int.from_bytes(os.urandom(4), "big")
    chance, renewals = random.Random(seed), max(KILLS // 6, 1)
    print(f"seed {seed}")
    for blow in range(KILLS):
        pause(chance.uniform(0, 0.9))
        daemon.new_manager(daemon.kill_manager())
        if blow % (KILLS // renewals) == 0:
            daemon.call("daemon-reexec")
    herd.calm()
    herd.check_nobody_is_lost()
    herd.check_no_second_copy()
    daemon.call("stop", units=["a*"])
    assert herd.check_events() > AGENTS
    assert herd.check_lines() > AGENTS * 20
    herd.check_no_second_copy()
    assert daemon.stop() == 0
    assert not daemon.named_after_this_root()


def test_a_pause_before_a_restart_goes_on_over_the_managers_death(daemon: Daemon, folder: Path) -> None:
    pauses = {"early": 0.2, "late": 3.6}  # seconds after which the manager is killed
    command = ["/bin/sh", "-c", f"cut -d ' ' -f 1 /proc/uptime >> {folder}/$MAESTRO_UNIT; exit 1"]
    for name in pauses:
        restart = {"delay": "4s", "factor": 1, "jitter": "0%", "start_limits": []}
        daemon.unit(name, agent={"exec": command, "restart": restart})
    daemon.start()
    daemon.call("start", units=list(pauses))
    for name, seconds in pauses.items():
        before = daemon.wait_state(name, "auto-restart")["next_in"]
        until(lambda s=seconds, n=name: (daemon.status(n)["next_in"] or 0) < 4 - s, 10, "the moment")  # type: ignore[misc]
        daemon.new_manager(daemon.kill_manager())
        after = daemon.status(name)
        assert after["next"] != "restart" or after["next_in"] < before
    times = {n: until(lambda n=n: _twice(folder / n), 10, f"a second start of {n}") for n in pauses}  # type: ignore[misc]
    for name, (first, second, *_) in times.items():
        assert 3.97 <= second - first <= 5.5, f"{name}: {second - first} s instead of 4"


def _twice(path: Path) -> list[float] | None:
    times = [float(line) for line in path.read_text().split()]
    return times if len(times) >= 2 else None


# ------------------------------------------------------------------------------------------------ the keeper


def _steady_herd(daemon: Daemon, folder: Path, agents: int) -> Herd:
    """Agents that end only when they are asked to, all running."""
    herd = Herd(daemon, folder / "herd")
    herd.calm()
    for number in range(agents):
        herd.add(f"a{number}", "always", shortest=0, longest=0)
    daemon.start()
    daemon.call("start", units=["a*"])
    until(lambda: len(herd.running()) == agents, what="all have begun")
    return herd


def _written(pid: int) -> int:
    return int(re.search(r"wchar: (\d+)", Path(f"/proc/{pid}/io").read_text())[1])  # type: ignore[index]


def test_agents_are_adopted_after_the_keeper_was_killed(daemon: Daemon, folder: Path) -> None:
    herd = _steady_herd(daemon, folder, 20)
    before = herd.running()
    daemon.kill_keeper()
    counts = {pid: _written(pid) for _, pid in before.values()}
    until(lambda: all(_written(pid) > count + 100 for pid, count in counts.items()), what="output meanwhile")
    _, early = before["a1"]
    os.kill(early, signal.SIGUSR2)  # it ends while there is nobody at all
    until(lambda: not is_alive(early), what="the end of a1")

    daemon.start()
    until(lambda: herd.running().get("a1", before["a1"]) != before["a1"], what="a1 is started again")
    after = herd.running()
    assert {n: b for n, b in after.items() if n != "a1"} == {n: b for n, b in before.items() if n != "a1"}
    herd.check_nobody_is_lost()
    assert {name: daemon.status(name)["pid"] for name in herd.names} == {n: p for n, (_, p) in after.items()}

    _, pid = before["a0"]
    os.kill(pid, signal.SIGUSR2)
    until(lambda: daemon.status("a0")["pid"] not in (0, pid), what="a0 is started again")
    ends = [event for event in daemon.events() if event["kind"] == "restart-scheduled"]
    assert sorted(event["unit"] for event in ends) == ["a0", "a1"]
    assert all(LOST in event["words"] for event in ends)
    assert daemon.call("stop", units=["a2"])["jobs"][0]["state"] == "done"
    assert not is_alive(before["a2"][1])
    daemon.new_manager(daemon.kill_manager())
    until(lambda: len(herd.running()) == 19)
    herd.check_nobody_is_lost(besides="a2")
    assert daemon.stop() == 0
    herd.check_no_second_copy()
    herd.check_lines(cut=before["a1"][0])  # its pipe ended with it: there was no other process to hold it
    assert not daemon.named_after_this_root()


def test_the_keeper_killed_in_a_storm_of_starts_makes_no_second_copy(daemon: Daemon, folder: Path) -> None:
    herd = Herd(daemon, folder / "herd")
    herd.calm()
    for number in range(50):
        herd.add(f"a{number}", "always", shortest=0, longest=0)
    daemon.start()
    for begun in (1, 10, 30):
        with daemon.in_background(("start", {"units": ["a*"]})) as answers:
            until(lambda n=begun: len(herd.running()) >= n, what=f"{begun} have begun")  # type: ignore[misc]
            daemon.kill_keeper()
            daemon.start()
        # What the dead keeper was asked for and nobody can find may have run and ended: it is not started twice
        # for one request, but by its policy.
        others = [job["words"] for job in answers[0]["jobs"] if job["state"] != "done"]
        assert [words for words in others if LOST not in words] == []
        assert len(answers[0]["jobs"]) == 50
        until(lambda: len(herd.running()) == 50, what="all have begun")
        herd.check_nobody_is_lost()
        herd.check_no_second_copy()
        daemon.call("stop", units=["a*"])
        assert not herd.copies()
    herd.check_lines()


def test_a_renewal_of_keeper_and_manager_under_load_is_not_noticed(daemon: Daemon, folder: Path) -> None:
    herd = _steady_herd(daemon, folder, 30)
    before = herd.running()
    for number in range(10):
        restart = {"policy": "always", "delay": "50ms", "factor": 1, "start_limits": []}
        daemon.unit(f"short{number}", agent={"exec": ["/bin/sh", "-c", "sleep 0.1"], "restart": restart})
    daemon.call("daemon-reload")
    daemon.call("start", units=["short*"])
    with daemon.hammered(5) as hammer:
        for number in range(6):
            started = daemon.call("hello")["started"]
            if number % 2:
                os.kill(daemon.keeper, signal.SIGUSR2)
            else:
                daemon.call("daemon-reexec")
            until(lambda then=started: daemon.call("hello")["started"] > then, what="the next manager")  # type: ignore[misc]
    assert len(hammer.waits) > 20
    assert herd.running() == before
    assert daemon.call("hello")["pid"] == daemon.keeper
    daemon.call("stop", units=["short*", "a*"])
    herd.check_lines()
    herd.check_events()
    assert daemon.stop() == 0
    assert not daemon.named_after_this_root()
    assert "going on with the old one" not in daemon.said()


# ------------------------------------------------------------------------------------------------ orderly ends


def test_sigterm_stops_all_in_reverse_order(daemon: Daemon, folder: Path) -> None:
    script = f"trap 'echo $MAESTRO_UNIT >> {folder}/ends; exit 0' TERM; echo >> {folder}/begun; while :; do sleep 0.05; done"
    before: list[str] = []
    for name in ("database", "cache", "web", "front"):
        daemon.unit(name, unit={"after": before, "wants": before}, agent={"exec": ["/bin/sh", "-c", script]})
        before = [name]
    deaf = "trap '' TERM; exec setsid sleep 1000"
    daemon.unit("deaf", agent={"exec": ["/bin/sh", "-c", deaf], "stop": {"sequence": ["TERM 300ms", "KILL"]}})
    daemon.start()
    daemon.call("start", units=["front", "deaf"])
    until(lambda: (folder / "begun").exists() and (folder / "begun").read_bytes().count(b"\n") == 4)
    assert daemon.stop() == 0
    assert (folder / "ends").read_text().split() == ["front", "web", "cache", "database"]
    assert not daemon.agents_of_this_root()
    daemon.start()
    units = daemon.call("status")["units"]
    states = {unit["name"]: unit["state"] for unit in units if unit["kind"] == "agent"}
    assert set(states.values()) == {"inactive"}, states


def test_shutdown_may_leave_the_agents(daemon: Daemon, folder: Path) -> None:
    herd = _steady_herd(daemon, folder, 10)
    before = herd.running()
    daemon.call("shutdown", keep_agents=True)
    assert daemon.process is not None
    assert daemon.process.wait(patient(20)) == 0
    assert herd.running() == before
    daemon.start()
    herd.check_nobody_is_lost()
    assert herd.running() == before
    assert daemon.stop() == 0
    herd.check_lines()
    assert not daemon.named_after_this_root()


def test_after_a_boot_the_default_target_is_begun_and_no_number_used_again(daemon: Daemon) -> None:
    daemon.unit("default.target", unit={"wants": ["wanted"]})
    for name in ("wanted", "other"):
        daemon.unit(name, agent={"exec": ["sleep", "1000"], "restart": {"delay": "10ms"}})
    daemon.start()
    daemon.wait_state("wanted", "running")
    daemon.call("start", units=["other"])
    for name in ("wanted", "other"):
        pid = daemon.wait_state(name, "running")["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda n=name, p=pid: daemon.status(n)["pid"] not in (0, p))  # type: ignore[misc]
        assert daemon.status(name)["restarts"] == 1
    assert daemon.status("wanted")["agent"] == "wanted#2"
    daemon.kill_keeper()  # and all with it: the power has gone
    for pid in daemon.agents_of_this_root():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not daemon.agents_of_this_root())
    daemon.reboot()
    daemon.start()
    wanted = daemon.wait_state("wanted", "running")
    assert (wanted["agent"], wanted["restarts"], wanted["result"]) == ("wanted#3", 0, "success")
    assert daemon.status("other")["state"] == "inactive"
    daemon.call("start", units=["other"])
    assert daemon.status("other")["agent"] == "other#3"


def test_a_shutdown_goes_on_with_the_next_manager(daemon: Daemon) -> None:
    daemon.unit("slow", agent={"exec": ["sleep", "1000"], "exec_stop": ["sleep 2"]})
    daemon.start()
    daemon.call("start", units=["slow"])
    daemon.call("shutdown")
    daemon.wait_state("slow", "stop-command")
    daemon.kill_manager()
    assert daemon.process is not None
    assert daemon.process.wait(patient(30)) == 0
    assert not daemon.agents_of_this_root()
