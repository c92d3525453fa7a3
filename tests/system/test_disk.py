"""A full disk and no descriptors: agents run on, it is said, and recording goes on by itself."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.harness import Daemon, is_alive, until

pytestmark = pytest.mark.system


def _own_mounts() -> str:
    """Why no mount namespace of our own can be had; empty when it can."""
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    trial = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no mount namespace of our own: {done.stderr.strip()}"


@pytest.fixture
def small(daemon: Daemon) -> Daemon:
    """A daemon whose var is a file system of 4 MiB, in a mount namespace of its own."""
    if why := _own_mounts():
        pytest.skip(why)
    var = daemon.root / "var"
    var.mkdir()
    daemon.prefix = (
        "unshare",
        "-m",
        "sh",
        "-c",
        f'mount -t tmpfs -o size=4m none "{var}" && exec "$@"',
        "sh",
    )
    return daemon


def within(daemon: Daemon, path: str) -> Path:
    """A path below var, as the daemon sees it."""
    return Path(f"/proc/{daemon.keeper}/root{daemon.root}/var/{path}")


def fill(daemon: Daemon) -> Path:
    """Take all the room that there is; returns the file that has it."""
    path = within(daemon, "ballast")
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return path


LINE = 101  # bytes, with its end
LOUD = (
    "import os, time\n"
    "n = 0\n"
    "while True:\n"
    "    os.write(1, b''.join(b'%08d %s\\n' % (n + i, b'x' * 91) for i in range(40)))\n"
    "    n += 40\n"
    "    time.sleep(0.01)\n"
).replace("%", "%%")


def start_on_a_small_disk(daemon: Daemon) -> dict[str, int]:
    """One that writes without end, one that rests, and one that has run; their pids."""
    loud = [sys.executable, "-I", "-S", "-c", LOUD]
    daemon.unit("loud", agent={"exec": loud}, logs={"max_size": "512K", "max_files": 4})
    daemon.unit("quiet", agent={"exec": ["sleep", "1000"], "restart": {"delay": "10ms"}})
    for name in ("one", "two"):
        daemon.unit(name, agent={"exec": ["/bin/sh", "-c", f"echo {name}; exec sleep 1000"]})
    daemon.start()
    daemon.call("start", units=["loud", "quiet", "one"])
    until(lambda: daemon.status("loud")["log_size"] > 20_000)
    return {name: daemon.status(name)["pid"] for name in ("loud", "quiet", "one")}


def work_goes_on(daemon: Daemon, pids: dict[str, int]) -> None:
    """Stops, starts and restarts while nothing can be written; notes the pid of what was restarted."""
    assert daemon.call("stop", units=["one"])["jobs"][0]["state"] == "done"
    assert not is_alive(pids["one"])
    assert daemon.call("start", units=["two"])["jobs"][0]["state"] == "done"
    before = pids["quiet"]
    os.kill(before, 9)
    pids["quiet"] = until(lambda: (pid := daemon.status("quiet")["pid"]) not in (0, before) and pid)


def trouble_is_told(daemon: Daemon) -> None:
    def store_troubled() -> bool:
        daemon.call("start", units=["quiet"])  # something to be written
        fill(daemon)
        return any("store cannot be written" in notice for notice in daemon.call("status")["notices"])

    until(store_troubled, what="a notice that the store cannot be written")
    until(lambda: "space" in daemon.status("loud")["log_trouble"].lower(), what="the log's trouble in status")
    until(lambda: daemon.status("loud")["dropped_lines"] > 100, what="counted drops")


def drops_are_counted_in_the_log(daemon: Daemon) -> None:
    folder = within(daemon, "log/maestro/loud")

    def kept() -> bytes:
        with contextlib.suppress(FileNotFoundError):  # rotated away meanwhile
            return b"".join(path.read_bytes() for path in sorted(folder.glob("*.log")))
        return b""

    marker = re.compile(rb"^-- maestro: (\d+) lines \((\d+) bytes\) dropped: .*space.* --$", re.MULTILINE)
    found = until(lambda: marker.search(kept()), what="how much was dropped")
    lines = kept().splitlines()
    at = lines.index(found[0])
    if 0 < at < len(lines) - 1:
        missing = int(lines[at + 1].split()[0]) - int(lines[at - 1].split()[0]) - 1
        rest = (
            int(found[2]) - missing * LINE
        )  # of a line whose beginning alone was written, may it lack but its end
        assert rest in ([0, 1] if len(lines[at - 1]) == LINE - 1 else [LINE - len(lines[at - 1])])
        assert int(found[1]) == missing + (rest > 0)


def replace_manager(daemon: Daemon, how: str) -> None:
    old = until(daemon.manager)
    if how == "killed":
        daemon.kill_manager()
    else:
        daemon.call("daemon-reexec")
    daemon.new_manager(old, within=30)


@pytest.mark.parametrize("manager_is", ["left alone", "killed", "renewed"])
def test_a_full_disk_is_survived_and_told(small: Daemon, manager_is: str) -> None:
    daemon, stays = small, manager_is == "left alone"
    pids = start_on_a_small_disk(daemon)
    manager = daemon.manager()
    ballast = fill(daemon)
    work_goes_on(daemon, pids)
    trouble_is_told(daemon)
    assert daemon.manager() == manager
    if not stays:
        replace_manager(daemon, manager_is)
        assert daemon.status("two")["state"] == "active"
        assert is_alive(pids["quiet"])
        manager = daemon.manager()
    assert daemon.status("loud")["pid"] == pids["loud"]

    ballast.unlink()
    until(lambda: not daemon.call("status")["notices"], what="no trouble any more")
    until(lambda: not daemon.status("loud")["log_trouble"], what="the log is written again")
    assert daemon.status("loud")["pid"] == pids["loud"]
    assert daemon.manager() == manager
    if stays:  # a manager that dies cannot say how much it has dropped
        drops_are_counted_in_the_log(daemon)
    daemon.call("stop", units=["two"])
    events = daemon.events()
    assert [event["seq"] for event in events] == list(range(events[0]["seq"], events[0]["seq"] + len(events)))
    assert any(event["unit"] == "one" and event["kind"] == "stopped" for event in events) or not stays
    daemon.new_manager(daemon.kill_manager())
    assert daemon.status("two")["state"] == "inactive"
    assert {name: daemon.status(name)["pid"] for name in ("loud", "quiet")} == {
        name: pids[name] for name in ("loud", "quiet")
    }
    assert daemon.stop() == 0
    assert not daemon.agents_of_this_root()


def test_a_disk_that_is_full_from_the_start_keeps_nobody_from_starting(small: Daemon) -> None:
    daemon = small
    script = f'mount -t tmpfs -o size=64k none "{daemon.root}/var" && dd if=/dev/zero of="{daemon.root}/var/x" bs=4k 2>/dev/null; exec "$@"'
    daemon.prefix = ("unshare", "-m", "sh", "-c", script, "sh")
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    assert daemon.call("start", units=["a"])["jobs"][0]["state"] == "done"
    assert daemon.call("status")["notices"]


# ------------------------------------------------------------------------------------------------ descriptors


@pytest.fixture
def poor(daemon: Daemon) -> Daemon:
    """A daemon that may have 64 descriptors in each of its processes, with 100 units."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    daemon.prefix = ("prlimit", "--nofile=64:64")
    restart = {"delay": "300ms", "factor": 1, "start_limits": []}
    for number in range(100):
        daemon.unit(f"a{number}", agent={"exec": ["sleep", "1000"], "restart": restart})
    daemon.start()
    return daemon


def test_without_descriptors_some_cannot_start_and_the_others_run(poor: Daemon) -> None:
    daemon, keeper, manager = poor, poor.keeper, poor.manager()
    daemon.call("start", units=["a*"], wait=False)
    until(lambda: "cannot make a pipe: too many open files" in daemon.said(), what="a word on the limit")
    until(lambda: "time in a row" in daemon.said(), what="further tries")
    pids = daemon.agents_of_this_root()
    assert 10 < len(pids) < 100
    daemon.new_manager(daemon.kill_manager())  # the next one gets by with as few
    until(lambda: daemon.said().count("too many open files") > 1, what="further tries")
    assert [pid for pid in pids if not is_alive(pid)] == []
    assert daemon.keeper == keeper
    assert daemon.manager() not in (None, manager)
    assert daemon.stop() == 0
    assert not daemon.agents_of_this_root()
    assert "Traceback" not in daemon.said()


def test_without_descriptors_clients_are_answered_and_others_start_when_some_stop(poor: Daemon) -> None:
    daemon = poor
    daemon.call("start", units=["a*"], wait=False)
    until(lambda: "time in a row" in daemon.said(), what="further tries")

    def active() -> set[str]:
        with contextlib.closing(daemon.client) as client:
            units = client.call("status", {"detail": False}, limit=4)["units"]
        return {unit["name"] for unit in units if unit["state"] == "active" and unit["kind"] == "agent"}

    before = active()
    assert 10 < len(before) < 100
    stopped = sorted(before)[:10]
    with contextlib.closing(daemon.client) as client:
        client.call("stop", {"units": stopped}, limit=10)
    until(lambda: len(active() - before) >= 5, 10, "others have been started instead")


def test_an_emergency_stop_needs_no_disk(small: Daemon) -> None:
    pid = start_on_a_small_disk(small)["quiet"]
    fill(small)
    for options, words in (((), "frozen"), (("--thaw",), "thawed"), (("--stop",), "killed")):
        done = small.ctl("emergency-stop", *options)
        assert (done.returncode, words in done.stdout, done.stderr) == (0, True, "")
    until(lambda: not is_alive(pid))
