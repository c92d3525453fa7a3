"""The control socket's server: accepts, knows each peer by its credentials, and bounds how many there are.

The listening socket belongs to the keeper: it is never unlinked here, so clients that connect while there
is no manager wait in its queue.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from functools import cache

from maestro.control.connection import Connection, Counters, House, Limits
from maestro.control.frames import encode
from maestro.control.peer import Whose as Whose
from maestro.control.peer import identify
from maestro.control.protocol import Request
from maestro.control.roles import Accounts, Caller, HostAccounts, Peer, Role, role_of
from maestro.control.routes import Route, permit
from maestro.control.service import Service
from maestro.keeper.spare import Spare
from maestro.manager.tasks import spawn

_log = logging.getLogger("maestro")
_AT_ONCE = 64  # connections accepted before others get their turn
# Seconds without accepting when descriptors ran out: the queue stays readable, so trying on would spin.
_PAUSE = 1.0

Owned = Callable[[Peer, Accounts], tuple[str, ...]]  # the slices that are a peer's


class ControlServer:
    """Serves a listening socket until `close`."""

    def __init__(
        self,
        service: Service,
        whose: Whose,
        sock: socket.socket,
        *,
        accounts: Accounts | None = None,
        limits: Limits | None = None,
        owned: Owned = lambda peer, accounts: (),
    ) -> None:
        self.counters = Counters()
        self._whose = whose
        self._owned = owned
        self._sock = sock
        self._accounts = accounts or HostAccounts()
        self._limits = limits or Limits()
        self._house = House(service, self._permit, self._limits, self.counters)
        self._own_uid = os.geteuid()
        self._open: set[Connection] = set()
        self._owners: Counter[str] = Counter()
        self._resume: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        return len(self._open)

    # --------------------------------------------------------------------------------- life

    def serve(self) -> None:
        """Begin to accept. Must be called inside the running loop."""
        self._sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def move(self, sock: socket.socket) -> None:
        """Go on at another socket. Who waits at the old one is let in still; connections stay."""
        self._accept()
        self._stop_accepting()
        self._sock.close()
        self._sock = sock
        self.serve()

    def close(self) -> None:
        """Accept no more, and hang up on everyone. Clients connect again, to the next manager."""
        self._stop_accepting()
        for connection in tuple(self._open):
            connection.hang_up()

    def _stop_accepting(self) -> None:
        self._pause()
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None

    def _pause(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock.fileno())

    def _go_on(self) -> None:
        self._resume = None
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    # --------------------------------------------------------------------------------- accepting

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(error)
                return
            self._admit(sock)

    def _cannot_accept(self, error: OSError) -> None:
        _log.warning("cannot accept a client: %s; clients wait for %g s", error.strerror, _PAUSE)
        self._pause()
        self._resume = asyncio.get_running_loop().call_later(_PAUSE, self._go_on)

    def _admit(self, sock: socket.socket) -> None:
        """Make a connection of it, or refuse it."""
        sock.setblocking(False)
        try:
            caller = self._who(sock)
        except OSError:
            sock.close()  # gone already
            return
        complaint = self._too_many(caller)
        if complaint:
            self._turn_away(sock, complaint)
            return
        self._owners[_owner(caller)] += 1
        connection = Connection(caller, self._house, self._gone)
        self._open.add(connection)
        spawn(self._connect(connection, sock), name=f"control: connect uid {caller.uid}")

    def _who(self, sock: socket.socket) -> Caller:
        # To hold the peer takes a descriptor; without one it would be sent away as one that has gone.
        peer, agent = _spare().see_to(lambda: identify(sock, self._whose))
        owns = self._owned(peer, self._accounts) if agent is None else ()
        role = role_of(peer, agent, self._own_uid, self._accounts, owns)
        return Caller(uid=peer.uid, gid=peer.gid, pid=peer.pid, role=role, agent=agent or "", owns=owns)

    def _too_many(self, caller: Caller) -> str:
        most, most_of_one = self._limits.connections, self._limits.connections_of_one
        if len(self._open) >= most:
            return f"{most} clients are connected, which is the most; try again later"
        if caller.role is not Role.ADMIN and self._owners[_owner(caller)] >= most_of_one:
            return f"{_owner(caller)} has {most_of_one} connections, which is the most; close some"
        return ""

    def _turn_away(self, sock: socket.socket, complaint: str) -> None:
        self.counters.refused += 1
        error = {"code": "busy", "message": complaint, "hint": ""}
        try:
            sock.send(encode({"id": "", "error": error}))
        except OSError:
            pass  # gone already
        finally:
            sock.close()

    async def _connect(self, connection: Connection, sock: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock)
        except BaseException:
            sock.close()
            self._gone(connection)
            raise

    def _gone(self, connection: Connection) -> None:
        if connection not in self._open:
            return
        self._open.remove(connection)
        owner = _owner(connection.caller)
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]

    def _permit(self, route: Route, request: Request, caller: Caller) -> None:
        permit(route, request, caller, self._own_uid, self._accounts)


def _owner(caller: Caller) -> str:
    """Whose connections are counted together."""
    return f"agent {caller.agent}" if caller.agent else f"uid {caller.uid}"


@cache
def _spare() -> Spare:
    """One for the process, however many servers there are."""
    return Spare(2)
