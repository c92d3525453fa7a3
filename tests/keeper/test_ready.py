"""What the keeper tells a service manager that started it."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keeper.rig import PATIENCE, Rig, environment_of, until
from tests.system.harness import is_alive


@pytest.fixture(params=["file", "abstract"])
def notify(request: pytest.FixtureRequest, rig: Rig, tmp_path: Path) -> Iterator[socket.socket]:
    name = str(rig.directory / "notify") if request.param == "file" else f"@maestro-{rig.token}"
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(name.replace("@", "\0"))
        listener.settimeout(PATIENCE)
        rig.environ["NOTIFY_SOCKET"] = name
        yield listener


def _silent(notify: socket.socket) -> bool:
    return not select.select([notify], [], [], 0)[0]


def test_it_is_ready_when_the_control_socket_is_there(rig: Rig, notify: socket.socket) -> None:
    manager = rig.start()
    manager.hello()
    manager.order("hold", "notify", fd=0)
    manager.spawn("a#1", "sleep", "1000")
    pid = manager.news("spawned", "a#1")[2]
    assert _silent(notify)
    manager.order("hold", "control", fd=0)
    assert notify.recv(1000) == b"READY=1\nSTATUS="
    for one in (manager.pid, pid):  # nobody else is to speak for us
        assert b"NOTIFY_SOCKET" not in environment_of(one)
    assert is_alive(pid)


def test_a_manager_that_does_not_come_up_holds_nobody_back(rig: Rig, notify: socket.socket) -> None:
    rig.start().end(3)
    told = notify.recv(1000).decode()
    assert told.startswith("READY=1\nSTATUS=the manager")
    assert "ended with 3" in told
    manager = rig.manager()
    manager.hello()
    assert _silent(notify)
    manager.order("hold", "control", fd=0)
    assert notify.recv(1000) == b"READY=1\nSTATUS="
    manager.kill()
    assert "SIGKILL" in notify.recv(1000).decode()
    rig.manager().hello()
    assert notify.recv(1000) == b"READY=1\nSTATUS="  # the socket was held meanwhile


def test_nobody_listens_any_more(rig: Rig, notify: socket.socket) -> None:
    notify.close()
    manager = rig.start()
    manager.hello()
    manager.order("hold", "control", fd=0)
    until(lambda: "cannot tell" in rig.said(), "it says so")
    assert is_alive(rig.pid)
    manager.order("retire")
    manager.end(0)
    assert rig.wait() == 0
