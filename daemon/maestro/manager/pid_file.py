"""The pid file of an agent that forks: read until it names one of the agent's processes, removed when that has ended."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable

from maestro.engine.words import several

_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2)  # seconds between two looks; the last is repeated
_LONGEST = 32  # bytes of a number and what stands around it


def seek(path: str, take: Callable[[int, str], bool], looks: int = 0) -> None:
    """Look again and again, until `take` is content: many a program writes it a moment after its first process has ended.

    `take` is asked with 0 where there is no pid yet, so that it can say that nobody needs it any more; and, after the
    first few looks, with what is wrong if the pid is not one of the agent's.
    """
    pid, fault = read(path)
    last = len(_PAUSES) - 1
    if not take(pid, fault if looks >= last else ""):
        pause = _PAUSES[min(looks, last)]
        asyncio.get_running_loop().call_later(pause, seek, path, take, looks + 1)


def read(path: str) -> tuple[int, str]:
    """The pid that a file names, 0 for none; and what is wrong, unless that process is the agent's."""
    try:
        text, _ = _content(path, 0)
    except OSError as error:
        return 0, f"{path} cannot be read: {(error.strerror or str(error)).lower()}"
    pid = _pid(text)
    if not pid:
        return 0, f"{path} {'holds no pid' if text else 'is empty'}"
    name = _name(pid)
    if name is None:
        return 0, f"{path} names {pid}, and no such process runs"
    return pid, f"{path} names {pid} ({name}), which is none of its processes"


def cannot_guess(left: tuple[str, ...]) -> str:
    """Why it is not known which process goes on, where no pid file says it."""
    if not left:
        return "its first process left none that is known: write pid_file"
    if len(left) == 1:
        return f"its first process left {left[0]}, which has ended, too"
    which = "either" if len(left) == 2 else "any of them"
    return f"its first process left {several(left)}, and {which} may be the main one: write pid_file"


def remove(path: str) -> None:
    """Remove a file that names a process which has ended. Anything else at that path is another's, and stays."""
    try:
        text, is_file = _content(path, os.O_NOFOLLOW)
        if is_file and (pid := _pid(text)) and _name(pid) is None:
            os.unlink(path)
    except OSError:
        pass  # it does no harm: who looks for a process does not take one that has ended


def _content(path: str, flags: int) -> tuple[bytes, bool]:
    """What stands in it, and whether it is a regular file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        return os.read(fd, _LONGEST).strip(), stat.S_ISREG(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _pid(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) < 10 else 0


def _name(pid: int) -> str | None:
    """The name of a process; None where there is none."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            name = file.read().decode(errors="replace").strip()
    except OSError:
        return None
    return "".join(letter for letter in name if letter.isprintable())
