"""What a unit's group uses, read again and again: from descriptors that stay open, which costs a tenth of opening the files.

A unit takes up to four. Where all units together would take more than half of what this process may have, the rest are opened for
each reading.
"""

from __future__ import annotations

import os
import resource
from array import array

from maestro.drivers.cgroups.groups import ControlGroups
from maestro.model.unit import Unit

_MOST = 256  # bytes of a file: what is wanted stands in the first line
_MOST_IO = 1 << 16
_PATIENCE = 64  # readings until a file that was not there is looked for again

_ROOM_FOR_ALL_ELSE = 256
_MEMORY, _TASKS, _CPU, _IO = range(4)  # as ControlGroups.gauged has them
_UNTRIED = (-1, -1, -1, -1)


class Gauges:
    """Implements `ports.Gauges`."""

    def __init__(self, groups: ControlGroups, most: int | None = None) -> None:
        self._groups = groups
        self.spare = _share(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if most is None else most

    def gauge(self, unit: Unit) -> Gauge | None:
        return Gauge(self, unit) if any(self._groups.gauged(unit)) else None

    def path(self, unit: Unit, what: int) -> str:
        """Of one of its files; empty where there is none."""
        return self._groups.gauged(unit)[what]


class Gauge:
    """The files of one unit's group. -1 stands for what this kernel does not say."""

    __slots__ = ("_gauges", "_states", "_unit")

    def __init__(self, gauges: Gauges, unit: Unit) -> None:
        self._gauges = gauges
        self._unit = unit
        self._states = array(
            "i", _UNTRIED
        )  # of each file: its descriptor, or -1, or -1 and less for one that was not there

    def cpu(self) -> int:
        """Microseconds used since the group was made. Its file begins with `usage_usec 1234`."""
        data = self._read(_CPU, _MOST)
        return int(data[11 : data.index(b"\n")]) if data.startswith(b"usage_usec ") else -1

    def memory(self) -> int:
        return _number(self._read(_MEMORY, _MOST))

    def tasks(self) -> int:
        return _number(self._read(_TASKS, _MOST))

    def moved(self) -> tuple[int, int]:
        """Bytes read from devices, and written."""
        data = self._read(_IO, _MOST_IO)
        if not data:
            return -1, -1
        read = written = 0
        for word in data.split():
            if word.startswith(b"rbytes="):
                read += int(word[7:])
            elif word.startswith(b"wbytes="):
                written += int(word[7:])
        return read, written

    def _read(self, what: int, most: int) -> bytes:
        fd = self._states[what]
        if fd >= 0:
            try:
                return os.pread(fd, most, 0)
            except OSError:  # its group was removed, and perhaps made anew
                self._close(what)
        return self._open(what, most)

    def _open(self, what: int, most: int) -> bytes:
        if self._states[what] < -1:  # it was not there, and is taken for absent that many times more
            self._states[what] += 1
            return b""
        try:
            fd = os.open(self._gauges.path(self._unit, what), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._states[what] = -1 - _PATIENCE
            return b""
        keep = self._gauges.spare > 0
        try:
            data = os.pread(fd, most, 0)
        except OSError:
            data, keep = b"", False
        if keep:
            self._states[what] = fd
            self._gauges.spare -= 1
        else:
            os.close(fd)
        return data

    def _close(self, what: int) -> None:
        os.close(self._states[what])
        self._states[what] = -1
        self._gauges.spare += 1

    def close(self) -> None:
        for what, state in enumerate(self._states):
            if state >= 0:
                self._close(what)


def _number(data: bytes) -> int:
    try:
        return int(data)
    except ValueError:
        return -1


def _share(limit: int) -> int:
    """How many descriptors may stay open: streams and clients come first, and where there are few, all are theirs."""
    return max(0, limit // 4 - _ROOM_FOR_ALL_ELSE)
