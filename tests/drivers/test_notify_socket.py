"""The notify socket: who sent it is the kernel's word, and what came along is given back."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers import notify_socket
from maestro.drivers.notify_socket import NotifySocket, parse


class Ear:
    def __init__(self, path: str) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        loop = asyncio.get_running_loop()
        self.notify = NotifySocket(self.sock, loop, lambda pid, data: self.heard.append((pid, data)))
        self.mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.mouth.connect(path)

    async def hear(self, count: int) -> list[tuple[int, bytes]]:
        loop = asyncio.get_running_loop()
        while len(self.heard) < count:
            turn = loop.create_future()
            loop.call_later(0.002, turn.set_result, None)
            await turn
        return self.heard

    def close(self) -> None:
        self.notify.close()
        self.mouth.close()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 10))


def test_a_datagram_comes_with_its_senders_pid(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.mouth.send(b"READY=1\nSTATUS=fine")
        assert await ear.hear(1) == [(os.getpid(), b"READY=1\nSTATUS=fine")]
        ear.close()

    run(go())


def test_an_ordinary_user_cannot_lie_about_his_pid(tmp_path: Path) -> None:
    """The kernel takes another pid from root only."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    (tmp_path / "n").parent.chmod(0o755)

    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        child = os.fork()
        if child == 0:
            os.setresuid(65534, 65534, 65534)
            lie = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", 1, 65534, 65534))
            try:
                ear.mouth.sendmsg([b"READY=1"], [lie])
            except PermissionError:
                os._exit(42)
            os._exit(0)
        _, status = os.waitpid(child, 0)  # noqa: ASYNC222 (it ends at once)
        assert os.waitstatus_to_exitcode(status) == 42
        assert ear.heard == []
        ear.close()

    run(go())


def test_a_barrier_is_lifted_by_closing_what_came_along(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        read, write = os.pipe()
        socket.send_fds(ear.mouth, [b"BARRIER=1"], [write])
        os.close(write)
        assert select.select([read], [], [], 0)[0] == [], "the other side still holds it"
        await ear.hear(1)
        assert os.read(read, 1) == b""
        os.close(read)
        ear.close()

    run(go())


def test_no_descriptor_stays_with_us(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        before = len(os.listdir("/proc/self/fd"))
        for count in (1, 64, 200):
            socket.send_fds(ear.mouth, [b"X=1"], [0] * count)
        await ear.hear(3)
        assert len(os.listdir("/proc/self/fd")) == before
        ear.close()

    run(go())


def test_what_is_too_long_is_left_out_and_the_next_is_heard(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.mouth.send(b"x" * (notify_socket._MAX + 1))
        ear.mouth.send(b"")
        ear.mouth.send(b"READY=1")
        await ear.hear(2)
        assert [data for _, data in ear.heard] == [b"", b"READY=1"]
        ear.close()

    run(go())


def test_a_flood_does_not_starve_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify_socket, "_BATCH", 3)

    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        for _ in range(8):
            ear.mouth.send(b"X=1")
        ear.notify.drain()
        assert len(ear.heard) == 3
        await ear.hear(8)
        ear.close()

    run(go())


def test_what_was_said_before_anybody_listened_is_heard(tmp_path: Path) -> None:
    """The keeper holds the socket while there is no manager; SO_PASSCRED is the socket's, so the next one knows the senders."""

    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        held = ear.sock.dup()
        ear.notify.close()
        ear.mouth.send(b"READY=1")
        heard: list[tuple[int, bytes]] = []
        loop = asyncio.get_running_loop()
        again = NotifySocket(held, loop, lambda pid, data: heard.append((pid, data)))
        again.drain()
        assert heard == [(os.getpid(), b"READY=1")]
        again.close()
        ear.mouth.close()

    run(go())


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"READY=1", {"READY": "1"}),
        (b"READY=1\nSTATUS=a=b\n", {"READY": "1", "STATUS": "a=b"}),
        (b"STATUS=first\nSTATUS=last", {"STATUS": "last"}),
        (b"", {}),
        (b"\n\n=x\nnonsense\n", {}),
        (b"STATUS=", {"STATUS": ""}),
        (b"STATUS=\xff\xfe", {"STATUS": "\ufffd\ufffd"}),
    ],
)
def test_lines_are_read_as_sd_notify_says(data: bytes, fields: dict[str, str]) -> None:
    assert parse(data) == fields
