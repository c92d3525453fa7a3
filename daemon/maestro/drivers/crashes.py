"""Remembers which unit the manager was at when it crashed, in a file that needs no store: so that one bug cannot crash it for ever."""

from __future__ import annotations

import contextlib
import os

_TWICE = 2


class CrashFile:
    """One line per crash in a row: the unit's name. Emptied when a manager has lived long enough."""

    def __init__(self, path: str) -> None:
        self._path = path

    def blame(self, unit: str) -> None:
        """Note a crash, last thing before the end. A full disk must not keep the manager from ending."""
        with contextlib.suppress(OSError):
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            os.write(fd, f"{unit}\n".encode())
            os.close(fd)

    def take_repeated(self) -> str:
        """The unit that the last two crashes in a row were about, or an empty string. Named once: it gets another chance."""
        unit = self._repeated()
        if unit:
            self.forgive()
        return unit

    def _repeated(self) -> str:
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                last = file.read().splitlines()[-_TWICE:]
        except OSError:
            return ""
        return last[0] if len(last) == _TWICE and last[0] == last[1] else ""

    def forgive(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._path)
