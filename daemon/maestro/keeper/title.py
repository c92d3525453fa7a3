"""The name that `ps` shows for this process."""

from __future__ import annotations

import ctypes
import os

_PR_SET_NAME = 15
_ARG_START, _ARG_END = 45, 46  # fields 48 and 49 of /proc/self/stat, counted from the one after the name


def set_title(title: str) -> None:
    """Show `title` ("maestrod: keeper") as the command line, and "maestrod-keeper" as the process name.

    The kernel reads a command line from the memory in which it put it at exec: writing there is all it takes.
    Where that is not possible the process merely keeps its old title.
    """
    ctypes.CDLL(None).prctl(_PR_SET_NAME, title.replace(": ", "-").encode()[:15], 0, 0, 0)
    start, end = _argument_area()
    room = end - start
    if start and room > 1:
        ctypes.memmove(start, title.encode()[: room - 1].ljust(room, b"\0"), room)


def _argument_area() -> tuple[int, int]:
    try:
        fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0, 0
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    finally:
        os.close(fd)
    return int(fields[_ARG_START]), int(fields[_ARG_END])
