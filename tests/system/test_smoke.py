"""The main job, in one breath: start, crash, restart, stop, survive the manager's death."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from tests.system.harness import Daemon, is_alive, until

pytestmark = pytest.mark.system


def _is_another(daemon: Daemon, dead: int) -> bool:
    return daemon.manager() not in (None, dead)


def test_an_agent_is_started_restarted_and_stopped(daemon: Daemon) -> None:
    daemon.unit(
        "hello", agent={"exec": ["/bin/sh", "-c", "echo up; exec sleep 1000"], "restart": {"delay": "100ms"}}
    )
    daemon.start()
    assert daemon.call("start", units=["hello"])["jobs"][0]["state"] == "done"
    first = daemon.wait_state("hello", "active")["pid"]
    until(lambda: daemon.log("hello") == b"up\n")
    os.kill(first, signal.SIGKILL)
    second = until(lambda: (pid := daemon.status("hello")["pid"]) not in (0, first) and pid)
    assert daemon.status("hello")["restarts"] == 1
    until(lambda: daemon.log("hello") == b"up\nup\n")
    assert daemon.call("stop", units=["hello"])["jobs"][0]["state"] == "done"
    assert not is_alive(second)


def test_the_manager_may_die(daemon: Daemon) -> None:
    daemon.unit("hello", agent={"exec": ["/bin/sh", "-c", "while :; do echo $((i=i+1)); sleep 0.01; done"]})
    daemon.start()
    daemon.call("start", units=["hello"])
    pid = daemon.wait_state("hello", "active")["pid"]
    for _ in range(3):
        dead = daemon.kill_manager()
        assert daemon.status("hello")["pid"] == pid
        until(partial(_is_another, daemon, dead))
    assert daemon.stop() == 0
    numbers = [int(line) for line in daemon.log("hello").split()]
    assert numbers == list(range(1, len(numbers) + 1))
