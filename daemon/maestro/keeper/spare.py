"""Descriptors kept in reserve, so that what must be done can be done when there are no others."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Spare:
    """A few descriptors on /dev/null."""

    def __init__(self, count: int = 8) -> None:
        self._count = count
        self._fds: list[int] = []
        self.refill()

    def __del__(self) -> None:
        self.release()

    def refill(self) -> None:
        try:
            while len(self._fds) < self._count:
                self._fds.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            pass  # tried again after the next use

    def release(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def see_to(self, act: Callable[[], T]) -> T:
        """Do `act`; where it fails for want of descriptors, do it again with the reserve given up for it."""
        try:
            return act()
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
        self.release()
        try:
            return act()
        finally:
            self.refill()
