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
from collections.abc import Callable, Iterable, Iterator
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
    """`others` are the units of which something runs: what they have, too, stays."""

    def __init__(self, house: House, others: Callable[[], Iterable[Unit]] = tuple) -> None:
        self._house, self._others = house, others
        # On the file systems of what is put there. In most installations they are one.
        self._of_runtime = os.path.join(house.places.runtime, "maestro/gone")
        self._of_credentials = os.path.join(os.path.dirname(house.places.credentials), "gone")
        self._numbers = itertools.count(1)

    def clear(self, unit: Unit | None, deed: Forsake) -> None:
        """Of a unit of which nothing runs."""
        if unit is None or unit.agent is None:
            return  # it was forgotten meanwhile
        aside = [
            gone for gone, *one in self._doomed(unit, for_good=deed.for_good) if self._put_aside(gone, *one)
        ]
        for gone in dict.fromkeys(aside):
            _take_apart_aside(gone)

    def clear_all(self, units: Iterable[Unit]) -> None:
        """Of units that are at rest and ran once: an earlier manager may have died before it did so."""
        for unit in units:
            self.clear(unit, Forsake(unit.name, for_good=True))
        for gone in filter(os.path.isdir, {self._of_runtime, self._of_credentials}):
            _take_apart_aside(gone)

    def _doomed(self, unit: Unit, *, for_good: bool) -> Iterator[tuple[str, str, str]]:
        """Where each thing is put that goes: that place, its base directory and its name."""
        agent, house = unit.agent, self._house
        assert agent is not None
        preserve = agent.runtime_directory_preserve
        if preserve == "no" or (preserve == "restart" and for_good):
            found = directories.removed(unit, house)
            taken = self._taken(unit) if found else ()
            for base, name in found:
                if not any(one == name or one.startswith(f"{name}/") for one in taken):
                    yield self._of_runtime, base, name
        if agent.has_credentials:
            yield self._of_credentials, house.places.credentials, unit.name

    def _taken(self, unit: Unit) -> list[str]:
        others = (one for one in self._others() if one.name != unit.name)
        return [name for one in others for _, name in directories.removed(one, self._house)]

    def _put_aside(self, gone: str, base: str, name: str) -> bool:
        """Whether there is something to be taken apart now."""
        try:
            with _parent(base, name) as (parent, last):
                if stat.S_ISLNK(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode):
                    os.unlink(last, dir_fd=parent)
                    return False
                os.makedirs(gone, mode=0o700, exist_ok=True)
                aside = f"{gone}/{os.getpid()}-{next(self._numbers)}"
                os.rename(last, aside, src_dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            _log.warning("%s/%s cannot be removed: %s", base, name, error.strerror or error)
            return False
        return True


def _take_apart_aside(gone: str) -> None:
    tasks.aside(partial(take_apart, gone), "remains")


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
