"""The whole tree of an agent ends with it, however its processes were made; or the unit says who is left."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, is_alive, until

pytestmark = pytest.mark.system

TREE = Path(__file__).parent / "agents/tree.py"
WAYS = ["plain", "group", "session", "daemon", "closed", "deaf"]


def tree(folder: Path, *hows: str) -> list[str]:
    return [sys.executable, "-I", "-S", str(TREE), str(folder), *hows]


def pids(folder: Path, *hows: str, of: int = 1) -> dict[str, list[int]]:
    """Who they are, once `of` of each way and of the main process have said so."""
    found: dict[str, list[int]] = {}

    def all_there() -> bool:
        found.clear()
        with contextlib.suppress(FileNotFoundError):
            for line in (folder / "pids").read_text().splitlines():
                how, pid = line.split()
                found.setdefault(how, []).append(int(pid))
        return all(len(found.get(how, ())) >= of for how in (*hows, "main"))

    until(all_there, what=f"{of} of each of {hows}")
    return found


def flat(found: dict[str, list[int]]) -> list[int]:
    return [pid for some in found.values() for pid in some]


def test_a_stop_ends_every_process_however_it_was_made(daemon: Daemon, folder: Path) -> None:
    stop = {"sequence": ["TERM 500ms", "KILL"]}
    daemon.unit("tree", agent={"exec": tree(folder, *WAYS), "stop": stop})
    daemon.start()
    daemon.call("start", units=["tree"])
    found = flat(pids(folder, *WAYS))
    assert len(found) == len(WAYS) + 1
    assert daemon.call("stop", units=["tree"])["jobs"][0]["state"] == "done"
    assert [pid for pid in found if is_alive(pid)] == []
    assert not daemon.named_after_this_root()
    assert daemon.status("tree")["result"] in ("success", "signal")


def test_what_a_crash_leaves_is_ended_before_the_restart(daemon: Daemon, folder: Path) -> None:
    stop = {"sequence": ["TERM 300ms", "KILL"]}
    restart = {"delay": "10ms", "factor": 1, "start_limits": []}
    command = f"""
        for pid in $(cut -d ' ' -f 2 {folder}/pids 2>/dev/null); do
          case $(cut -d ' ' -f 3 /proc/$pid/stat 2>/dev/null) in [RSDT]) echo $pid >> {folder}/overlap;; esac
        done
        rm -f {folder}/pids
        echo >> {folder}/runs
        exec {" ".join(tree(folder, *WAYS, "crash=3"))}
    """
    daemon.unit("tree", agent={"exec": ["/bin/sh", "-c", command], "stop": stop, "restart": restart})
    daemon.start()
    daemon.call("start", units=["tree"])
    until(lambda: (folder / "runs").exists() and (folder / "runs").stat().st_size >= 4, what="three restarts")
    assert not (folder / "overlap").exists(), (folder / "overlap").read_text()
    daemon.call("stop", units=["tree"])
    assert not daemon.named_after_this_root()
    ends = [event for event in daemon.events() if event["kind"] == "restart-scheduled"]
    assert all("ended with exit status 3" in event["words"] for event in ends)


def test_a_unit_says_who_is_left_while_it_lasts(daemon: Daemon, folder: Path) -> None:
    stop = {"sequence": ["TERM 1h", "KILL"]}
    restart = {"policy": "no"}
    command = tree(folder, "deaf", "crash=5")
    daemon.unit("tree", agent={"exec": command, "stop": stop, "restart": restart})
    daemon.start()
    daemon.call("start", units=["tree"])
    left = pids(folder, "deaf")["deaf"][0]
    unit = daemon.wait_state("tree", "deactivating")
    assert "ended with exit status 5" in unit["cause"]
    assert re.search(rf"\b{left}\b", unit["cause"]), unit["cause"]
    daemon.new_manager(daemon.kill_manager())
    unit = daemon.status("tree")
    assert unit["state"] == "deactivating"
    assert re.search(rf"\b{left}\b", unit["cause"]), unit["cause"]
    os.kill(left, signal.SIGKILL)
    unit = daemon.wait_state("tree", "failed")
    assert unit["result"] == "exit-code"
    assert "5" in unit["cause"]


def test_an_agent_that_forks_for_ever_is_ended(daemon: Daemon, folder: Path) -> None:
    stop = {"sequence": ["TERM 100ms", "KILL"]}
    daemon.unit("tree", agent={"exec": tree(folder, "breeding", "breeding", "daemon"), "stop": stop})
    daemon.unit("other", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["tree", "other"])
    pids(folder, "breeding", "daemon")
    for _ in range(3):
        daemon.call("restart", units=["tree"])
    assert daemon.call("stop", units=["tree"])["jobs"][0]["state"] == "done"
    until(lambda: not daemon.named_after_this_root(), 5, "the last of them is gone")
    assert daemon.status("other")["state"] == "active"


@pytest.mark.parametrize("mode", ["process", "mixed"])
def test_who_gets_the_signal_is_the_units_choice(daemon: Daemon, folder: Path, mode: str) -> None:
    stop: dict[str, Any] = {"sequence": ["TERM 1s", "KILL"], "kill_mode": mode}
    daemon.unit("tree", agent={"exec": tree(folder, "plain", "daemon", "deaf"), "stop": stop})
    daemon.start()
    daemon.call("start", units=["tree"])
    found = pids(folder, "plain", "daemon", "deaf")
    assert daemon.call("stop", units=["tree"])["jobs"][0]["state"] == "done"
    assert not is_alive(found["main"][0])
    left = {how for how, (pid, *_) in found.items() if is_alive(pid)}
    assert left == ({"plain", "daemon", "deaf"} if mode == "process" else set())


def test_the_whole_tree_of_an_adopted_agent_ends(daemon: Daemon, folder: Path) -> None:
    daemon.unit("tree", agent={"exec": tree(folder, *WAYS), "stop": {"sequence": ["TERM 500ms", "KILL"]}})
    daemon.start()
    daemon.call("start", units=["tree"])
    found = pids(folder, *WAYS)
    daemon.kill_keeper()
    daemon.start()
    assert daemon.status("tree")["pid"] == found["main"][0]
    assert daemon.call("stop", units=["tree"])["jobs"][0]["state"] == "done"
    assert {how for how, (pid, *_) in found.items() if is_alive(pid)} == set()


def test_a_daemon_that_hides_where_it_came_from_is_known_by_its_output(daemon: Daemon, folder: Path) -> None:
    daemon.unit("tree", agent={"exec": tree(folder, "bare")})
    daemon.start()
    daemon.call("start", units=["tree"])
    found = pids(folder, "bare")
    daemon.call("stop", units=["tree"])
    assert not is_alive(found["bare"][0])
