"""The quick way to start a process: a quarter of the cost of a fork, for recipes that ask for nothing it cannot do.

By spawn.c where that was built, which knows control groups and users; else by posix_spawn. Either shares our memory until
the exec, and we wait for that: so it is taken only where an exec cannot hang, that is, where no file system of the network
is mounted, and nobody else has a hand in the program. What it refuses, or fails at, is left to the fork, whose child says
which step failed.
"""

from __future__ import annotations

import os
import resource
import time

from maestro.keeper import signals
from maestro.keeper.programs import is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.child import Nest
    from maestro.keeper.player import Player
    from maestro.keeper.proc import Proc
    from maestro.keeper.starters import Starters
    from maestro.keeper.vfork import Spawner

_OPEN_FILES = 1024  # soft limit, as the fork's children get it
_CAN = frozenset({"argv", "env", "cwd", "cwd_may_fail", "umask", "stream", "store", "title", "notify_fd"})
_CAN_IN_GROUPS = _CAN | {"cgroup", "tasks", "make", "oom_score_adjust"}  # with spawn.c
_CAN_MORE = _CAN_IN_GROUPS | {"uid", "gid", "groups"}
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
        self._ours: dict[str, bool] = {}  # programs that were looked at since then
        self._spawner = _spawner(nest)
        self._player: Player | None = None
        self._has_no_player = False

    def spawn(self, recipe: dict[str, Any], output: int) -> int:
        """The pid of the new process, which has been executed; 0 where it has to be forked."""
        if not self._fits(recipe, output) or not self._is_safe(recipe["argv"][0]):
            return 0
        try:
            if self._spawner is not None:
                return self._spawner.spawn(recipe, output, _files())
            return self._by_library(recipe, output, _files())
        except (OSError, ValueError):
            return 0

    def starters(self, proc: Proc, children: set[int]) -> Starters | None:
        """Who does the same beside us, where there can be any."""
        if self._spawner is None:
            return None
        from maestro.keeper.starters import Starters

        return Starters(self._spawner, proc, children)

    def give(self, starters: Starters, order: Any, recipe: dict[str, Any], output: int) -> bool:
        """Whether somebody else does it meanwhile, who makes its control groups, too."""
        try:
            fits = self._fits(recipe, output) and self._is_safe(recipe["argv"][0])
            return fits and starters.give(order, recipe, output, _files())
        except ValueError:
            return False

    def play(self, recipe: dict[str, Any], output: int) -> tuple[int, int, int] | None:
        """What takes longer, is waited for by nobody: the pid, and where is told whether it was executed. None: to be forked."""
        if self._spawner is None or self._has_no_player:
            return None
        try:
            if self._player is None:
                from maestro.keeper.player import Player

                self._player = Player(self._spawner)
        except (ImportError, SyntaxError, OSError):
            self._has_no_player = True  # code that was replaced or cannot be read
            return None
        try:
            return self._player.spawn(recipe, output)
        except Exception:  # whatever is wrong with it, the step that it is for says so
            return None

    def _by_library(self, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> int:
        """By the C library's posix_spawn, which takes from us what it cannot be told."""
        limits, mask = resource.getrlimit(resource.RLIMIT_NOFILE), os.umask(recipe.get("umask", 0o022))
        null = fresh = -1
        try:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            fresh = os.open(f"/proc/self/fd/{output}", os.O_RDWR | os.O_CLOEXEC)
            os.fchown(fresh, os.geteuid(), -1)  # so that it may open /dev/stdout again
            os.chdir("/")
            resource.setrlimit(resource.RLIMIT_NOFILE, files)
            with signals.Held():
                return os.posix_spawn(
                    recipe["argv"][0],
                    recipe["argv"],
                    recipe["env"],
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, fd, place) for place, fd in enumerate((null, fresh, fresh))
                    ],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=self._nest.not_default,
                )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            os.umask(mask)
            for fd in (null, fresh):
                if fd >= 0:
                    os.close(fd)

    def _fits(self, recipe: dict[str, Any], output: int) -> bool:
        plain = recipe.get("cwd", "/") == "/" and not recipe.get("notify_fd")
        if not plain or output < 0 or "/" not in recipe["argv"][0]:
            return False
        can = _CAN
        if self._spawner is not None:
            can = _CAN_MORE if os.geteuid() == 0 else _CAN_IN_GROUPS
        elif self._nest.oom is not None:
            return False
        return not any(is_set(value) for name, value in recipe.items() if name not in can)

    def _is_safe(self, program: str) -> bool:
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked, self._safe = now, not _may_hang()
            self._ours.clear()
        if self._safe and program not in self._ours:
            self._ours[program] = is_ours(program)
        return self._safe and self._ours[program]


def _files() -> tuple[int, int]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(_OPEN_FILES, hard), hard


def _spawner(nest: Nest) -> Spawner | None:
    try:
        from maestro.keeper.vfork import Spawner

        return Spawner(nest)
    except (OSError, ValueError):
        return None


def is_set(value: object) -> bool:
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
