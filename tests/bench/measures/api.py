"""50 clients that ask for the status of one unit, again and again, each as soon as it has its answer."""

from __future__ import annotations

import select
import socket
import time

from tests.bench.figures import Figure
from tests.bench.life import Life
from tests.bench.measures.measure import Measure, percentile

_CLIENTS = 50


def take(life: Life) -> dict[str, float]:
    from maestro.control import frames
    from maestro.control.bounds import VERSION

    question = {"v": VERSION, "id": "b", "do": "status", "units": [life.names[0]], "detail": False}
    clients = [_Client(str(life.control_socket()), frames.encode(question)) for _ in range(_CLIENTS)]
    by_fd = {client.fileno(): client for client in clients}
    poll = select.epoll()
    for client in clients:
        poll.register(client.fileno(), select.EPOLLIN)
        client.ask()
    deadline = time.monotonic() + life.options.api_seconds
    while time.monotonic() < deadline:
        for fd, _ in poll.poll(1.0):
            by_fd[fd].hear()
    poll.close()
    for client in clients:
        client.close()
    took = [one for client in clients for one in client.took]
    return {"api-rate": len(took) / life.options.api_seconds, "api-p99": percentile(took, 0.99) * 1000}


class _Client:
    """Knows of the protocol where a frame ends, and no more: so that it costs little beside what it measures."""

    def __init__(self, path: str, question: bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._question = question
        self._heard = b""
        self._asked = 0.0
        self.took: list[float] = []
        self.fileno = self._socket.fileno
        self.close = self._socket.close

    def ask(self) -> None:
        self._asked = time.monotonic()
        self._socket.sendall(self._question)

    def hear(self) -> None:
        self._heard += self._socket.recv(1 << 16)
        if len(self._heard) >= 4 and len(self._heard) >= 4 + int.from_bytes(self._heard[:4], "big"):
            self.took.append(time.monotonic() - self._asked)
            self._heard = b""
            self.ask()


MEASURE = Measure(
    name="api",
    take=take,
    figures=(
        Figure("api-rate", f"requests answered to {_CLIENTS} clients", "/s", more_is_better=True),
        Figure("api-p99", f"one request of {_CLIENTS} clients, p99", "ms"),
    ),
)
