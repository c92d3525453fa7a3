"""The notify socket: sd_notify datagrams, with the kernel's word for who sent them."""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections.abc import Callable

_MAX = 8192  # bytes of one datagram; systemd's own bound is 4096 and more is no notification
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_MOST_FDS = 64
_BATCH = 256  # datagrams taken in one turn, so that a flood cannot starve the rest


class NotifySocket:
    """Reads datagrams and tells `news(pid, text)`. Descriptors that come along are closed: that is all that BARRIER=1 asks for."""

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, news: Callable[[int, bytes], None]
    ) -> None:
        self._loop, self._news = loop, news
        self._listen(sock)

    def _listen(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._loop.add_reader(sock.fileno(), self.drain)

    def move(self, sock: socket.socket) -> None:
        """Go on with another socket, after what was said to the old one."""
        self.drain()
        self.close()
        self._listen(sock)

    def drain(self) -> None:
        """Take what has come."""
        space = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_MOST_FDS * 4)
        for _ in range(_BATCH):
            try:
                data, extra, flags, _address = self._sock.recvmsg(_MAX, space, socket.MSG_CMSG_CLOEXEC)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                return  # EMFILE for the descriptors that come along: the datagram waits
            pid = _sender(extra)
            if pid and not flags & socket.MSG_TRUNC:
                self._news(pid, data)
            _close_all(extra)

    def close(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()


def parse(data: bytes) -> dict[str, str]:
    """`KEY=value` lines, as sd_notify(3) says; lines of another form are left out."""
    fields = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        key, found, value = line.partition("=")
        if found and key:
            fields[key] = value
    return fields


def _sender(extra: list[tuple[int, int, bytes]]) -> int:
    for level, kind, body in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return int(_CREDENTIALS.unpack(body[: _CREDENTIALS.size])[0])
    return 0


def _close_all(extra: list[tuple[int, int, bytes]]) -> None:
    for level, kind, body in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds = array.array("i")
            fds.frombytes(body[: len(body) - len(body) % fds.itemsize])
            for fd in fds:
                os.close(fd)
