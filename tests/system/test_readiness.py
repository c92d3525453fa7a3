"""What counts as ready, on real processes: every type, every probe, and the whole of sd_notify."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, children, is_alive, until
from tests.system.speakers import SLEEP, catches, dependant, speaker, start

pytestmark = pytest.mark.system

# ------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize("kind", ["simple", "exec"])
def test_a_process_that_runs_is_ready(daemon: Daemon, kind: str) -> None:
    daemon.unit("one", agent={"exec": SLEEP, "type": kind})
    daemon.start()
    assert start(daemon, "one", wait=True)["jobs"][0]["state"] == "done"
    assert daemon.status("one")["fine"] == "running"


def test_a_oneshot_is_ready_when_it_has_ended_well(daemon: Daemon) -> None:
    gate = daemon.root / "gate"
    daemon.unit(
        "once",
        agent={"exec": ["/bin/sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.01; done"], "type": "oneshot"},
    )
    dependant(daemon, "once")
    daemon.start()
    start(daemon, "after")
    daemon.wait_state("once", "start")
    assert daemon.status("after")["state"] == "waiting"
    gate.touch()
    daemon.wait_state("after", "active")
    assert daemon.status("once")["state"] == "inactive"
    assert daemon.status("once")["result"] == "success"


def test_a_oneshot_that_fails_holds_its_dependants_back(daemon: Daemon) -> None:
    daemon.unit(
        "once", agent={"exec": ["/bin/sh", "-c", "exit 3"], "type": "oneshot", "restart": {"policy": "no"}}
    )
    dependant(daemon, "once")
    daemon.start()
    [job] = [job for job in start(daemon, "after", wait=True)["jobs"] if job["unit"] == "after"]
    assert job["state"] == "dependency"
    assert "once, which has failed: ended with exit status 3" in job["words"]
    daemon.unit("once", agent={"exec": ["/bin/true"], "type": "oneshot"})
    daemon.call("daemon-reload")
    start(daemon, "once", wait=True)
    daemon.wait_state("after", "active")


def test_a_notifying_agent_is_ready_when_it_says_so(daemon: Daemon) -> None:
    gate = daemon.root / "gate"
    daemon.unit(
        "talker",
        agent={
            "exec": speaker(
                daemon,
                "talker",
                f"say('STATUS=waking up')\nwhile not os.path.exists({str(gate)!r}): linger(0.01)\n"
                "say('READY=1\\nSTATUS=at your service')\nforever()",
            ),
            "type": "notify",
        },
    )
    dependant(daemon, "talker")
    daemon.start()
    start(daemon, "after")
    until(lambda: daemon.status("talker")["status"] == "waking up")
    assert daemon.status("talker")["fine"] == "start"
    assert "READY=1" in daemon.status("talker")["cause"]
    assert daemon.status("after")["state"] == "waiting"
    gate.touch()
    daemon.wait_state("after", "active")
    assert daemon.status("talker")["status"] == "at your service"
    assert "at your service" in daemon.ctl("status", "talker").stdout


def test_an_end_before_readiness_is_a_failure_even_with_0(daemon: Daemon) -> None:
    daemon.unit("shy", agent={"exec": ["/bin/true"], "type": "notify", "restart": {"policy": "no"}})
    daemon.start()
    assert start(daemon, "shy", wait=True)["jobs"][0]["state"] == "failed"
    one = daemon.status("shy")
    assert (one["state"], one["result"]) == ("failed", "protocol")
    assert "before it was ready" in one["cause"]


# ------------------------------------------------------------------------------------------- probes


class Gate:
    """Something a probe asks for, made by the test and not by the agent: so that the test says when."""

    def __init__(self, daemon: Daemon, kind: str, name: str = "gate") -> None:
        self.kind, self.path = kind, daemon.root / name
        self.agent = list(SLEEP)
        self._server = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        if kind in ("tcp", "http"):
            self._server.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        sections: dict[str, dict[str, Any]] = {
            "exec": {"exec": ["/usr/bin/test", "-e", str(self.path)]},
            "unix": {"unix": str(self.path)},
            "tcp": {"tcp": f"127.0.0.1:{self.port}"},
            "http": {"http": f"http://127.0.0.1:{self.port}/ready"},
            "log": {"log": "^gate is (open|ajar)$"},
        }
        self.section = sections[kind] | {"interval": "50ms"}
        if kind == "log":
            wait = f"while [ ! -e {self.path} ]; do sleep 0.01; done"
            self.agent = [
                "/bin/sh",
                "-c",
                f"echo 'the gate is open'; {wait}; echo 'gate is open'; exec sleep 1000",
            ]

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1]) if self.kind in ("tcp", "http") else 0

    def open(self) -> None:
        if self.kind in ("exec", "log"):
            self.path.touch()
            return
        if self.kind == "unix":
            self._server.bind(str(self.path))
        self._server.listen()

    def answer(self, text: bytes) -> None:
        self._server.settimeout(20)
        while True:
            connection, _ = self._server.accept()
            with connection:
                connection.settimeout(5)
                if connection.recv(4096).startswith(b"GET /ready HTTP/1.1\r\n"):
                    connection.sendall(text)
                    return

    def close(self) -> None:
        self._server.close()


@pytest.mark.parametrize("kind", ["exec", "http", "tcp", "unix", "log"])
def test_a_probe_says_when_it_is_ready(daemon: Daemon, kind: str) -> None:
    gate = Gate(daemon, kind)
    daemon.unit("asked", agent={"exec": gate.agent}, health={"readiness": gate.section})
    dependant(daemon, "asked")
    daemon.start()
    start(daemon, "after")
    one = daemon.wait_state("asked", "start")
    assert "its readiness probe" in until(lambda: daemon.status("asked")["cause"])
    assert daemon.status("after")["state"] == "waiting"
    gate.open()
    if kind == "http":
        gate.answer(b"HTTP/1.1 503 Busy\r\n\r\n")
        assert daemon.status("after")["state"] == "waiting"
        gate.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    daemon.wait_state("after", "active")
    assert daemon.status("asked")["fine"] == "running"
    assert daemon.status("asked")["pid"] == one["pid"]
    gate.close()
    until(lambda: children(daemon.keeper) and not _probes(daemon), what="no probe is left")


def _probes(daemon: Daemon) -> list[int]:
    return [pid for pid in children(daemon.keeper) if b"/usr/bin/test" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_type_and_probe_count_both(daemon: Daemon) -> None:
    gate = daemon.root / "gate"
    daemon.unit(
        "both",
        agent={"exec": speaker(daemon, "both", "say('READY=1\\nSTATUS=said')\nforever()"), "type": "notify"},
        health={"readiness": {"exec": ["/usr/bin/test", "-e", str(gate)], "interval": "20ms"}},
    )
    daemon.start()
    start(daemon, "both")
    until(lambda: daemon.status("both")["status"] == "said")
    assert daemon.status("both")["fine"] == "start"
    gate.touch()
    daemon.wait_state("both", "running")


def test_an_exec_probe_that_hangs_is_ended_with_all_of_it(daemon: Daemon) -> None:
    pids, gate = daemon.root / "pids", daemon.root / "gate"
    check = daemon.root / "check"
    check.write_text(f"#!/bin/sh\n[ -e {gate} ] && exit 0\nsleep 1000 & echo $$ $! >> {pids}\nwait\n")
    check.chmod(0o755)
    daemon.unit(
        "asked",
        agent={"exec": SLEEP},
        health={"readiness": {"exec": [str(check)], "timeout": "200ms", "interval": "50ms"}},
    )
    daemon.start()
    start(daemon, "asked")
    until(lambda: pids.exists() and len(pids.read_text().splitlines()) >= 3)
    gate.touch()
    daemon.wait_state("asked", "active")
    until(
        lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()),
        what="hanging probes are gone",
    )


def test_a_probe_goes_on_with_the_next_manager(daemon: Daemon) -> None:
    for kind in ("exec", "log"):
        gate = Gate(daemon, kind, f"gate-{kind}")
        daemon.unit(kind, agent={"exec": gate.agent}, health={"readiness": gate.section})
        gate.close()
    daemon.start()
    pids = {}
    for kind in ("exec", "log"):
        start(daemon, kind)
        pids[kind] = daemon.wait_state(kind, "start")["pid"]
    dead = daemon.kill_manager()
    until(lambda: daemon.manager() not in (None, dead))
    for kind in ("exec", "log"):
        assert daemon.status(kind)["fine"] == "start"
        (daemon.root / f"gate-{kind}").touch()
        assert daemon.wait_state(kind, "running")["pid"] == pids[kind]


# ------------------------------------------------------------------------------------------- time


def test_who_is_not_ready_in_time_is_stopped_and_tried_again(daemon: Daemon) -> None:
    daemon.unit(
        "late",
        agent={"exec": SLEEP, "type": "notify", "start_timeout": "300ms", "restart": {"delay": "50ms"}},
    )
    daemon.start()
    answer = start(daemon, "late", wait=True)["jobs"][0]
    assert answer["state"] == "failed"
    assert "not ready within 0.3 s: still waiting for READY=1" in answer["words"]
    one = daemon.status("late")
    until(lambda: daemon.status("late")["restarts"] >= 2)
    assert one["result"] in ("timeout", "success")  # the latter when the next try has begun
    assert daemon.call("stop", units=["late"])["jobs"][0]["state"] == "done"


def test_a_start_may_be_extended(daemon: Daemon) -> None:
    daemon.unit(
        "slow",
        agent={
            "exec": speaker(
                daemon,
                "slow",
                "for _ in range(12):\n    say('EXTEND_TIMEOUT_USEC=2000000'); linger(0.2)\nsay('READY=1'); forever()",
            ),
            "type": "notify",
            "start_timeout": "2s",
        },
    )
    daemon.start()
    assert start(daemon, "slow", wait=True)["jobs"][0]["state"] == "done"
    assert daemon.status("slow")["restarts"] == 0


def test_a_missed_watchdog_is_an_abort_and_a_restart(daemon: Daemon) -> None:
    deaf = daemon.root / "deaf"
    daemon.unit(
        "dog",
        agent={
            "exec": speaker(
                daemon,
                "dog",
                "say('READY=1')\n"
                f"while not os.path.exists({str(deaf)!r}): say('WATCHDOG=1'); linger(0.05)\n"
                "say('STATUS=deaf now'); forever()",
            ),
            "type": "notify",
            "watchdog": "1s",
            "restart": {"delay": "50ms", "policy": "on-watchdog"},
        },
    )
    daemon.start()
    assert start(daemon, "dog", wait=True)["jobs"][0]["state"] == "done"
    first = daemon.status("dog")["pid"]
    until(lambda: daemon.status("dog")["log_size"] == 0)
    fed = [daemon.status("dog")["pid"] for _ in range(50)]
    assert set(fed) == {first}
    deaf.touch()
    until(lambda: daemon.status("dog")["restarts"] >= 1)
    deaf.unlink()
    with daemon.client as client:
        told = list(client.stream("events", {"units": ["dog"], "lines": 100, "follow": False}))
    words = {one["kind"]: one["words"] for one in told}
    assert words["watchdog"] == "no WATCHDOG=1 for 1.0 s"
    assert "was killed by SIGABRT" in words["restart-scheduled"]
    assert not is_alive(first)


def test_an_agent_may_pull_its_own_watchdog(daemon: Daemon) -> None:
    daemon.unit(
        "dog",
        agent={
            "exec": speaker(
                daemon, "dog", "say('READY=1')\non('USR1', lambda: say('WATCHDOG=trigger'))\nforever()"
            ),
            "type": "notify",
            "watchdog": "100s",
            "restart": {"policy": "no"},
        },
    )
    daemon.start()
    start(daemon, "dog", wait=True)
    until(lambda: catches(daemon.status("dog")["pid"], signal.SIGUSR1))
    os.kill(daemon.status("dog")["pid"], signal.SIGUSR1)
    assert daemon.wait_state("dog", "failed")["result"] == "watchdog"


def test_an_agent_says_that_it_stops(daemon: Daemon) -> None:
    go = daemon.root / "go"
    daemon.unit(
        "leaver",
        agent={
            "exec": speaker(
                daemon,
                "leaver",
                f"say('READY=1')\nwhile not os.path.exists({str(go)!r}): linger(0.01)\n"
                f"say('STOPPING=1\\nSTATUS=packing')\nwhile os.path.exists({str(go)!r}): linger(0.01)",
            ),
            "type": "notify",
        },
    )
    daemon.start()
    start(daemon, "leaver", wait=True)
    go.touch()
    one = daemon.wait_state("leaver", "deactivating")
    assert (one["cause"], one["status"]) == ("it said it stops", "packing")
    go.unlink()
    assert daemon.wait_state("leaver", "inactive", "failed")["state"] == "inactive"
