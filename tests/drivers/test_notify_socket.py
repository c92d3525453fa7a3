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
from maestro.drivers.notify_socket import Listener, NotifySocket, new_journal, parse


class Ear:
    """A manager's end of the notify socket; what is heard is committed when `store` has room."""

    def __init__(self, path: str) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self.agents: dict[int, str | None] = {}
        self.commits: list[asyncio.Future[None]] = []
        self.owing = False
        self.lent: list[tuple[int, bytes, list[str]]] = []
        self.dies_of_storing = False
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.journal = new_journal()
        self.notify = self.listen()
        self.mouth = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.mouth.connect(path)

    def listen(self) -> NotifySocket:
        """Begin to listen, as each manager does with what the keeper holds."""
        loop = asyncio.get_running_loop()
        listener = Listener(
            whose=lambda pid: self.agents.get(pid, "web#1"),
            news=lambda pid, agent, data: self.heard.append((pid, data)),
            store=self._store,
            committed=self._committed,
            owes=lambda: self.owing,
        )
        self.notify = NotifySocket(self.sock.dup(), os.dup(self.journal), loop, listener)
        return self.notify

    def _store(self, pid: int, agent: str, data: bytes, fds: list[int]) -> None:
        self.lent.append((pid, data, [os.readlink(f"/proc/self/fd/{fd}") for fd in fds]))
        if self.dies_of_storing:
            self.dies_of_storing = False
            raise KeyboardInterrupt

    def _committed(self) -> asyncio.Future[None]:
        self.commits.append(asyncio.get_running_loop().create_future())
        return self.commits[-1]

    async def commit(self) -> None:
        """What was told by now is in the store."""
        commits, self.commits = self.commits, []
        for one in commits:
            one.set_result(None)
        turn = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turn.set_result, None)
        await turn

    def next_manager(self) -> list[tuple[int, bytes]]:
        """What a manager hears that takes over after a SIGKILL."""
        self.notify.close()
        self.heard, self.commits = [], []
        self.listen().replay()
        self.notify.drain()
        return self.heard

    @property
    def noted(self) -> int:
        return os.fstat(self.journal).st_size

    async def hear(self, count: int) -> list[tuple[int, bytes]]:
        while len(self.heard) < count:
            await self.turn()
        return self.heard

    async def turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.002, turn.set_result, None)
        await turn

    def close(self) -> None:
        self.notify.close()
        self.mouth.close()
        self.sock.close()
        os.close(self.journal)


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
        ear.notify.close()
        ear.mouth.send(b"READY=1")
        ear.listen().drain()
        assert ear.heard == [(os.getpid(), b"READY=1")]
        ear.close()

    run(go())


# ------------------------------------------------------------------------------------------- the journal


def test_what_was_heard_and_not_committed_is_heard_again(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.mouth.send(b"READY=1")
        ear.mouth.send(b"")
        ear.mouth.send(b"STATUS=fine")
        ear.notify.drain()
        said = list(ear.heard)
        assert len(said) == 3
        assert ear.next_manager() == said
        assert ear.next_manager() == said, "the next one died too early, too"
        await ear.commit()
        assert ear.noted == 0
        assert ear.next_manager() == []
        ear.close()

    run(go())


def test_what_comes_while_a_commit_runs_is_struck_out_by_the_next(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.mouth.send(b"READY=1")
        ear.notify.drain()
        ear.mouth.send(b"STATUS=late")
        ear.notify.drain()
        await ear.commit()
        assert (os.getpid(), b"STATUS=late") in ear.next_manager()
        await ear.commit()
        assert ear.next_manager() == []
        ear.close()

    run(go())


def test_what_waits_to_be_claimed_stays_noted(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.owing = True
        ear.mouth.send(b"READY=1")
        ear.notify.drain()
        await ear.commit()
        assert len(ear.next_manager()) == 1
        ear.owing = False
        await ear.commit()
        assert ear.noted == 0
        ear.close()

    run(go())


def test_a_sender_that_is_gone_is_known_by_what_was_noted(tmp_path: Path) -> None:
    """Whose it was can be told while it lives: `systemd-notify` ends at once."""

    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.mouth.send(b"READY=1")
        ear.notify.drain()
        ear.agents[os.getpid()] = None
        assert ear.next_manager() == [(os.getpid(), b"READY=1")]
        ear.close()

    run(go())


def test_a_stranger_is_neither_heard_nor_noted(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.agents[os.getpid()] = None
        ear.mouth.send(b"READY=1")
        ear.notify.drain()
        assert (ear.heard, ear.noted, ear.commits) == ([], 0, [])
        ear.close()

    run(go())


def test_the_journal_is_bounded_while_the_store_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify_socket, "_MOST_NOTED", 50)

    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.mouth.send(b"STATUS=" + b"x" * 60)
        await ear.hear(1)
        ear.mouth.send(b"READY=1")
        for _ in range(3):
            await ear.turn()
        assert len(ear.heard) == 1, "senders wait"
        await ear.commit()
        await ear.hear(2)
        ear.close()

    run(go())


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_note_that_a_death_cut_short_is_left_out(cut: int) -> None:
    fd = new_journal()
    journal = notify_socket.Journal(fd)
    journal.note(7, "web#1", b"READY=1")
    whole = journal.size
    journal.note(8, "web#2", b"READY=1")
    os.ftruncate(fd, journal.size - cut)
    again = notify_socket.Journal(fd)
    assert again.read() == [(7, "web#1", b"READY=1")]
    assert again.size == os.fstat(fd).st_size == whole
    os.close(fd)


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


# ------------------------------------------------------------------------------------------- descriptors to be kept


def test_descriptors_to_be_kept_are_lent_and_closed(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        before = len(os.listdir("/proc/self/fd"))
        one = os.memfd_create("one")
        socket.send_fds(ear.mouth, [b"FDSTORE=1\nFDNAME=a"], [one, one])
        socket.send_fds(ear.mouth, [b"STATUS=x"], [one])
        os.close(one)
        await ear.hear(2)
        what = "/memfd:one (deleted)"
        assert ear.lent == [(os.getpid(), b"FDSTORE=1\nFDNAME=a", [what, what])]
        assert len(os.listdir("/proc/self/fd")) == before
        ear.close()

    run(go())


def test_a_stranger_lends_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        ear.agents[os.getpid()] = None
        socket.send_fds(ear.mouth, [b"FDSTORE=1"], [0])
        ear.notify.drain()
        assert ear.lent == []
        ear.close()

    run(go())


def test_a_manager_killed_while_it_keeps_one_leaves_it_to_the_next(tmp_path: Path) -> None:
    async def go() -> None:
        ear = Ear(str(tmp_path / "n"))
        one = os.memfd_create("one")
        socket.send_fds(ear.mouth, [b"FDSTORE=1"], [one])
        ear.dies_of_storing = True
        with pytest.raises(KeyboardInterrupt):
            ear.notify.drain()
        ear.next_manager()
        assert [files for _, _, files in ear.lent] == [["/memfd:one (deleted)"]] * 2
        os.close(one)
        ear.close()

    run(go())
