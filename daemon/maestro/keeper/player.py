"""Starts by a tape: what quick.py cannot do and few steps ask more of than spawn.c can be told.

Nobody waits for more than the exec of our own library. Whether all of the tape could be played is told as a fork's child tells it: by
the end of a pipe, and before that in memory that we share.
"""

from __future__ import annotations

import os
import resource

from maestro.keeper import recorder, steps, vfork
from maestro.keeper.quick import is_set
from maestro.keeper.tape import TooLong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.tape import Finished

_EACH_TIME = frozenset(
    ("argv", "env", "stream", "store", "title", "notify_fd", "cgroup", "make", "tasks", "oom_score_adjust", "search_path")
)  # fmt: skip
_TAKEN = _EACH_TIME | set(recorder.LASTING)
_MOST_KEPT = 4  # tapes, of up to 50 kB with what they were made of
_LONGEST_KEPT = 1 << 16  # bytes
_NOBODY = 0xFFFFFFFF  # means "no change" to the kernel


class Player:
    """Keeps the tapes of a few agents, which may be started again soon."""

    def __init__(self, spawner: vfork.Spawner) -> None:
        self._spawner = spawner
        self._kept: dict[str, tuple[list[Any], Finished]] = {}  # title -> what it was made of, and the tape

    def spawn(self, recipe: dict[str, Any], output: int) -> tuple[int, int, int] | None:
        """Its pid, the pipe whose end is the exec's, and the tape on which it says what failed. None: it has to be forked."""
        programs = _programs(recipe)
        if not programs or not _fits(recipe):
            return None
        env = [f"{name}={value}" for name, value in recipe["env"].items()]
        try:
            whole = self._tape(recipe).ending(vfork.VERSION, programs, recipe["argv"], env)
        except TooLong:
            return None
        report = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        tape = pid = -1
        try:
            tape = os.memfd_create("tape")
            os.write(tape, whole)
            pid = self._spawner.play(recipe, output, (self._spawner.library, tape, report[1]), len(whole))
        finally:
            os.close(report[1])
            for fd in (report[0], tape) if pid <= 0 else ():
                if fd >= 0:
                    os.close(fd)
        return (pid, report[0], tape) if pid > 0 else None

    def _tape(self, recipe: dict[str, Any]) -> Finished:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = (min(steps.OPEN_FILES, hard), hard)
        alone = recipe.get("sandbox", {}).get("namespaces", {}).get("alone")
        shares = recorder.shares() if alone else {}
        made_of = [files, shares, *map(recipe.get, recorder.LASTING)]
        title = recipe.get("title", "")
        before, tape = self._kept.get(title, (None, None))
        if tape is None or before != made_of:
            tape = recorder.record(recipe, files, shares)
            self._keep(title, made_of, tape)
        return tape

    def _keep(self, title: str, made_of: list[Any], tape: Finished) -> None:
        self._kept.pop(title, None)
        if title and len(tape) <= _LONGEST_KEPT:
            self._kept[title] = made_of, tape
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]


def _programs(recipe: dict[str, Any]) -> list[str]:
    """Where it may be, as the step looks for it."""
    name = next(iter(recipe["argv"]), "")
    if "/" in name:
        return [name]
    return [f"{one}/{name}" for one in steps.searched(recipe) if name and one.startswith("/")]


def _fits(recipe: dict[str, Any]) -> bool:
    if any(is_set(value) for name, value in recipe.items() if name not in _TAKEN):
        return False
    ids = [
        one for one in (recipe.get("uid"), recipe.get("gid"), *recipe.get("groups", ())) if one is not None
    ]
    if ids and (os.geteuid() != 0 or not all(0 <= one < _NOBODY for one in ids)):
        return False
    return not recipe.get("notify_fd") and recorder.fits(recipe.get("sandbox", {}))
