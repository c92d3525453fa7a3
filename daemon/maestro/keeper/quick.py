"""The quick way to start a process: posix_spawn, a quarter of the cost of a fork, for recipes that ask for nothing it cannot do.

It shares our memory until the exec, and we wait for that: so it is taken only where an exec cannot hang, that is, where no file system
of the network is mounted. What it refuses, or fails at, is left to the fork, whose child says which step failed.
"""

from __future__ import annotations

import os
import resource
import time

from maestro.keeper import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.child import Nest

_OPEN_FILES = 1024  # soft limit, as the fork's children get it
_CAN = frozenset({"argv", "env", "cwd", "cwd_may_fail", "umask", "stream", "store", "title", "notify_fd"})
_MAY_HANG = (
    "nfs",
    "cifs",
    "smb",
    "fuse",
    "9p",
    "ceph",
    "glusterfs",
    "afs",
    "autofs",
    "lustre",
    "beegfs",
    "gfs",
    "ocfs",
)
_LOOK_EVERY = 1.0  # seconds


class Quick:
    """Whether the quick way may be taken is looked at again at most every second."""

    def __init__(self, nest: Nest) -> None:
        self._nest = nest
        self._looked = -_LOOK_EVERY
        self._safe = False

    def spawn(self, recipe: dict[str, Any], output: int) -> int:
        """The pid of the new process, which has been executed; 0 where it has to be forked."""
        if not self._fits(recipe, output) or not self._is_safe():
            return 0
        null = fresh = -1
        mask = os.umask(recipe.get("umask", 0o022))
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            fresh = os.open(f"/proc/self/fd/{output}", os.O_RDWR | os.O_CLOEXEC)
            os.fchown(fresh, os.geteuid(), -1)
            os.chdir("/")
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, limits[1]), limits[1]))
            with signals.Held():
                return self._execute(recipe, null, fresh)
        except (OSError, ValueError):
            return 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            os.umask(mask)
            for fd in (null, fresh):
                if fd >= 0:
                    os.close(fd)

    def _execute(self, recipe: dict[str, Any], null: int, output: int) -> int:
        argv = recipe["argv"]
        return os.posix_spawn(
            argv[0],
            argv,
            recipe["env"],
            file_actions=[
                (os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((null, output, output))
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=self._nest.not_default,
        )

    def _fits(self, recipe: dict[str, Any], output: int) -> bool:
        plain = recipe.get("cwd", "/") == "/" and not recipe.get("notify_fd")
        more = any(_is_set(value) for name, value in recipe.items() if name not in _CAN)
        return plain and not more and output >= 0 and "/" in recipe["argv"][0] and self._nest.oom is None

    def _is_safe(self) -> bool:
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked, self._safe = now, not _may_hang()
        return self._safe


def _is_set(value: object) -> bool:
    """Whether a recipe asks for something by it: 0 is a number like another."""
    return value is not None and value is not False and (isinstance(value, int) or bool(value))


def _may_hang() -> bool:
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            lines = mounts.read().splitlines()
    except OSError:
        return True
    kinds = {line.partition(b" - ")[2].split(b" ", 1)[0].decode(errors="replace") for line in lines}
    return any(kind.startswith(_MAY_HANG) for kind in kinds)
