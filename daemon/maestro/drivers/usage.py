"""What a process has used, as /proc says it: for hosts where no group of processes can be asked."""

from __future__ import annotations

import os

from maestro.ports import Usage

_TICK = os.sysconf("SC_CLK_TCK")


def of_process(pid: int) -> Usage | None:
    """Of a process and those of its children that have ended and were waited for, as its end will say; None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Usage(cpu=sum(map(int, fields[11:15])) / _TICK, written=_written(pid))


def _written(pid: int) -> int | None:
    """Of the process alone, for another user's only where we may look."""
    try:
        with open(f"/proc/{pid}/io", "rb") as file:
            lines = dict(line.split(b": ") for line in file.read().splitlines())
    except OSError:
        return None
    return int(lines[b"write_bytes"])
