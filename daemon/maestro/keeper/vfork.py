"""The keeper's side of spawn.c: a child that shares our memory until its exec, and is born in its control group.

Where no compiler built it, there is none, and what posix_spawn cannot do is forked.
"""

from __future__ import annotations

import ctypes
import os

from maestro.keeper import kernel, signals
from maestro.keeper.cgroup import is_v1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.child import Nest

_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_spawn.so")
_AS_IT_IS = -1
_SET_DUMPABLE = (
    4  # prctl(2): /proc/PID is its user's, it may leave a core, and who may trace it may look at it
)
_VERSION = 2  # of the plan, as in spawn.c


class _Plan(ctypes.Structure):
    _fields_ = (
        ("program", ctypes.c_char_p),
        ("argv", ctypes.c_void_p),
        ("envp", ctypes.c_void_p),
        ("oom", ctypes.c_char_p),
        ("group", ctypes.c_char_p),
        ("enter", ctypes.c_void_p),
        ("output", ctypes.c_char_p),
        ("reset", ctypes.c_void_p),
        ("groups", ctypes.c_void_p),
        ("soft", ctypes.c_uint64),
        ("hard", ctypes.c_uint64),
        ("uid", ctypes.c_int64),
        ("gid", ctypes.c_int64),
        ("owner", ctypes.c_int64),
        ("resetting", ctypes.c_int32),
        ("grouping", ctypes.c_int32),
        ("umask", ctypes.c_int32),
        ("failed", ctypes.c_int32),
    )


def load(path: str = _PATH) -> ctypes.CDLL:
    """The library. Raises OSError where it is not there, or is not of this version."""
    library = ctypes.CDLL(path)
    try:
        numbers = [ctypes.c_uint32.in_dll(library, f"maestro_plan_{of}").value for of in ("version", "size")]
    except ValueError:
        numbers = []  # the first had no version
    if numbers != [_VERSION, ctypes.sizeof(_Plan)]:
        raise OSError(f"{path} is of another version")
    return library


class Spawner:
    """Raises OSError where it is not there, or is not of this version."""

    def __init__(self, nest: Nest, path: str = _PATH) -> None:
        self._nest = nest
        self._spawn = load(path).maestro_spawn
        self._resets: tuple[set[int], Any] = (set(), None)

    def spawn(self, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> int:
        """The pid of a process that has been executed; 0 where that failed, which a fork will tell. `files`: its limit on these."""
        plan = _Plan(umask=recipe.get("umask", 0o022), soft=files[0], hard=files[1])
        plan.output = b"/proc/self/fd/%d" % output
        if (group := recipe.get("cgroup")) and not is_v1(recipe):
            plan.group = os.fsencode(group)
        kept = self._fill(plan, recipe)
        with signals.Held():
            pid: int = self._spawn(ctypes.byref(plan))
        if (
            plan.grouping != _AS_IT_IS
        ):  # whose memory belongs to nobody after that, by the kernel's rule, and it was ours
            kernel.prctl(_SET_DUMPABLE, 1)
        del kept
        if pid > 0 and plan.failed:
            os.waitpid(pid, 0)
            return 0
        return max(pid, 0)

    def _fill(self, plan: _Plan, recipe: dict[str, Any]) -> list[Any]:
        """What the plan points at, to be kept while it is used."""
        argv, env = recipe["argv"], recipe["env"]
        words = _texts([os.fsencode(word) for word in argv])
        variables = _texts([os.fsencode(f"{name}={value}") for name, value in env.items()])
        files, reset = _texts([os.fsencode(path) for path in recipe.get("tasks", ())]), self._reset()
        groups = recipe.get("groups", ())
        numbers = (ctypes.c_uint32 * len(groups))(*groups)
        uid, gid = recipe.get("uid"), recipe.get("gid")
        plan.program = os.fsencode(argv[0])
        plan.argv, plan.envp = ctypes.addressof(words), ctypes.addressof(variables)
        plan.enter = ctypes.addressof(files)
        plan.reset, plan.resetting = ctypes.addressof(reset), len(reset)
        plan.uid, plan.gid = _AS_IT_IS if uid is None else uid, _AS_IT_IS if gid is None else gid
        plan.owner = os.geteuid() if uid is None else uid
        plan.groups, plan.grouping = ctypes.addressof(numbers), _AS_IT_IS
        if uid is not None or gid is not None or groups:
            plan.grouping = len(groups)
        wanted = recipe.get("oom_score_adjust")
        score = self._nest.oom if wanted is None else wanted
        if score is not None:
            plan.oom = b"%d" % score
        return [words, variables, files, reset, numbers]

    def _reset(self) -> Any:
        """Signals whose disposition the child is to have anew, as the kernel is told."""
        known, numbers = self._resets
        if known != self._nest.not_default:
            known = set(self._nest.not_default)
            numbers = (ctypes.c_int * len(known))(*sorted(known))
            self._resets = (known, numbers)
        return numbers


def _texts(words: list[bytes]) -> Any:
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)
