"""Namespaces of its own for a child: which views of the host it does not share with us."""

from __future__ import annotations

import _socket
import os
import sys
from fcntl import ioctl

from maestro.keeper import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEWUSER = 0x10000000
SET_FLAGS = 0x8914  # SIOCSIFFLAGS
_BACKLOG = 128
_UP_AND_RUNNING = 0x41
PROBE = (_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
LOOPBACK_UP = (b"lo".ljust(16, b"\0") + _UP_AND_RUNNING.to_bytes(2, sys.byteorder)).ljust(
    40, b"\0"
)  # struct ifreq
_PR_SET_DUMPABLE = 4
ACCOUNTS = (
    "/proc/sys/user"  # what the kernel counts for each user, each namespace of users and those above it
)
_SHARE = 4  # a fourth of what its user may have
_UNLIMITED = 0x7FFFFFFF  # to a namespace, which is held to what those above it may have
_SHARES = {  # where that is not known
    "max_inotify_instances": 32,
    "max_inotify_watches": 16384,
    "max_fanotify_groups": 32,
    "max_fanotify_marks": 16384,
}


def enter(wanted: dict[str, Any]) -> None:
    """Make what was not made at birth, and see to what has to be done inside."""
    if flags := wanted.get("unshare", 0):
        kernel.unshare(flags)
    if wanted.get("loopback"):
        raise_loopback()


def listen(addresses: tuple[tuple[str, int], ...], gate: int) -> None:
    """Sockets that listen in our network, handed out through `gate`: whoever serves them knows who connects."""
    out = _socket.socket(fileno=gate)
    for host, port in addresses:
        family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
        listener = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        number = listener.fileno().to_bytes(4, sys.byteorder)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        out.sendmsg([address.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, number)])
        listener.close()
    out.close()


def be_alone(accounts: int) -> None:
    """A user namespace whose only user is the one that we have become: it counts to that user what is made in it."""
    uid, gid = os.geteuid(), os.getegid()  # inside, until it is mapped, we are nobody
    has = shares(accounts)
    kernel.prctl(_PR_SET_DUMPABLE, 1)  # the change of users took our own /proc/self from us
    kernel.unshare(NEWUSER)
    map_ids(uid, gid)
    _hold_to(accounts, has)


def open_accounts() -> int:
    """Before /proc is hidden or protected: what is looked up in it shows the namespace that we are in then. -1: none."""
    try:
        return os.open(ACCOUNTS, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1


def take_a_share(accounts: int) -> None:
    """In a namespace that we were born in, which says nothing of what its user may have."""
    _hold_to(accounts, _SHARES)


def shares(accounts: int) -> dict[str, int]:
    """What one agent may have of what its user may: inotify's instances, say, which are 128 for all processes of a user."""
    found = {}
    for name in _SHARES:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=accounts)
        except OSError:
            continue  # this kernel counts none
        try:
            most = int(os.read(fd, 32))
        finally:
            os.close(fd)
        found[name] = max(1, most // _SHARE) if most < _UNLIMITED else _SHARES[name]
    return found


def _hold_to(accounts: int, has: dict[str, int]) -> None:
    for name, most in has.items():
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=accounts)
        except OSError:
            continue  # read-only, as in most containers: its user's limit is all there is
        try:
            os.write(fd, b"%d" % most)
        finally:
            os.close(fd)


def map_ids(uid: int, gid: int) -> None:
    """One user and one group, by the numbers they have outside."""
    for name, text in maps(uid, gid):
        fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text)
        finally:
            os.close(fd)


def maps(uid: int, gid: int) -> tuple[tuple[str, bytes], ...]:
    """Files of /proc/self, and what is written to them."""
    return ("setgroups", b"deny"), ("uid_map", b"%d %d 1" % (uid, uid)), ("gid_map", b"%d %d 1" % (gid, gid))


def raise_loopback() -> None:
    """A new network has a loopback, and it is down."""
    probe = _socket.socket(*PROBE)
    try:
        ioctl(probe.fileno(), SET_FLAGS, LOOPBACK_UP)
    finally:
        probe.close()
