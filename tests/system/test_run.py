"""maestroctl run: transient units, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.harness import REPOSITORY, Daemon, patient, until

pytestmark = pytest.mark.system


def files(daemon: Daemon) -> list[str]:
    return sorted(path.name for path in (daemon.root / "run/maestro/units/transient").glob("*"))


def names(daemon: Daemon) -> list[str]:
    return [unit["name"] for unit in daemon.call("status")["units"] if unit["name"] != "default.target"]


def begin(daemon: Daemon, *arguments: str) -> subprocess.Popen[str]:
    """maestroctl run, in the background."""
    environ = {**os.environ, "PYTHONPATH": f"{REPOSITORY}/daemon:{REPOSITORY}/plugins", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "maestro.cli", "--root", str(daemon.root), "run", *arguments]
    return subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    """Tests that a shell has put into the background were started with SIGINT ignored, and what they start has it so, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_it_runs_and_is_gone_when_it_has_ended(daemon: Daemon, folder: Path) -> None:
    daemon.start()
    go_on = folder / "go-on"
    said = daemon.ctl(
        "run", "--unit", "job", "-E", "WHO=me", "sh", "-c", f"echo $WHO; until [ -e {go_on} ]; do :; done"
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, "Running as job\n", "")
    assert files(daemon) == ["job.agent.yaml"]
    assert "Loaded: " in daemon.ctl("status", "job").stdout
    assert "policy: no" in daemon.ctl("cat", "job").stdout
    daemon.call("daemon-reload")
    assert names(daemon) == ["job"]
    go_on.touch()
    until(lambda: names(daemon) == [])
    assert files(daemon) == []
    assert daemon.ctl("logs", "job").stdout == "me\n"
    assert [event["exit"] for event in daemon.events() if event["kind"] == "completed"] == [0]


def test_the_exit_status_is_that_of_the_command(daemon: Daemon) -> None:
    daemon.start()
    said = daemon.ctl("run", "--wait", "--unit", "bad", "sh", "-c", "exit 3")
    assert (said.returncode, said.stdout) == (3, "")
    assert "bad: ended with exit status 3" in said.stderr
    assert daemon.ctl("run", "--wait", "--collect", "sh", "-c", "kill -KILL $$").returncode == 137
    assert daemon.ctl("run", "--wait", "true").returncode == 0
    assert daemon.ctl("run", "--wait", "--collect", "/no/such/program").returncode == 1
    said = daemon.ctl(
        "run", "-f", "-p", "agent.type=oneshot", "--collect", "sh", "-c", "echo a; printf b; exit 4"
    )
    assert (said.returncode, said.stdout) == (4, "a\nb\n")
    assert names(daemon) == ["bad"]
    assert daemon.ctl("reset-failed", "bad").returncode == 0
    until(lambda: names(daemon) == [])
    assert files(daemon) == []


def test_what_is_wrong_is_said_and_nothing_is_made(daemon: Daemon) -> None:
    daemon.unit("web", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.start()
    said = daemon.ctl("run", "--unit", "web", "true")
    assert said.returncode == 6
    assert (
        f"cannot run web: there is a unit of this name already, {daemon.units}/web.agent.yaml" in said.stderr
    )
    said = daemon.ctl("run", "-p", "agent.restart.policy=sometimes", "true")
    assert said.returncode == 6
    assert "agent.restart.policy: 'sometimes' is not one of no, always, " in said.stderr
    assert daemon.ctl("run", "-p", "unit.requires=[ghost]", "true").returncode == 6
    assert files(daemon) == []


def test_a_manager_that_is_killed_loses_neither_the_unit_nor_its_end(daemon: Daemon, folder: Path) -> None:
    daemon.start()
    go_on = folder / "go-on"
    script = f"echo begun; until [ -e {go_on} ]; do sleep 0.02; done; echo over; exit 7"
    waiting = begin(daemon, "-f", "--collect", "--unit", "job", "sh", "-c", script)
    until(lambda: daemon.log("job") == b"begun\n")
    pid = daemon.status("job")["pid"]
    dead = daemon.kill_manager()
    daemon.new_manager(dead)
    assert daemon.status("job")["pid"] == pid
    dead = daemon.kill_manager()
    go_on.touch()  # it may end while there is no manager
    out, err = waiting.communicate(timeout=patient(30))
    assert (waiting.returncode, out) == (7, "begun\nover\n")
    assert "job: ended with exit status 7" in err
    until(lambda: names(daemon) == [])
    assert files(daemon) == []


def test_a_manager_killed_at_any_moment_leaves_a_whole_unit_or_none(daemon: Daemon) -> None:
    daemon.start()
    clients = []
    for number in range(12):
        clients.append(begin(daemon, "--wait", "--unit", f"job{number}", "sh", "-c", f"exit {number}"))
        if number % 3 == 2:
            daemon.kill_manager()
    for number, client in enumerate(clients):
        _, err = client.communicate(timeout=patient(60))
        assert client.returncode == number, err
    starts = [event["unit"] for event in daemon.events() if event["kind"] == "starting"]
    assert sorted(one for one in starts if one.startswith("job")) == sorted(f"job{n}" for n in range(12))
    daemon.ctl("reset-failed", "job*")
    until(lambda: names(daemon) == [] and files(daemon) == [])


def test_an_interrupt_leaves_it_running_and_says_how_to_stop_it(daemon: Daemon) -> None:
    daemon.start()
    waiting = begin(daemon, "--wait", "--unit", "job", "sleep", "1000")
    until(lambda: names(daemon) == ["job"])
    daemon.wait_state("job", "active")
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=patient(30))
    assert waiting.returncode == 130
    assert "interrupted: job runs on; to stop it: maestroctl stop job" in err
    assert daemon.ctl("stop", "job").returncode == 0
    until(lambda: names(daemon) == [] and files(daemon) == [])
