"""Whether anybody but us has a say in how long an exec takes.

Who owns a file may hold a lease on it, and then whoever opens it waits, for 45 s; who owns a directory may put a link there into a
file system that only answers when it likes. A keeper that shares its memory with a child until the exec would wait with it.
"""

from __future__ import annotations

import os
import stat

_MOST_LINKS = 40  # as the kernel's own bound
_MOST_INTERPRETERS = 5
_HEAD = 256  # bytes of a script in which the kernel looks for its interpreter


def is_ours(path: str) -> bool:
    """Whether the program, its interpreter, and all on the way to them are root's or our own user's, and nobody else may write them."""
    for _ in range(_MOST_INTERPRETERS):
        try:
            path = interpreter(_resolved(path))
        except (OSError, ValueError):
            return False
        if not path:
            return True
    return False


def _resolved(path: str) -> str:
    """The file that a path leads to. Raises OSError where somebody else has a say in that."""
    todo, at, links = path.split("/")[::-1], "", 0
    if not path.startswith("/"):
        raise OSError(f"{path} depends on where one is")
    _look("/")
    while todo:
        name = todo.pop()
        if name == "..":
            at = at.rpartition("/")[0]
        if name in ("", ".", ".."):
            continue
        found = _look(f"{at}/{name}")
        if not stat.S_ISLNK(found.st_mode):
            at = f"{at}/{name}"
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(f"{path} has too many links")
        target = os.readlink(f"{at}/{name}")
        todo += target.split("/")[::-1]
        at = "" if target.startswith("/") else at
    return at


def _look(path: str) -> os.stat_result:
    found = os.lstat(path)
    if path == "/proc":
        raise OSError("its links lead into what others have mounted")
    if found.st_uid not in (0, os.geteuid()):
        raise OSError(f"{path} is somebody else's")
    if not stat.S_ISLNK(found.st_mode):
        others = stat.S_IWOTH if found.st_gid in (0, os.getegid()) else stat.S_IWOTH | stat.S_IWGRP
        if found.st_mode & others and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
            raise OSError(f"{path} can be written by others")
    return found


def interpreter(path: str) -> str:
    """What the kernel executes in the stead of a script; empty where it is none. Raises OSError, ValueError.

    Only a regular file is opened, and nobody is waited for: who owns a pipe or a lease could hold up whoever opens it.
    """
    what = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(what).st_mode):
            raise OSError(f"{path} is no file")
        fd = os.open(f"/proc/self/fd/{what}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            head = os.read(fd, _HEAD)
        finally:
            os.close(fd)
    finally:
        os.close(what)
    if not head.startswith(b"#!"):
        return ""
    words = head[2:].partition(b"\n")[0].split(None, 1)
    if not words:
        raise ValueError(f"{path} names no interpreter")
    return os.fsdecode(words[0])
