"""A gateway: tells everybody who connects which agent that is, by nothing but the socket that was connected to."""

from __future__ import annotations

import os
import selectors
import socket


def main() -> None:
    names = os.environ["LISTEN_FDNAMES"].split(":")
    assert int(os.environ["LISTEN_PID"]) == os.getpid()
    news = socket.socket(fileno=3 + names.index("gateways"))
    waiting = selectors.DefaultSelector()
    waiting.register(news, selectors.EVENT_READ, None)
    doors: dict[str, socket.socket] = {}
    while True:
        for key, _ in waiting.select():
            if key.data is not None:
                answer(key.data, doors[key.data])
                continue
            text, fds, _, _ = socket.recv_fds(news, 4096, 1)
            verb, _, name = text.decode().rstrip("\n").partition(" ")
            if verb == "listen":
                doors[name] = socket.socket(fileno=fds[0])
                waiting.register(doors[name], selectors.EVENT_READ, name)
            elif verb == "closed":
                waiting.unregister(doors[name])
                doors.pop(name).close()
            elif not text:  # the keeper is gone: what is there still serves
                waiting.unregister(news)
            print(verb, name, flush=True)


def answer(name: str, door: socket.socket) -> None:
    client, _ = door.accept()
    with client:
        client.sendall(f"{os.getpid()} {name}".encode())


if __name__ == "__main__":
    main()
