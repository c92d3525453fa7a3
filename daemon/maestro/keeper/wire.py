"""The messages between keeper and manager: one table for each direction, and how a message crosses the link.

The link is a SOCK_SEQPACKET socket pair, so a message arrives whole or not at all. A message is a tuple
`(kind, field, ...)` in marshal's encoding behind a mark and its length, with at most one descriptor beside it.
marshal is no format to take from a stranger; here both ends are the same program, one the child of the other.
"""

from __future__ import annotations

import marshal
import os
import sys
from _socket import MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any

    Message = tuple[Any, ...]

VERSION = 7
PINGS_SINCE = 2  # an older manager does not know what a ping is, and is not blamed for it
LINK_VARIABLE = "MAESTRO_KEEPER_FD"  # tells the manager which of its descriptors is the link
EXIT_RESTART = 75  # a manager that ends with this is started again at once: it has been upgraded

# A socket's send buffer is 208 KiB unless the administrator raised it; a longer message could never be sent.
LIMIT = 180 * 1024

_MARK = b"mstr"
_OR_NONE = type(None)

# kind -> (field, type). Every order may be repeated: it carries the agent id.
ORDERS: dict[str, tuple[tuple[str, Any], ...]] = {
    "hello": (("version", int),),  # first word of every manager; answered by the table
    "spawn": (("agent", str), ("recipe", dict)),  # -> spawned | cannot_spawn; a known id is answered again
    # tree: every process of the agent, main first; order: counts up, one that was carried out is dropped; 0: never
    "send": (("agent", str), ("signal", int), ("tree", bool), ("order", int)),
    "freeze": (("agent", str), ("still", bool)),  # every process of the agent stands still, or goes on
    # -> spawned | ended; cgroup: the directory of its control group, empty where it has none
    "adopt": (("agent", str), ("pid", int), ("start", int), ("invocation", str), ("cgroup", str)),
    "follow": (
        ("agent", str),
        ("pid", int),
    ),  # its main process from now on, 0: the only one that is left -> spawned | ended, as things are
    "acknowledge": (("agent", str),),  # the exit record is in the store: forget it
    "hold": (("name", str),),  # + descriptor; replaces the one of that name
    "release_stream": (("name", str),),
    # + descriptor; given to the unit's next process; polled: closed when its other end is; most: of this unit
    "store": (("unit", str), ("name", str), ("polled", bool), ("most", int)),
    "unstore": (("unit", str), ("name", str)),
    "drop_store": (("unit", str),),
    "pong": (),  # the answer to a ping, from the loop that does all the work
    "reexec": (),
    "retire": (),  # end with me, start no further manager
}

NEWS: dict[str, tuple[tuple[str, Any], ...]] = {
    # the table, after hello
    "entry": (
        ("agent", str),
        ("pid", int),
        ("start", int),
        ("ended", (tuple, _OR_NONE)),  # (code, signal, cpu, max_rss, at), or None while it runs
        ("left", tuple),  # "PID (name)" of what of its tree still runs, once it ended
        ("invocation", str),
    ),
    "stream": (("name", str),),  # + descriptor; also whenever a new stream is made
    "held": (("name", str),),  # + descriptor
    "table_end": (("keeper", str), ("version", int)),
    # what happens afterwards
    "spawned": (("agent", str), ("pid", int), ("start", int)),
    "cannot_spawn": (("agent", str), ("stage", str), ("errno", int)),
    "ended": (
        ("agent", str),
        ("code", (int, _OR_NONE)),
        ("signal", (int, _OR_NONE)),
        ("cpu", float),  # seconds
        ("max_rss", int),  # bytes
        ("at", float),  # CLOCK_MONOTONIC
        ("left", tuple),
    ),
    "emptied": (("agent", str),),  # the last of what was left is gone
    "ready": (("agent", str),),  # it said so on its descriptor; told again to each new manager
    "ping": (),  # now and then -> pong
    "told": (("what", str),),  # "terminate", "reload" or "reexec", by a signal
}


class TooLong(ValueError):
    """The message does not fit the link."""


class Malformed(ValueError):
    """The bytes are not a message of the table: a fault of the other end."""


def encode(message: Message) -> bytes:
    body = marshal.dumps(message)
    data = _MARK + len(body).to_bytes(4, "big") + body
    if len(data) > LIMIT:
        raise TooLong(
            f"a message of {len(data) // 1024} KiB is too long for the keeper's link ({LIMIT // 1024} KiB)"
        )
    return data


def decode(data: bytes, table: dict[str, tuple[tuple[str, Any], ...]]) -> Message:
    # Not for marshal to find out: of garbage it makes code objects and lists of a thousand million.
    if data[:4] != _MARK or int.from_bytes(data[4:8], "big") != len(data) - 8:
        raise Malformed("no message, or a part of one")
    try:
        message = marshal.loads(data[8:])
    except (ValueError, EOFError, TypeError, MemoryError, OverflowError) as error:
        raise Malformed(str(error)) from None
    _check(message, table)
    return message  # type: ignore[no-any-return]


def _check(message: object, table: dict[str, tuple[tuple[str, Any], ...]]) -> None:
    if not isinstance(message, tuple) or not message or not isinstance(message[0], str):
        raise Malformed("no kind")
    fields = table.get(message[0])
    if fields is None:
        raise Malformed(f"no such message: {message[0]}")
    if len(fields) != len(message) - 1:
        raise Malformed(f"{message[0]}: {len(fields)} fields expected, {len(message) - 1} found")
    for (name, kind), value in zip(fields, message[1:], strict=True):
        if not isinstance(value, kind):
            raise Malformed(f"{message[0]}: {name} is a {type(value).__name__}")


def send(link: socket, data: bytes, fd: int = -1) -> None:
    """Send one message; raises BlockingIOError where the other end is behind."""
    beside = [(SOL_SOCKET, SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))] if fd >= 0 else []
    link.sendmsg([data], beside, MSG_NOSIGNAL)


_ROOM_BESIDE = 64  # bytes for one descriptor's control message, and some more so that a surplus one is seen


def receive(link: socket) -> tuple[bytes, int, bool]:
    """(message, descriptor or -1, whether one was lost for want of room). Empty message: link closed."""
    data, beside, flags, _ = link.recvmsg(LIMIT + 1, _ROOM_BESIDE, MSG_CMSG_CLOEXEC)
    fds = [
        fd for level, kind, raw in beside if (level, kind) == (SOL_SOCKET, SCM_RIGHTS) for fd in _numbers(raw)
    ]
    for surplus in fds[1:]:
        os.close(surplus)
    return data, fds[0] if fds else -1, bool(flags & MSG_CTRUNC)


def _numbers(raw: bytes) -> list[int]:
    whole = len(raw) - len(raw) % 4
    return memoryview(raw)[:whole].cast("i").tolist()
