"""The keeper's end of the link: never waits for the manager."""

from __future__ import annotations

import errno
from _socket import AF_UNIX, MSG_DONTWAIT, MSG_PEEK, SOCK_SEQPACKET, socket

from maestro.keeper import wire
from maestro.keeper.say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.keeper.table import Table

_NO_ROOM = (errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS, errno.EMFILE, errno.ENFILE)


class Link:
    """Orders in, news out. News that the manager is too slow for wait here; they die with the manager.

    A descriptor that goes with a message is named, not kept: it is looked up when the message leaves.
    """

    def __init__(self, fd: int, table: Table) -> None:
        self._socket = socket(AF_UNIX, SOCK_SEQPACKET, 0, fileno=fd)
        self._socket.setblocking(False)
        self.fd = fd
        self.queue: list[wire.Message] = []
        self.short_of_room = False  # the last message was refused for a reason that poll does not show
        self._table = table

    def tell(self, *message: object) -> None:
        self.queue.append(message)

    def give_table(self) -> None:
        """Tell a new manager all there is. What was not sent yet is in it."""
        self.queue.clear()
        for e in self._table.entries.values():
            if e.unconfirmed >= 0:
                continue  # nobody knows yet whether it will run: its spawn, ordered again, is answered then
            self.tell("entry", e.agent, e.pid, e.start, e.ended, e.left, e.invocation)
        for name in self._table.streams:
            self.tell("stream", name)
        for name in self._table.held:
            self.tell("held", name)
        self.tell("table_end", self._table.keeper, wire.VERSION)
        for e in self._table.entries.values():
            if e.ready:
                self.tell("ready", e.agent)

    def has_more(self) -> bool:
        """Whether an order waits to be received."""
        try:
            return bool(self._socket.recv(1, MSG_PEEK | MSG_DONTWAIT))
        except OSError:
            return False

    def receive(self) -> tuple[bytes, int, bool]:
        return wire.receive(self._socket)

    def flush(self) -> bool:
        """Send what can be sent; returns whether the link is full."""
        self.short_of_room = False
        sent = 0
        try:
            for message in self.queue:
                self._send(message)
                sent += 1
        except BlockingIOError:
            pass
        except ConnectionError:
            sent = len(self.queue)  # the manager is gone: the next one gets the table
        except OSError as error:
            if error.errno in _NO_ROOM:
                self.short_of_room = True
            else:
                say(f"cannot tell the manager of {self.queue[sent][:2]}: {error}")
                sent += 1
        except wire.TooLong as error:
            say(f"cannot tell the manager of {self.queue[sent][:2]}: {error}")
            sent += 1
        del self.queue[:sent]
        return bool(self.queue) and not self.short_of_room

    def _send(self, message: wire.Message) -> None:
        fd = -1
        if message[0] in ("stream", "held"):
            named = self._table.streams if message[0] == "stream" else self._table.held
            fd = named.get(message[1], -1)
            if fd < 0:
                return  # released in the meantime
        wire.send(self._socket, wire.encode(message), fd)

    def close(self) -> None:
        self._socket.close()
