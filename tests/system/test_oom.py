"""The kernel kills for want of memory: who it was, of what, and what becomes of the rest is as the unit says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers.cgroups.layout import mounts
from tests.system.harness import Daemon, daemon_in, is_alive, until


def has_limits_of_memory() -> bool:
    found = mounts(Path("/proc/self/mountinfo").read_text())
    return any(
        "memory" in (*one.controllers, *Path(one.at, "cgroup.controllers").read_text().split())
        if one.version == 2
        else "memory" in one.controllers
        for one in found
    )


pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not has_limits_of_memory(), reason="no group here may be given a limit of memory"),
]

HOG = "b = []\nwhile True: b.append(bytearray(1 << 20))"
LIMITS = {"memory_max": "32M", "memory_swap_max": "0"}
SAID = "killed for want of memory: used 32M of memory_max 32M"


def main_hog(go: Path) -> list[str]:
    """Uses all there is, once told to."""
    return [
        sys.executable,
        "-c",
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n{HOG}",
    ]


def parent_of_hog(go: Path, told: Path) -> list[str]:
    """Its child does; it says what it sees of that, and goes on."""
    code = f"""
import os, subprocess, sys, time
while not os.path.exists({str(go)!r}): time.sleep(0.01)
child = subprocess.Popen([sys.executable, "-c", {HOG!r}])
open({str(told)!r} + ".new", "w").write(str(child.wait()))
os.rename({str(told)!r} + ".new", {str(told)!r})
time.sleep(1000)
"""
    return [sys.executable, "-c", code]


@pytest.fixture
def daemon(folder: Path) -> Iterator[Daemon]:
    with daemon_in(folder) as one:
        yield one


def start(daemon: Daemon, command: list[str], policy: str, **more: Any) -> int:
    """Its main process."""
    agent = {"exec": command, "restart": {"policy": "no"}, **more}
    daemon.unit("hog", agent=agent, resources={**LIMITS, "oom_policy": policy})
    daemon.start()
    answer = daemon.call("start", units=["hog"])
    assert not answer["errors"], answer
    return int(daemon.status("hog")["pid"])


def oom_kills(daemon: Daemon) -> list[str]:
    return [event["words"] for event in daemon.events() if event["kind"] == "oom-kill"]


@pytest.mark.parametrize("policy", ["stop", "kill", "continue"])
def test_the_main_process(daemon: Daemon, folder: Path, policy: str) -> None:
    start(daemon, main_hog(folder / "go"), policy)
    (folder / "go").touch()
    seen = daemon.wait_state("hog", "failed")
    assert seen["result"] == "oom-kill", seen
    assert seen["cause"].startswith(SAID), seen["cause"]
    assert len(oom_kills(daemon)) == 1
    assert SAID in daemon.ctl("why", "hog").stdout
    assert SAID in daemon.ctl("status", "hog").stdout


@pytest.mark.parametrize("policy", ["stop", "kill"])
def test_a_child_and_the_rest_ends(daemon: Daemon, folder: Path, policy: str) -> None:
    pid = start(daemon, parent_of_hog(folder / "go", folder / "told"), policy)
    (folder / "go").touch()
    seen = daemon.wait_state("hog", "failed")
    assert (seen["result"], seen["cause"][: len(SAID)]) == ("oom-kill", SAID)
    assert not is_alive(pid)


def test_a_child_and_the_rest_goes_on(daemon: Daemon, folder: Path) -> None:
    pid = start(daemon, parent_of_hog(folder / "go", folder / "told"), "continue")
    (folder / "go").touch()
    until(lambda: (folder / "told").exists())
    assert (folder / "told").read_text() == "-9"
    until(lambda: oom_kills(daemon), what="it is told")
    seen = daemon.status("hog")
    assert (seen["state"], seen["pid"], is_alive(pid)) == ("active", pid, True)
    assert seen["cause"].startswith(f"a process of it was {SAID}"), seen["cause"]


def test_it_is_started_again_after_it(daemon: Daemon, folder: Path) -> None:
    go = folder / "go"
    start(daemon, main_hog(go), "stop", restart={"policy": "on-failure", "delay": "10ms"})
    go.touch()
    until(lambda: len(oom_kills(daemon)) >= 2, what="a second time")
    go.unlink()
    seen = daemon.wait_state("hog", "active")
    assert seen["restarts"] >= 1


def test_while_no_manager_looks(daemon: Daemon, folder: Path) -> None:
    """The counter of its group says it to the next one."""
    start(daemon, parent_of_hog(folder / "go", folder / "told"), "continue")
    os.kill(daemon.manager() or 0, 19)  # it hears of nothing
    (folder / "go").touch()
    until(lambda: (folder / "told").exists())
    dead = daemon.kill_manager()
    daemon.new_manager(dead)
    until(lambda: oom_kills(daemon), what="it is told")
    assert daemon.status("hog")["state"] == "active"


def test_a_killed_one_is_no_victim(daemon: Daemon, folder: Path) -> None:
    pid = start(daemon, main_hog(folder / "go"), "stop")
    os.kill(pid, 9)
    assert daemon.wait_state("hog", "failed")["result"] == "signal"
