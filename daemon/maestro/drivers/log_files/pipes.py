"""Pipes, looked into and emptied without ever waiting and without touching their (shared) status flags."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import struct
import termios

PEEK = 1 << 20  # bytes
_libc = ctypes.CDLL(None, use_errno=True)
_libc.tee.restype = ctypes.c_ssize_t
_libc.tee.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint]


def waiting(fd: int) -> int:
    """Bytes that can be read from the pipe now."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0])


def nearly_full(fd: int) -> bool:
    """Whether a writer is, or is about to be, blocked."""
    if waiting(fd) * 4 > fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) * 3:
        return True
    # A pipe is full when its slots are: sixteen writes of 2,049 bytes fill 64 KiB that are half empty.
    # Only a descriptor that can write is told so.
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
        return False
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return not poll.poll(0)


def move(source: int, target: int, count: int, offset: int | None = None) -> int:
    """Splice up to `count` bytes; 0 when the pipe is empty. Raises OSError when the target refuses."""
    try:
        return os.splice(source, target, count, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
    except BlockingIOError:
        return 0


class Scratch:
    """A pipe of our own, empty between calls: through it bytes are looked at without being taken, or dropped.

    A plain read of the agent's pipe could block for ever: the agent holds a descriptor that can read, too.
    """

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        with contextlib.suppress(
            OSError
        ):  # an ordinary user's allowance may be spent: then we peek 64 KiB at a time
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PEEK)

    def peek(self, pipe: int) -> bytes:
        """What the pipe holds, from its head, up to 1 MiB; the bytes stay where they are."""
        count = _libc.tee(pipe, self._in, PEEK, os.SPLICE_F_NONBLOCK)
        if count < 0:
            error = ctypes.get_errno()
            if error == 11:  # EAGAIN: empty
                return b""
            raise OSError(error, os.strerror(error))
        return self._empty(count)

    def discard(self, pipe: int, count: int) -> bytes:
        """Take `count` bytes out of the pipe, fewer if it holds fewer, and return them."""
        taken: list[bytes] = []
        while count > 0 and (moved := move(pipe, self._in, count)):
            taken.append(self._empty(moved))
            count -= moved
        return b"".join(taken)

    def _empty(self, count: int) -> bytes:
        """Read all: where an agent made its pipe a packet pipe (O_DIRECT), a read ends at a packet."""
        parts: list[bytes] = []
        while count > 0:
            parts.append(os.read(self._out, count))
            count -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)
