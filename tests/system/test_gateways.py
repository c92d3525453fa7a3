"""The listeners of `network: gateway`: who connects to one is known by it, and by nothing that it says."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers.abilities import probe
from tests.system.harness import Daemon, descriptors, is_alive, until
from tests.system.ordinary import become_ordinary

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif("net" not in probe().namespaces, reason="this host lets us make no networks"),
]
GATEWAY = str(Path(__file__).parent / "programs/gateway.py")
# Asks once for each line of its file, and says what it was told.
ASKER = """
import os, signal, socket, sys
def ask(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as server:
        return server.recv(100).decode()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # a handler would come in the middle of an import
while True:
    print(ask(4000), flush=True)
    signal.sigwait([signal.SIGUSR1])
"""


def gateway(daemon: Daemon, name: str = "gateway", **agent: Any) -> None:
    exec = [sys.executable, GATEWAY]
    daemon.unit(name, agent={"exec": exec, "gateway_ports": [4000], **agent})


def asker(daemon: Daemon, name: str, **sandbox: Any) -> None:
    exec = [sys.executable, "-c", ASKER.replace("%", "%%").replace("$", "$$")]
    daemon.unit(name, agent={"exec": exec}, sandbox={"network": "gateway", **sandbox})


def told(daemon: Daemon, name: str) -> list[str]:
    return daemon.log(name).decode().splitlines()


def ask(daemon: Daemon, name: str) -> str:
    """What the gateway says to this agent: who it is, and the pid of who says so."""
    before = len(told(daemon, name))
    os.kill(daemon.status(name)["pid"], signal.SIGUSR1)
    until(lambda: len(told(daemon, name)) > before, what=f"{name} is answered")
    return told(daemon, name)[-1]


@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_each_agent_is_known_by_its_listener(daemon: Daemon, user: str) -> None:
    if user == "ordinary":
        if os.geteuid() != 0:
            pytest.skip("is what the other one is already")
        become_ordinary(daemon)
    gateway(daemon)
    for name in ("one", "two"):
        asker(daemon, name)
    daemon.start()
    daemon.call("start", units=["one"])  # before there is a gateway: it waits in the queue of its socket
    daemon.call("start", units=["gateway"])
    daemon.call("start", units=["two"])  # and after
    for name in ("one", "two"):
        until(lambda name=name: told(daemon, name))  # type: ignore[misc]
        assert told(daemon, name) == [f"{daemon.status('gateway')['pid']} {name}#1 127.0.0.1:4000"]
    daemon.call("restart", units=["one"])
    until(lambda: len(told(daemon, "one")) == 2)
    assert told(daemon, "one")[1].endswith(" one#2 127.0.0.1:4000")
    daemon.call("stop", units=["two"])
    until(lambda: len(told(daemon, "gateway")) == 5)
    heard = told(daemon, "gateway")
    # Whether the old one is forgotten before the new one listens is nobody's promise: their names tell them apart.
    assert sorted(heard[2:4]) == ["closed one#1 127.0.0.1:4000", "listen one#2 127.0.0.1:4000"]
    assert heard[:2] == ["listen one#1 127.0.0.1:4000", "listen two#1 127.0.0.1:4000"]
    assert heard[4] == "closed two#1 127.0.0.1:4000"


def test_whatever_dies_the_listeners_stay(daemon: Daemon) -> None:
    gateway(daemon)
    for name in ("one", "two"):
        asker(daemon, name)
    daemon.start()
    daemon.call("start", units=["gateway", "one", "two"])
    for name in ("one", "two"):
        until(lambda name=name: told(daemon, name))  # type: ignore[misc]
    dead = daemon.kill_manager()
    assert ask(daemon, "one").endswith(" one#1 127.0.0.1:4000")
    daemon.new_manager(dead)
    assert daemon.ctl("daemon-reexec").returncode == 0
    assert ask(daemon, "two").endswith(" two#1 127.0.0.1:4000")
    asker(daemon, "three")
    daemon.call("daemon-reload")
    daemon.call("start", units=["three"])  # told by the renewed keeper
    until(lambda: told(daemon, "three"))
    assert told(daemon, "three")[0].endswith(" three#1 127.0.0.1:4000")
    before = told(daemon, "gateway")
    first = daemon.status("gateway")["pid"]
    daemon.call("stop", units=["gateway"])
    assert not is_alive(first)
    os.kill(daemon.status("one")["pid"], signal.SIGUSR1)  # connects while nobody accepts
    daemon.call("start", units=["gateway"])
    until(lambda: len(told(daemon, "one")) == 3)
    second = daemon.status("gateway")["pid"]
    assert told(daemon, "one")[2] == f"{second} one#1 127.0.0.1:4000"
    assert ask(daemon, "two") == f"{second} two#1 127.0.0.1:4000"
    after = told(daemon, "gateway")[len(before) :]
    assert sorted(after) == [f"listen {name}#1 127.0.0.1:4000" for name in ("one", "three", "two")]


# Says what sockets it has: the kind, and the names that it was given.
POOR = """
import os
links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd != "3" and int(fd) > 2]
print(os.environ.get("LISTEN_FDNAMES"), len([one for one in links if "socket" in one]), flush=True)
"""


def test_nobody_else_gets_one(daemon: Daemon) -> None:
    """Not a service without ports or with another one, nor a command around the gateway."""
    poor = [sys.executable, "-c", POOR.replace("%", "%%").replace("$", "$$")]
    gateway(daemon, exec_start_pre=[poor], exec_start_post=[poor])
    gateway(daemon, "other", gateway_ports=[4001])
    daemon.unit("poor", agent={"exec": poor, "type": "oneshot", "file_descriptor_store_max": 3})
    asker(daemon, "one", listeners=["127.0.0.1:4000", "127.0.0.1:4002", "[::1]:4001"])
    daemon.start()
    daemon.call("start", units=["one", "gateway", "other", "poor"])
    until(lambda: told(daemon, "one") and told(daemon, "other") and told(daemon, "poor"))
    assert told(daemon, "one") == [f"{daemon.status('gateway')['pid']} one#1 127.0.0.1:4000"]
    assert told(daemon, "other") == ["listen one#1 [::1]:4001"]
    assert told(daemon, "poor") == ["None 0"]
    assert sorted(told(daemon, "gateway")) == ["None 0", "None 0", "listen one#1 127.0.0.1:4000"]
    assert not listening_in(daemon.status("one")["pid"]) & set(descriptors(daemon.manager() or 0))


def listening_in(pid: int) -> set[str]:
    """The TCP sockets of the network of that process, as /proc names a descriptor of one."""
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    found = {f"socket:[{line.split()[9]}]" for lines in tables for line in lines if line.split()[3] == "0A"}
    assert len(found) == 3
    return found


def test_a_gateway_that_does_not_listen_holds_nobody_up(daemon: Daemon) -> None:
    """What it has no room for is told when it has."""
    count = 100
    ports = [4000 + number for number in range(count)]
    gateway(daemon, gateway_ports=ports)
    asker(daemon, "one", listeners=[f"127.0.0.1:{port}" for port in ports])
    daemon.start()
    daemon.call("start", units=["gateway"])
    pid = daemon.status("gateway")["pid"]
    os.kill(pid, signal.SIGSTOP)
    daemon.call("start", units=["one"])
    for _ in range(3):
        daemon.call("restart", units=["one"])
    assert daemon.status("one")["state"] == "active"
    os.kill(pid, signal.SIGCONT)
    expected = {f"listen one#4 127.0.0.1:{port}" for port in ports}
    until(lambda: expected <= set(told(daemon, "gateway")))
    assert len([line for line in told(daemon, "gateway") if line.startswith("listen one#4")]) == count
    until(
        lambda: any(" one#4 " in line for line in told(daemon, "one")),
        what="it has asked once, and can be told to ask again",
    )
    assert ask(daemon, "one").endswith(" one#4 127.0.0.1:4000")
