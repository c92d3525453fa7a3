"""What an agent leaves in the runtime directory when it has ended: its directories there, and the place of its credentials.

They are put aside at once, which takes no time and leaves the way free for its next start; what was put aside
is taken apart by a thread. What a manager that dies has not taken apart, the next one does.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from maestro.engine.events import Forsake
from maestro.manager import directories, tasks
from maestro.model.unit import Unit

if TYPE_CHECKING:
    from maestro.manager.recipe import House

_log = logging.getLogger("maestro")
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Remains:
    def __init__(self, house: House) -> None:
        self._house = house
        self._numbers = itertools.count(1)

    def clear(self, unit: Unit | None, deed: Forsake) -> None:
        """Of a unit of which nothing runs."""
        if unit is None or unit.agent is None:
            return  # it was forgotten meanwhile
        found = _doomed(unit, self._house, for_good=deed.for_good)
        aside = [one for one in found if self._put_aside(*one)]
        if aside:
            self.take_apart()

    def clear_all(self, units: Iterable[Unit]) -> None:
        """Of units that are at rest and ran once: an earlier manager may have died before it did so."""
        for unit in units:
            self.clear(unit, Forsake(unit.name, for_good=True))
        if os.path.isdir(self._house.gone):
            self.take_apart()

    def take_apart(self) -> None:
        tasks.aside(partial(take_apart, self._house.gone), "remains")

    def _put_aside(self, base: str, name: str) -> bool:
        """Whether there is something to be taken apart now."""
        try:
            with _parent(base, name) as (parent, last):
                if stat.S_ISLNK(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode):
                    os.unlink(last, dir_fd=parent)
                    return False
                os.makedirs(self._house.gone, mode=0o700, exist_ok=True)
                aside = f"{self._house.gone}/{os.getpid()}-{next(self._numbers)}"
                os.rename(last, aside, src_dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            _log.warning("%s/%s cannot be removed: %s", base, name, error.strerror or error)
            return False
        return True


def _doomed(unit: Unit, house: House, *, for_good: bool) -> Iterator[tuple[str, str]]:
    agent = unit.agent
    assert agent is not None
    if agent.runtime_directory_preserve == "no" or (
        agent.runtime_directory_preserve == "restart" and for_good
    ):
        yield from directories.removed(unit, house)
    if agent.has_credentials:
        yield house.places.credentials, unit.name


@contextlib.contextmanager
def _parent(base: str, name: str) -> Iterator[tuple[int, str]]:
    """The directory that holds it, reached by no link below the base, and its name there."""
    *above, last = name.split("/")
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in above:
            below = os.open(step, _ENTER, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd, last
    finally:
        os.close(fd)


def take_apart(path: str) -> None:
    """Remove all that was put aside. However deep it is: what is in a directory of it comes up beside it."""
    with contextlib.suppress(FileNotFoundError), _at(path) as top:
        numbers = itertools.count()
        while names := os.listdir(top):
            before = len(names)
            for name in names:
                _take_one(top, name, numbers)
            left = os.listdir(top)
            if len(left) >= before and set(left) == set(names):
                _log.warning("%s cannot be emptied", path)
                return


def _take_one(top: int, name: str, numbers: Iterator[int]) -> None:
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=top)
            return
        os.chmod(name, 0o700, dir_fd=top)
        fd = os.open(name, _ENTER, dir_fd=top)
        try:
            for inner in os.listdir(fd):
                if stat.S_ISDIR(os.stat(inner, dir_fd=fd, follow_symlinks=False).st_mode):
                    if os.geteuid() != 0:  # root needs no leave
                        os.chmod(inner, 0o700, dir_fd=fd)
                    up = f"up-{os.getpid()}-{next(numbers)}-{os.urandom(4).hex()}"
                    os.rename(inner, up, src_dir_fd=fd, dst_dir_fd=top)
                else:
                    os.unlink(inner, dir_fd=fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=top)
    except OSError as error:
        _log.debug("cannot remove what was left behind: %s", error)


@contextlib.contextmanager
def _at(path: str) -> Iterator[int]:
    fd = os.open(path, _ENTER)
    try:
        yield fd
    finally:
        os.close(fd)
