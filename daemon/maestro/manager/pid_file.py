"""The pid file of an agent that forks: read until it names one of the agent's processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2)  # seconds between two looks; the last is repeated
_LONGEST = 32  # bytes of a number and what stands around it


def seek(path: str, take: Callable[[int], bool], looks: int = 0) -> None:
    """Look again and again, until `take` is content: many a program writes it a moment after its first process has ended.

    `take` is asked with 0 where there is no pid yet, so that it can say that nobody needs it any more.
    """
    if not take(read(path)):
        pause = _PAUSES[min(looks, len(_PAUSES) - 1)]
        asyncio.get_running_loop().call_later(pause, seek, path, take, looks + 1)


def read(path: str) -> int:
    """The pid that a file names; 0 for none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return 0
    with os.fdopen(fd, "rb") as file:
        try:
            text = file.read(_LONGEST).strip()
        except OSError:
            return 0
    return int(text) if text.isdigit() and len(text) < 10 else 0
