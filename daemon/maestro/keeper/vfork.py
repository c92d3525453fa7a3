"""The keeper's side of spawn.c: a child that shares our memory until its exec, and is born in its control group.

Where no compiler built it, there is none, and what posix_spawn cannot do is forked.
"""

from __future__ import annotations

import ctypes
import os
from array import array
from mmap import mmap

from maestro.keeper import kernel, signals
from maestro.keeper.cgroup import is_v1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGKILL
    from typing import Any

    from maestro.keeper.cgroup import Making
    from maestro.keeper.child import Nest
else:
    from _signal import SIGKILL

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_spawn.so")
_AS_IT_IS = -1
_SET_DUMPABLE = (
    4  # prctl(2): /proc/PID is its user's, it may leave a core, and who may trace it may look at it
)
_OF_OUR_PARENT = 0x8000  # CLONE_PARENT
VERSION = 4  # of the plan, as in spawn.c
_LONGEST = 1 << 20  # bytes of a plan with all that it points at; only what is used is ever there


class _Plan(ctypes.Structure):
    _fields_ = (
        ("program", ctypes.c_void_p),
        ("argv", ctypes.c_void_p),
        ("envp", ctypes.c_void_p),
        ("oom", ctypes.c_void_p),
        ("group", ctypes.c_void_p),
        ("enter", ctypes.c_void_p),
        ("make", ctypes.c_void_p),
        ("output", ctypes.c_void_p),
        ("reset", ctypes.c_void_p),
        ("groups", ctypes.c_void_p),
        ("soft", ctypes.c_uint64),
        ("hard", ctypes.c_uint64),
        ("uid", ctypes.c_int64),
        ("gid", ctypes.c_int64),
        ("owner", ctypes.c_int64),
        ("flags", ctypes.c_uint64),
        ("player", ctypes.c_int32),
        ("tape", ctypes.c_int32),
        ("report", ctypes.c_int32),
        ("resetting", ctypes.c_int32),
        ("grouping", ctypes.c_int32),
        ("umask", ctypes.c_int32),
        ("failed", ctypes.c_int32),
        ("born", ctypes.c_int32),
    )


class Page:
    """Memory for a plan and all that it points at. `seen_at`: its address for who reads it, where that is not ours."""

    def __init__(self, memory: mmap, begin: int, size: int, seen_at: int = 0) -> None:
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + begin
        self.plan = _Plan.from_address(self.address)
        self._memory = memory
        self._begin, self._size = begin, size
        self._seen_at = seen_at or self.address
        self._used = size

    def clear(self) -> _Plan:
        """A plan of nothing."""
        ctypes.memset(self.address, 0, ctypes.sizeof(_Plan))
        self._used = ctypes.sizeof(_Plan)
        return self.plan

    def outcome(self, *, is_over: bool = True) -> int:
        """The pid of what was made by it; 0 where that failed. Where it is not known to be over, it is ended."""
        pid: int = self.plan.born
        if pid and not is_over:
            os.kill(pid, SIGKILL)
        if pid and (self.plan.failed or not is_over):
            os.waitpid(pid, 0)
            return 0
        return pid

    def put(self, data: bytes) -> int:
        """Where it is for who reads it. Raises ValueError where there is no more room."""
        at, self._used = self._used, self._used + len(data) + 7 & ~7
        if self._used > self._size:
            raise ValueError("too long for a plan")
        self._memory[self._begin + at : self._begin + at + len(data)] = data
        return self._seen_at + at

    def text(self, word: bytes) -> int:
        return self.put(word + b"\0")

    def texts(self, words: list[bytes]) -> int:
        """Of the array of them that ends with a null pointer."""
        at, places = self.put(b"\0".join([*words, b""])), array("Q")
        for word in words:
            places.append(at)
            at += len(word) + 1
        places.append(0)
        return self.put(places.tobytes())

    def numbers(self, kind: str, numbers: tuple[int, ...]) -> int:
        return self.put(array(kind, numbers).tobytes())


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
        self.functions = load(path)
        self.library = os.open(path, os.O_PATH | os.O_CLOEXEC)  # which an upgrade does not take from us
        self._page = Page(mmap(-1, _LONGEST), 0, _LONGEST)

    def __del__(self) -> None:
        if self.library >= 0:
            os.close(self.library)

    def spawn(self, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> int:
        """The pid of a process that has been executed; 0 where that failed, which a fork will tell. `files`: its limit on these."""
        self._write(self._page, recipe, output, files)
        return self._begin()

    def give(self, page: Page, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> None:
        """Lay a plan out for another process of ours, whose child is to be ours, and which is to make the control groups, too."""
        self._write(page, recipe, output, files)
        page.plan.output = page.text(b"/proc/%d/fd/%d" % (self._nest.keeper, output))
        page.plan.flags = _OF_OUR_PARENT
        page.plan.make = _makings(page, recipe.get("make", ()))

    def play(self, recipe: dict[str, Any], output: int, fds: tuple[int, int, int], size: int) -> int:
        """The same of one that plays a tape. `fds`: of the library, of the tape, and for the report; `size` is the tape's."""
        words = [b"maestro", *(b"%d" % one for one in (*fds[1:], size))]
        plan = self._fill(self._page, recipe, words, [], output)
        plan.flags = recipe.get("sandbox", {}).get("namespaces", {}).get("clone", 0)
        return self._perform(plan, fds)

    def employ(self, words: list[bytes], fds: tuple[int, int, int]) -> int:
        """The same of one that is a part of us: it keeps what we have."""
        plan = self._fill(self._page, {}, words, [], -1)
        plan.oom = None
        return self._perform(plan, fds)

    def _perform(self, plan: _Plan, fds: tuple[int, int, int]) -> int:
        plan.uid = plan.gid = plan.grouping = _AS_IT_IS
        plan.player, plan.tape, plan.report = fds
        return self._begin()

    def _begin(self) -> int:
        with signals.Held():
            self.functions.maestro_spawn(ctypes.c_void_p(self._page.address))
        if self._page.plan.grouping != _AS_IT_IS:
            # whose memory belongs to nobody after that, by the kernel's rule, and it was ours
            kernel.prctl(_SET_DUMPABLE, 1)
        return self._page.outcome()

    def _write(self, page: Page, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> None:
        variables = [os.fsencode(f"{name}={value}") for name, value in recipe["env"].items()]
        plan = self._fill(page, recipe, [os.fsencode(word) for word in recipe["argv"]], variables, output)
        plan.soft, plan.hard = files
        plan.player = _AS_IT_IS
        uid, gid, groups = recipe.get("uid"), recipe.get("gid"), recipe.get("groups", ())
        plan.uid, plan.gid = _AS_IT_IS if uid is None else uid, _AS_IT_IS if gid is None else gid
        plan.groups, plan.grouping = page.numbers("I", groups), _AS_IT_IS
        if uid is not None or gid is not None or groups:
            plan.grouping = len(groups)

    def _fill(
        self, page: Page, recipe: dict[str, Any], argv: list[bytes], env: list[bytes], output: int
    ) -> _Plan:
        """What every plan has."""
        plan, uid, reset = page.clear(), recipe.get("uid"), sorted(self._nest.not_default)
        plan.program, plan.argv, plan.envp = page.text(argv[0]), page.texts(argv), page.texts(env)
        plan.umask = recipe.get("umask", 0o022)
        plan.output, plan.owner = page.text(b"/dev/null"), _AS_IT_IS
        if output >= 0:
            plan.output = page.text(b"/proc/self/fd/%d" % output)
            plan.owner = os.geteuid() if uid is None else uid
        if (group := recipe.get("cgroup")) and not is_v1(recipe):
            plan.group = page.text(os.fsencode(group))
        plan.enter = page.texts([os.fsencode(path) for path in recipe.get("tasks", ())])
        plan.reset, plan.resetting = page.numbers("i", tuple(reset)), len(reset)
        wanted = recipe.get("oom_score_adjust")
        score = self._nest.oom if wanted is None else wanted
        if score is not None:
            plan.oom = page.text(b"%d" % score)
        return plan


def _makings(page: Page, groups: Making) -> int | None:
    if not groups:
        return None
    places = array("Q")
    for directory, limits in groups:
        words = [word.encode() for name, text in limits for word in (f"{directory}/{name}", text)]
        places.extend((page.text(os.fsencode(directory)), page.texts(words)))
    places.extend((0, 0))
    return page.put(places.tobytes())
