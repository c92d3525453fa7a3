"""Which process is at the other end of a connection, and whose it is.

The kernel notes at `connect` who that was: a socket that is handed on, to a child or over another socket, stays that of who
connected. It notes a number, too, and numbers are given again: so the process is held by a descriptor while it is looked
up, and counts only if it still has its number afterwards.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from collections.abc import Callable

from maestro.control.roles import Peer
from maestro.ports import SOMEBODYS

_CREDENTIALS = struct.Struct("3i")
_SO_PEERPIDFD = 77  # Linux 6.5
_UNKNOWN = (errno.ENOPROTOOPT, errno.EOPNOTSUPP)
_GONE = (errno.ESRCH, errno.EINVAL, errno.ENODATA)

Whose = Callable[[int], str | None]  # pid -> agent id of the supervised agent it belongs to


def identify(sock: socket.socket, whose: Whose) -> tuple[Peer, str | None]:
    """The peer, and the agent that it is of; SOMEBODYS where it has ended, so that nobody can tell. May raise OSError."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    peer = Peer(uid, gid, pid)
    if pid <= 0:
        return peer, None  # outside of what we can see of the host: no child of our keeper
    handle = _hold(sock, pid)
    if handle < 0:
        return peer, SOMEBODYS
    try:
        agent = whose(pid)
        return peer, agent if _has_its_number(handle) else SOMEBODYS
    finally:
        os.close(handle)


def _hold(sock: socket.socket, pid: int) -> int:
    """A descriptor of the process that connected; before Linux 6.5 of the one that has its number. -1: it is gone."""
    try:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno in _GONE:
            return -1
        if error.errno not in _UNKNOWN:
            raise
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1


def _has_its_number(handle: int) -> bool:
    """Whether it has not been reaped: its number is given to nobody else until then."""
    try:
        signal.pidfd_send_signal(handle, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
