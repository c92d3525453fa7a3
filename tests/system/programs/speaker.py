"""For agents written in a few lines of Python: what they need to speak sd_notify. Used as `from speaker import *`."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from typing import Any

__all__ = ["forever", "linger", "on", "os", "say", "signal", "socket", "sys", "time"]


def say(text: str) -> None:
    """One datagram to the notify socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


def on(name: str, act: Any) -> None:
    """Act on a signal."""
    signal.signal(getattr(signal, f"SIG{name}"), lambda number, frame: act())


def linger(seconds: float) -> None:
    """Stay for that long."""
    time.sleep(seconds)  # noqa: TID251 (an agent may sleep)


def forever() -> None:
    while True:
        signal.pause()
