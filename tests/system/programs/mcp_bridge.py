"""Puts an MCP server that speaks over stdin and stdout behind a Unix socket, so that it can live as an agent.

`mcp_bridge.py SOCKET COMMAND…` starts the server, shakes hands with it as its client, says so in one line of output, and then
answers one connection after the other: a line of JSON in, the server's answer out. It ends when the server ends, with its status.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from typing import Any


def ask(server: subprocess.Popen[bytes], message: dict[str, object]) -> bytes:
    """Send one message; where it is a request, the answer to it. What the server says unasked is left out."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(message).encode() + b"\n")
    server.stdin.flush()
    while "id" in message:
        line = server.stdout.readline()
        if not line:
            end_with(server)
        if json.loads(line).get("id") == message["id"]:
            return line
    return b""


def end_with(server: subprocess.Popen[bytes]) -> None:
    status = server.wait()
    sys.stdout.flush()
    os._exit(status if status >= 0 else 128 - status)


def serve(server: subprocess.Popen[bytes], connection: Any) -> None:
    for line in connection:
        connection.write(ask(server, json.loads(line)))
        connection.flush()


def main(path: str, *command: str) -> None:
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    threading.Thread(target=end_with, args=(server,), daemon=True).start()
    hello = {
        "protocolVersion": "2025-03-26",
        "capabilities": {},
        "clientInfo": {"name": "bridge", "version": "1"},
    }
    answer = json.loads(
        ask(server, {"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": hello})
    )
    ask(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print(
            f"initialized by {answer['result']['serverInfo']['name']}, server is pid {server.pid}", flush=True
        )
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as both:
                serve(server, both)


if __name__ == "__main__":
    main(*sys.argv[1:])
