"""The directories behind the private /tmp of units: taken away when nothing of the unit runs any more."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

_log = logging.getLogger("maestro")
_GONE = ".gone-"


class PrivateFiles:
    """`place`: the directory with one folder for each unit, made by the keeper's children."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._count = 0

    def discard(self, unit: str) -> None:
        """Out of the way at once, and removed meanwhile: there may be a million files."""
        self._count += 1
        aside = os.path.join(self._place, f"{_GONE}{os.getpid()}-{self._count}")
        try:
            os.rename(os.path.join(self._place, unit), aside)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.error("%s: its private files cannot be taken away: %s", unit, error.strerror or error)
            return
        self._remove(aside)

    def sweep(self, is_needed: Callable[[str], bool]) -> None:
        """What an earlier manager left."""
        try:
            names = os.listdir(self._place)
        except OSError:
            return
        for name in names:
            if name.startswith(_GONE):
                self._remove(os.path.join(self._place, name))
            elif not is_needed(name):
                self.discard(name)

    def _remove(self, path: str) -> None:
        threading.Thread(target=_remove_all, args=(path,), name="remove private files").start()


def _remove_all(path: str) -> None:
    import shutil  # with what it imports it takes 0.5 MB, and few units have private files

    shutil.rmtree(path, ignore_errors=True)
