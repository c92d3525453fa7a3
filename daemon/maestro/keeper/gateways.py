"""Sockets that listen in the networks of agents, and the services that they are handed out to: nobody else gets one.

A service has a socket, and hears on it of each listener on its ports, by its agent and address, with the descriptor
beside it; and when that agent is gone. What it was told is known by name, so nothing has to be kept in a queue: what
it has no room for is told when it has.
"""

from __future__ import annotations

import os
import time
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, socket, socketpair

from maestro.keeper import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.watch import Watch

NAME = "gateways"  # of that socket, in LISTEN_FDNAMES
_TRY_AGAIN = 0.1  # seconds until what failed for want of memory or descriptors is tried again


class Service:
    __slots__ = ("door", "ports", "told")

    def __init__(self, fd: int, ports: tuple[int, ...], told: list[str]) -> None:
        self.door = socket(fileno=fd)
        self.door.setblocking(False)
        self.ports = ports
        self.told = told


class Gateways:
    """Listeners by "AGENT ADDRESS", and services by agent."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.listeners: dict[str, int] = {}
        self._services: dict[str, Service] = {}
        self.due: float | None = None  # monotonic: there was no room that poll would tell of

    # -------------------------------------------------------------------------------------------- listeners

    def take(self, agent: str, gate: int) -> None:
        """Those that a child has handed out, all of them before its exec."""
        door = socket(fileno=gate)
        try:
            while (received := wire.receive(door))[1] >= 0:
                self.listeners[f"{agent} {received[0].decode()}"] = received[1]
        except BlockingIOError:
            pass  # its exec closes one descriptor after the other, and this one is not closed yet
        finally:
            door.close()
        self.tell_all()

    def forget(self, agent: str) -> None:
        """Nothing of it runs: its network goes with the last descriptor of it."""
        self._dismiss(agent)
        gone = [name for name in self.listeners if name.startswith(f"{agent} ")]
        for name in gone:
            os.close(self.listeners.pop(name))
        if gone:
            self.tell_all()

    # -------------------------------------------------------------------------------------------- services

    def serve(self, agent: str, ports: tuple[int, ...], fd: int, told: list[str]) -> None:
        service = Service(fd, ports, told)
        self._services[agent] = service
        self._watch.on(fd, lambda: self._see_to(agent))
        self._tell(agent, service)

    def _see_to(self, agent: str) -> None:
        """There is room again, or it has closed its end; it has nothing to say to us."""
        service = self._services[agent]
        try:
            if not os.read(service.door.fileno(), 4096):
                self._dismiss(agent)
                return
        except BlockingIOError:
            pass
        except ConnectionError:
            self._dismiss(agent)
            return
        self._tell(agent, service)

    def _dismiss(self, agent: str) -> None:
        if (service := self._services.pop(agent, None)) is not None:
            self._watch.off(service.door.fileno())
            service.door.close()

    def tell_all(self) -> None:
        self.due = None
        for agent, service in list(self._services.items()):
            self._tell(agent, service)

    def _tell(self, agent: str, service: Service) -> None:
        try:
            self._tell_news(service)
        except BlockingIOError:
            self._watch.want_room(service.door.fileno(), True)
            return
        except ConnectionError:
            self._dismiss(agent)
            return
        except OSError:
            self.due = time.monotonic() + _TRY_AGAIN
        self._watch.want_room(service.door.fileno(), False)

    def _tell_news(self, service: Service) -> None:
        for name in [name for name in service.told if name not in self.listeners]:
            wire.send(service.door, f"closed {name}\n".encode())
            service.told.remove(name)
        for name, fd in self.listeners.items():
            if name not in service.told and int(name.rpartition(":")[2]) in service.ports:
                wire.send(service.door, f"listen {name}\n".encode(), fd)
                service.told.append(name)

    # -------------------------------------------------------------------------------------------- re-exec

    def descriptors(self) -> list[int]:
        return [*self.listeners.values(), *(one.door.fileno() for one in self._services.values())]

    def state(self) -> dict[str, Any]:
        services = {agent: (one.ports, one.door.fileno(), one.told) for agent, one in self._services.items()}
        return {"listeners": self.listeners, "services": services}

    def restore(self, state: dict[str, Any]) -> None:
        self.listeners = state.get("listeners", {})
        for agent, service in state.get("services", {}).items():
            self.serve(agent, *service)


def door() -> tuple[int, int]:
    """Our end of a service's socket, and its own."""
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
    return ours.detach(), theirs.detach()
