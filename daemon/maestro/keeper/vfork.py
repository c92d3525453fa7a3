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

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_spawn.so")
_AS_IT_IS = -1
_SET_DUMPABLE = (
    4  # prctl(2): /proc/PID is its user's, it may leave a core, and who may trace it may look at it
)
VERSION = 3  # of the plan, as in spawn.c


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
        ("spaces", ctypes.c_uint64),
        ("player", ctypes.c_int32),
        ("tape", ctypes.c_int32),
        ("report", ctypes.c_int32),
        ("resetting", ctypes.c_int32),
        ("grouping", ctypes.c_int32),
        ("umask", ctypes.c_int32),
        ("failed", ctypes.c_int32),
    )


def load(path: str = PATH) -> ctypes.CDLL:
    """The library. Raises OSError where it is not there, or is not of this version."""
    library = ctypes.CDLL(path)
    try:
        numbers = [ctypes.c_uint32.in_dll(library, f"maestro_plan_{of}").value for of in ("version", "size")]
    except ValueError:
        numbers = []  # the first had no version
    if numbers != [VERSION, ctypes.sizeof(_Plan)]:
        raise OSError(f"{path} is of another version")
    return library


class Spawner:
    """Raises OSError where it is not there, or is not of this version."""

    def __init__(self, nest: Nest, path: str = PATH) -> None:
        self._nest = nest
        self.library = -1
        self._spawn = load(path).maestro_spawn
        self.library = os.open(path, os.O_PATH | os.O_CLOEXEC)  # which an upgrade does not take from us
        self._resets: tuple[set[int], Any] = (set(), (ctypes.c_int * 0)())

    def __del__(self) -> None:
        if self.library >= 0:
            os.close(self.library)

    def spawn(self, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> int:
        """The pid of a process that has been executed; 0 where that failed, which a fork will tell. `files`: its limit on these."""
        plan = _Plan(soft=files[0], hard=files[1], player=_AS_IT_IS)
        variables = [os.fsencode(f"{name}={value}") for name, value in recipe["env"].items()]
        kept = self._fill(plan, recipe, [os.fsencode(word) for word in recipe["argv"]], variables, output)
        kept += _become(plan, recipe)
        pid = self._begin(plan)
        if (
            plan.grouping != _AS_IT_IS
        ):  # whose memory belongs to nobody after that, by the kernel's rule, and it was ours
            kernel.prctl(_SET_DUMPABLE, 1)
        del kept
        return pid

    def play(self, recipe: dict[str, Any], output: int, fds: tuple[int, int, int], size: int) -> int:
        """The same of one that plays a tape. `fds`: of the library, of the tape, and for the report; `size` is the tape's."""
        plan = _Plan(uid=_AS_IT_IS, gid=_AS_IT_IS, grouping=_AS_IT_IS)
        plan.player, plan.tape, plan.report = fds
        plan.spaces = recipe.get("sandbox", {}).get("namespaces", {}).get("clone", 0)
        words = [b"maestro", *(b"%d" % one for one in (*fds[1:], size))]
        kept = self._fill(plan, recipe, words, [], output)
        pid = self._begin(plan)
        del kept
        return pid

    def _begin(self, plan: _Plan) -> int:
        with signals.Held():
            pid: int = self._spawn(ctypes.byref(plan))
        if pid > 0 and plan.failed:
            os.waitpid(pid, 0)
            return 0
        return max(pid, 0)

    def _fill(
        self, plan: _Plan, recipe: dict[str, Any], argv: list[bytes], env: list[bytes], output: int
    ) -> list[Any]:
        """What every plan has. Returns what it points at, to be kept while it is used."""
        words, variables = _texts(argv), _texts(env)
        files, reset = _texts([os.fsencode(path) for path in recipe.get("tasks", ())]), self._reset()
        uid = recipe.get("uid")
        plan.program, plan.argv, plan.envp = argv[0], ctypes.addressof(words), ctypes.addressof(variables)
        plan.umask = recipe.get("umask", 0o022)
        plan.output, plan.owner = b"/dev/null", _AS_IT_IS
        if output >= 0:
            plan.output, plan.owner = b"/proc/self/fd/%d" % output, os.geteuid() if uid is None else uid
        if (group := recipe.get("cgroup")) and not is_v1(recipe):
            plan.group = os.fsencode(group)
        plan.enter = ctypes.addressof(files)
        plan.reset, plan.resetting = ctypes.addressof(reset), len(reset)
        wanted = recipe.get("oom_score_adjust")
        score = self._nest.oom if wanted is None else wanted
        if score is not None:
            plan.oom = b"%d" % score
        return [words, variables, files, reset]

    def _reset(self) -> Any:
        """Signals whose disposition the child is to have anew, as the kernel is told."""
        known, numbers = self._resets
        if known != self._nest.not_default:
            known = set(self._nest.not_default)
            numbers = (ctypes.c_int * len(known))(*sorted(known))
            self._resets = (known, numbers)
        return numbers


def _become(plan: _Plan, recipe: dict[str, Any]) -> list[Any]:
    """Whom it is to become. Returns what the plan points at for that."""
    uid, gid, groups = recipe.get("uid"), recipe.get("gid"), recipe.get("groups", ())
    numbers = (ctypes.c_uint32 * len(groups))(*groups)
    plan.uid, plan.gid = _AS_IT_IS if uid is None else uid, _AS_IT_IS if gid is None else gid
    plan.groups, plan.grouping = ctypes.addressof(numbers), _AS_IT_IS
    if uid is not None or gid is not None or groups:
        plan.grouping = len(groups)
    return [numbers]


def _texts(words: list[bytes]) -> Any:
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)
