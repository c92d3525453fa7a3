"""The notify socket: sd_notify datagrams, with the kernel's word for who sent them.

What is taken from it is first noted in a journal that the keeper holds, and struck out when it is in the store: so a manager may be killed
at any instruction, and the next one hears it again. To hear it twice does no harm.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

_MAX = 8192  # bytes of one datagram; systemd's own bound is 4096 and more is no notification
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_MOST_DESCRIPTORS = 253  # that the kernel lets one datagram carry
_ROOM_BESIDE = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS)
_BATCH = 256  # datagrams taken in one turn, so that a flood cannot starve the rest
_MOST_NOTED = 256 << 10  # bytes in the journal above which the senders wait for the store
_RECORD = struct.Struct("=iHH")  # pid, and the lengths of the agent's id and of the datagram


class Listener(NamedTuple):
    """Who is told."""

    whose: Callable[[int], str | None]  # pid -> agent; None: a stranger, who is not heard
    news: Callable[[int, str, bytes], None]  # pid, agent, datagram
    committed: Callable[[], asyncio.Future[None]]  # done when all that was told by now is in the store
    store: Callable[[int, str, bytes, list[int]], None]  # the same with descriptors, which are only lent
    owes: Callable[[], bool]  # whether something that was told waits to be taken in


class Journal:
    """What was taken from the socket and may not be in the store. In memory, and the keeper's: it outlives a manager, not a host."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def note(self, pid: int, agent: str, data: bytes) -> None:
        whose = agent.encode()
        record = _RECORD.pack(pid, len(whose), len(data)) + whose + data
        try:
            whole = os.pwrite(self.fd, record, self.size) == len(record)
        except OSError:
            whole = False
        if whole:
            self.size += len(record)
        else:  # there is no memory: it is heard all the same, if we live
            os.ftruncate(self.fd, self.size)

    def read(self) -> list[tuple[int, str, bytes]]:
        """All that is noted. A last record that is not whole is left out: its datagram is still in the socket."""
        content, found, at = os.pread(self.fd, self.size, 0), [], 0
        while at + _RECORD.size <= len(content):
            pid, one, other = _RECORD.unpack_from(content, at)
            middle = at + _RECORD.size + one
            if middle + other > len(content):
                break
            found.append((pid, content[middle - one : middle].decode(), content[middle : middle + other]))
            at = middle + other
        self.size = at
        os.ftruncate(self.fd, at)
        return found

    def clear(self) -> None:
        os.ftruncate(self.fd, 0)
        self.size = 0


class NotifySocket:
    """Reads datagrams and tells whose they are.

    Descriptors that come along are lent to whoever keeps them before their datagram is struck off: a manager that is killed in between
    leaves them to the next. Then they are closed: that is all that BARRIER=1 asks for.
    """

    def __init__(
        self, sock: socket.socket, journal: int, loop: asyncio.AbstractEventLoop, listener: Listener
    ) -> None:
        self._loop, self._listener = loop, listener
        self._journal = Journal(journal)
        self._closed = self._awaiting = False
        self._listen(sock)

    def _listen(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._loop.add_reader(sock.fileno(), self.drain)

    def move(self, sock: socket.socket) -> None:
        """Go on with another socket, after what was said to the old one."""
        self.drain()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        self._listen(sock)

    def replay(self) -> None:
        """Tell what an earlier manager had heard, and perhaps not committed."""
        for pid, agent, data in self._journal.read():
            self._listener.news(pid, agent, data)
        self._await_commit()

    def drain(self) -> bool:
        """Take what has come; returns whether more may be waiting."""
        more = True
        for _ in range(_BATCH):
            try:
                data, extra, flags, _address = self._sock.recvmsg(
                    _MAX, _ROOM_BESIDE, socket.MSG_PEEK | socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                more = False
                break
            pid = 0 if flags & socket.MSG_TRUNC else _sender(extra)
            agent = self._listener.whose(pid) if pid else None
            fds = _descriptors(extra)
            if agent is not None:
                self._journal.note(pid, agent, data)
                if b"FDSTORE" in data:
                    self._listener.store(pid, agent, data, fds)
            self._sock.recv(1)  # strike it off; with it the kernel's own hold on what came along
            for fd in fds:
                os.close(fd)
            if agent is not None:
                self._listener.news(pid, agent, data)
        self._await_commit()
        return more

    def _await_commit(self) -> None:
        if not self._journal.size or self._awaiting:
            return
        self._awaiting = True
        if self._journal.size > _MOST_NOTED:
            self._loop.remove_reader(self._sock.fileno())
        noted = self._journal.size
        self._listener.committed().add_done_callback(lambda _: self._strike_out(noted))

    def _strike_out(self, noted: int) -> None:
        """All up to here is in the store."""
        self._awaiting = False
        if self._closed:
            return
        if self._journal.size != noted:  # more has come meanwhile
            self._await_commit()
        elif noted > _MOST_NOTED or not self._listener.owes():
            self._journal.clear()
            if noted > _MOST_NOTED:
                self._loop.add_reader(self._sock.fileno(), self.drain)

    def close(self) -> None:
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        os.close(self._journal.fd)


def new_journal() -> int:
    """A journal with nothing in it, for the keeper to hold."""
    return os.memfd_create("maestro-notify", os.MFD_CLOEXEC)


def parse(data: bytes) -> dict[str, str]:
    """`KEY=value` lines, as sd_notify(3) says; lines of another form are left out."""
    fields = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        key, found, value = line.partition("=")
        if found and key:
            fields[key] = value
    return fields


def _descriptors(extra: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, body in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(body[: len(body) - len(body) % fds.itemsize])
    return fds.tolist()


def _sender(extra: list[tuple[int, int, bytes]]) -> int:
    for level, kind, body in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return int(_CREDENTIALS.unpack(body[: _CREDENTIALS.size])[0])
    return 0
