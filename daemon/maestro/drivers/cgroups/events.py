"""The kernel's word that a control group has changed: that memory ran out in it, that all of it stands still.

Nothing is polled. cgroup v2 tells by inotify of its `.events` files: one descriptor for all of them. v1 signals an eventfd:
one for all groups, so that a thousand units cost one descriptor, and whose memory ran out say the groups' counters.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import struct
from collections.abc import Callable
from functools import partial

from maestro.drivers.cgroups.groups import ControlGroups
from maestro.keeper import cgroup
from maestro.model.unit import Unit

_IN_MODIFY = 0x2
_IN_IGNORED = 0x8000
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name behind it
_MOST_READ = 1 << 16  # bytes of inotify's events at a time
_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)


class Changes:
    """Calls when one of the watched files has changed, by inotify."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = -1
        self._calls: dict[int, Callable[[], None]] = {}
        self._numbers: dict[str, int] = {}

    def watch(self, path: str, call: Callable[[], None]) -> bool:
        """Again after a file was made anew; False where that cannot be."""
        if self._fd < 0:
            self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if self._fd < 0:
                _log.warning("no word of control groups: %s", os.strerror(ctypes.get_errno()))
                return False
            self._loop.add_reader(self._fd, self._read)
        number = _libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_MODIFY)
        if number < 0:
            _log.warning("cannot watch %s: %s", path, os.strerror(ctypes.get_errno()))
            return False
        self._calls[number], self._numbers[path] = call, number
        return True

    def leave(self, path: str) -> None:
        number = self._numbers.pop(path, -1)
        if self._calls.pop(number, None) is not None:
            _libc.inotify_rm_watch(self._fd, number)

    def _read(self) -> None:
        called: dict[int, None] = {}
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._fd, _MOST_READ)
            place = 0
            while place < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, place)
                place += _HEAD.size + length
                if mask & _IN_IGNORED:  # its group is gone
                    self._calls.pop(number, None)
                else:
                    called[number] = None
        for number in called:
            self._calls.get(number, _nothing)()

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class MemoryAlarm:
    """Implements `ports.Alarm`: rings with the units whose counters are to be looked at."""

    def __init__(self, groups: ControlGroups, changes: Changes, loop: asyncio.AbstractEventLoop) -> None:
        self._groups, self._changes, self._loop = groups, changes, loop
        self._ring: Callable[[tuple[str, ...]], None] = lambda names: None
        self._fd = -1  # v1's eventfd
        self._units: dict[str, Unit] = {}  # those whose kills are counted, or will be
        # Those that ring: the number of the file by which they do, for another may be at its path by now; and v2's path.
        self._watched: dict[str, tuple[int, str]] = {}

    def begin(self, ring: Callable[[tuple[str, ...]], None]) -> None:
        self._ring = ring

    def expect(self, unit: Unit) -> bool:
        """Its group may not be there yet; whether kills are counted."""
        if not self._file(unit):
            return False
        self._units[unit.name] = unit
        return True

    def watches(self, name: str) -> bool:
        """Whether it is the group that is there, and not one before it that somebody removed."""
        number, _ = self._watched.get(name, (0, ""))
        unit = self._units.get(name)
        return bool(number) and unit is not None and _number(self._file(unit)) == number

    def watch(self, unit: Unit) -> bool:
        """Have it ring for a group that is there; False where that is so already, or cannot be."""
        name = unit.name
        if name not in self._units or self.watches(name):
            return False
        path = self._file(self._units[name])
        number, is_v2 = _number(path), self._groups.kind == "v2"
        rings = bool(number) and (self._rings_at(path, name) if is_v2 else self._register(path))
        if rings:
            self._watched[name] = number, path if is_v2 else ""
        return rings

    def _rings_at(self, path: str, name: str) -> bool:
        return self._changes.watch(path, partial(self._ring_for, name))

    def kills(self, name: str) -> int | None:
        """Of a group's counter, by as little as can be: it is read at each bad end, before another begins. None: not to be read."""
        unit = self._units.get(name)
        path = self._file(unit) if unit is not None else ""
        _, there, count = cgroup.read(path).partition(b"oom_kill ")
        return int(count.split(None, 1)[0]) if there else None

    def leave(self, name: str) -> None:
        """v1 forgets of itself when the group is removed."""
        self._units.pop(name, None)
        self._changes.leave(self._watched.pop(name, (0, ""))[1])

    def _file(self, unit: Unit) -> str:
        return self._groups.file_of(unit, "memory", "memory.events", "memory.oom_control")

    def _ring_for(self, name: str) -> None:
        self._ring((name,))

    def _register(self, path: str) -> bool:
        if self._fd < 0:
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._loop.add_reader(self._fd, self._signalled)
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                control = os.open(f"{os.path.dirname(path)}/cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(control, f"{self._fd} {file}".encode())
                finally:
                    os.close(control)
            finally:
                os.close(file)
        except OSError as error:
            _log.warning("%s: no word of it when memory runs out: %s", path, error.strerror)
            return False
        return True

    def _signalled(self) -> None:
        """In some group memory ran out, or one was removed."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)
        if self._watched:
            self._ring(tuple(self._watched))

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


def _number(path: str) -> int:
    """0: it is not there."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _nothing() -> None: ...
