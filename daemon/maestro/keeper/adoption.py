"""Finding again what another keeper started: its processes, and the pipes that they write to."""

from __future__ import annotations

import errno
import os
import stat

from maestro.keeper.table import open_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.keeper.proc import Proc


def open_process(proc: Proc, pid: int, start: int) -> int:
    """A pidfd of process `pid` if that is the one that started at `start`, and still lives; otherwise -1."""
    try:
        fd = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL):
            return -1
        raise
    process = proc.look(pid)
    if process is not None and process.start == start and process.lives:
        return fd
    os.close(fd)
    return -1


def open_stream(pid: int) -> int:
    """The pipe that process `pid` has as its output, opened anew; -1 where it has none of ours.

    Ours are open for reading and writing, which no shell's pipe is: so an agent that has redirected its
    output is not taken for one that has not.
    """
    for number in (1, 2):
        path = f"/proc/{pid}/fd/{number}"
        try:
            if stat.S_ISFIFO(os.stat(path).st_mode) and _is_read_write(pid, number):
                return open_again(path)
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return -1


def _is_read_write(pid: int, number: int) -> bool:
    with open(f"/proc/{pid}/fdinfo/{number}", "rb") as info:
        for line in info:
            if line.startswith(b"flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE == os.O_RDWR
    return False
