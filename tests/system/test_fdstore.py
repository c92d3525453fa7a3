"""Descriptors that outlive the process that opened them, the manager, and a renewal of everything."""

from __future__ import annotations

import socket
import sys

import pytest

from tests.system.harness import Daemon, until

pytestmark = pytest.mark.system

# Counts in a memfd that it is given back at each start: what is in no file and in no process.
COUNTER = """
import os, socket, sys, signal
def say(text, fds=()):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.connect(os.environ["NOTIFY_SOCKET"])
        socket.send_fds(mouth, [text.encode()], list(fds))
def barrier():
    read, write = os.pipe()
    say("BARRIER=1", [write])
    os.close(write)
    os.read(read, 1)
if os.environ.get("LISTEN_FDS"):
    assert int(os.environ["LISTEN_PID"]) == os.getpid()
    assert os.environ["LISTEN_FDNAMES"] == "counter", os.environ
    fd = 3
else:
    fd = os.memfd_create("counter")
    say("FDSTORE=1\\nFDNAME=counter", [fd])
count = int(os.pread(fd, 20, 0) or b"0") + 1
os.pwrite(fd, str(count).encode(), 0)
say("FDSTORE=1\\nFDNAME=again", [fd])  # the same is not kept twice
barrier()
print(count, flush=True)
say("READY=1")
signal.pause()
"""


def counter(daemon: Daemon) -> None:
    daemon.unit(
        "one",
        agent={
            "exec": [sys.executable, "-c", COUNTER.replace("%", "%%").replace("$", "$$")],
            "type": "notify",
            "file_descriptor_store_max": 2,
            "restart": {"policy": "always", "delay": 0},
        },
    )
    daemon.start()
    daemon.call("start", units=["one"])


def counts(daemon: Daemon, *expected: int) -> None:
    until(lambda: [int(line) for line in daemon.log("one").split()] == list(expected), what=str(expected))


def test_a_counter_goes_on(daemon: Daemon) -> None:
    counter(daemon)
    counts(daemon, 1)
    daemon.call("kill", units=["one"], signal="KILL")
    counts(daemon, 1, 2)
    daemon.kill_manager()
    daemon.call("restart", units=["one"])
    counts(daemon, 1, 2, 3)
    assert daemon.ctl("daemon-reexec").returncode == 0
    daemon.call("restart", units=["one"])
    counts(daemon, 1, 2, 3, 4)
    daemon.call("stop", units=["one"])
    daemon.call("start", units=["one"])
    counts(daemon, 1, 2, 3, 4, 1)


KEEPER_OF_MANY = """
import os, socket, sys, signal
if os.environ.get("LISTEN_FDS"):
    names = os.environ["LISTEN_FDNAMES"].split(":")
    for place, name in enumerate(names):
        print(name, os.pread(3 + place, 20, 0).decode(), flush=True)
    print("END", flush=True)
    signal.pause()
for number in range(100):
    fd = os.memfd_create("x")
    os.write(fd, b"%d" % number)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.connect(os.environ["NOTIFY_SOCKET"])
        socket.send_fds(mouth, [b"FDSTORE=1\\nFDNAME=n%d" % number], [fd])
    os.close(fd)
    if number % 10 == 0:
        print(number, flush=True)
print("SENT", flush=True)
signal.pause()
"""


def test_none_is_lost_and_none_comes_twice_though_managers_die(daemon: Daemon) -> None:
    daemon.unit(
        "one",
        agent={
            "exec": [sys.executable, "-c", KEEPER_OF_MANY.replace("%", "%%").replace("$", "$$")],
            "file_descriptor_store_max": 200,
        },
    )
    daemon.start()
    daemon.call("start", units=["one"])
    for number in (0, 30, 60):
        until(lambda line=b"%d\n" % number: line in daemon.log("one"))  # type: ignore[misc]
        daemon.new_manager(daemon.kill_manager())
    until(lambda: daemon.log("one").endswith(b"SENT\n"))
    daemon.call("restart", units=["one"])
    until(lambda: daemon.log("one").endswith(b"END\n"))
    given = daemon.log("one").decode().partition("SENT\n")[2].splitlines()[:-1]
    assert given == [f"n{number} {number}" for number in range(100)]


BINDER = """
import os, socket
listener = socket.create_server(os.environ["DOOR"], family=socket.AF_UNIX)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
    mouth.connect(os.environ["NOTIFY_SOCKET"])
    socket.send_fds(mouth, [b"FDSTORE=1\\nFDNAME=door"], [listener.fileno()])
"""
ANSWERER = """
import socket
listener = socket.socket(fileno=0)
while True:
    client, _ = listener.accept()
    client.sendall(b"here")
    client.close()
"""


@pytest.mark.parametrize("stdin", ["socket", "fd:door"])
def test_a_socket_that_a_command_has_left_is_the_input(daemon: Daemon, stdin: str) -> None:
    door = str(daemon.root / "door")
    agent = {
        "exec": [sys.executable, "-c", ANSWERER],
        "exec_start_pre": [
            ["-" + sys.executable, "-c", BINDER.replace("%", "%%")]
        ],  # the door is there already
        "environment": {"DOOR": door},
        "stdin": stdin,
        "file_descriptor_store_max": 1,
    }
    daemon.unit("one", agent=agent)
    daemon.start()

    def visit() -> bytes:
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.settimeout(20)
            visitor.connect(door)
            return visitor.recv(10)

    for verb in ("start", "restart"):
        assert daemon.call(verb, units=["one"])["jobs"][0]["state"] == "done", daemon.log("one")
        assert visit() == b"here"


def test_an_input_that_nobody_has_left_is_said(daemon: Daemon) -> None:
    daemon.unit(
        "one",
        agent={
            "exec": "cat",
            "stdin": "fd:talk",
            "file_descriptor_store_max": 1,
            "restart": {"policy": "no"},
        },
    )
    daemon.start()
    job = daemon.call("start", units=["one"])["jobs"][0]
    assert job["words"] == "cannot open its input fd:talk: no stored descriptor has this name"
