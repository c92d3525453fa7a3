"""What a unit's group uses, read again and again: from descriptors that stay open, which costs a tenth of opening the files.

A unit takes up to four. Where all units together would take more than half of what this process may have, the rest are opened for
each reading.
"""

from __future__ import annotations

import os
import resource

from maestro.drivers.cgroups.groups import ControlGroups
from maestro.model.unit import Unit

_MOST = 256  # bytes of a file: what is wanted stands in the first line
_MOST_IO = 1 << 16
_PATIENCE = 64  # readings until a file that was not there is looked for again

_ROOM_FOR_ALL_ELSE = 256


class Gauges:
    """Implements `ports.Gauges`."""

    def __init__(self, groups: ControlGroups, most: int | None = None) -> None:
        self._groups = groups
        self.spare = _share(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if most is None else most

    def gauge(self, unit: Unit) -> Gauge | None:
        files = self._groups.gauged(unit)
        return Gauge(self, files) if files else None


class Gauge:
    """The files of one unit's group. -1 stands for what this kernel does not say."""

    __slots__ = ("_absent", "_fds", "_files", "_gauges")

    def __init__(self, gauges: Gauges, files: dict[str, str]) -> None:
        self._gauges = gauges
        self._files = files  # what -> path
        self._fds: dict[str, int] = {}
        self._absent: dict[str, int] = {}  # what -> readings for which it is taken for absent

    def cpu(self) -> int:
        """Microseconds used since the group was made. Its file begins with `usage_usec 1234`."""
        data = self._read("cpu", _MOST)
        return int(data[11 : data.index(b"\n")]) if data.startswith(b"usage_usec ") else -1

    def memory(self) -> int:
        return _number(self._read("memory", _MOST))

    def tasks(self) -> int:
        return _number(self._read("tasks", _MOST))

    def moved(self) -> tuple[int, int]:
        """Bytes read from devices, and written."""
        data = self._read("io", _MOST_IO)
        if not data:
            return -1, -1
        read = written = 0
        for word in data.split():
            if word.startswith(b"rbytes="):
                read += int(word[7:])
            elif word.startswith(b"wbytes="):
                written += int(word[7:])
        return read, written

    def _read(self, what: str, most: int) -> bytes:
        fd = self._fds.get(what, -1)
        if fd >= 0:
            try:
                return os.pread(fd, most, 0)
            except OSError:  # its group was removed, and perhaps made anew
                self._close(what)
        return self._open(what, most)

    def _open(self, what: str, most: int) -> bytes:
        absent = self._absent.get(what, 0)
        if absent:
            self._absent[what] = absent - 1
            return b""
        try:
            fd = os.open(self._files[what], os.O_RDONLY | os.O_CLOEXEC)
        except (KeyError, OSError):
            self._absent[what] = _PATIENCE
            return b""
        keep = self._gauges.spare > 0
        try:
            data = os.pread(fd, most, 0)
        except OSError:
            data, keep = b"", False
        if keep:
            self._fds[what] = fd
            self._gauges.spare -= 1
        else:
            os.close(fd)
        return data

    def _close(self, what: str) -> None:
        os.close(self._fds.pop(what))
        self._gauges.spare += 1

    def close(self) -> None:
        for what in list(self._fds):
            self._close(what)


def _number(data: bytes) -> int:
    try:
        return int(data)
    except ValueError:
        return -1


def _share(limit: int) -> int:
    """How many descriptors may stay open: streams and clients come first, and where there are few, all are theirs."""
    return max(0, limit // 4 - _ROOM_FOR_ALL_ELSE)
