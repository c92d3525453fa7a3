"""An agent's own view of the file system, entered from outside: to renew the credentials that only it sees."""

from __future__ import annotations

import os
import threading
from typing import Any

from maestro.keeper import credentials as inside
from maestro.keeper import kernel

_CLONE_FS = 0x00000200
_CAP_SYS_ADMIN = 21
_IN_MEMORY = ("tmpfs", "ramfs")


def renew(pid: int, credentials: dict[str, Any]) -> None:
    """Give the agent with this pid these credentials. May take long; raises OSError."""
    where = (credentials["path"], credentials["files"], credentials["uid"], credentials["gid"])
    if not credentials["mount"]:
        inside.write(*where)
        return
    failed: list[BaseException] = []

    def work() -> None:
        try:
            _enter(pid)
            inside.renew(*where)
        except BaseException as error:
            failed.append(error)

    # A thread that has entered another view can do nothing else any more: it ends with that.
    thread = threading.Thread(target=work, name="credentials", daemon=True)
    thread.start()
    thread.join()
    for error in failed:
        raise error


def _enter(pid: int) -> None:
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.call("unshare", _CLONE_FS)
        kernel.call("setns", fd, inside.NEWNS)
    finally:
        os.close(fd)


def may_mount() -> bool:
    """Whether processes of ours can be given file systems of their own."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            found = next(line for line in file if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return False
    return bool(int(found.split()[1], 16) >> _CAP_SYS_ADMIN & 1)


def is_in_memory(path: str) -> bool:
    """Whether what is written at a path, which need not exist yet, is on no disk."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    try:
        device = os.stat(path).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split(" - ") for line in file]
    except OSError:
        return False
    here = f"{os.major(device)}:{os.minor(device)}"
    return any(left.split()[2] == here and right.split()[0] in _IN_MEMORY for left, right in lines)
