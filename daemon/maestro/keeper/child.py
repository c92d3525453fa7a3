"""A child of the keeper: what it is to become, its birth, and the word of a step that failed.

Between fork and exec the process has one thread and shares nothing but descriptors with the keeper. It takes the
steps of a table (steps.py), each named (stages.py). A step that fails is reported through `report`, a close-on-exec
pipe, in words that complete "cannot ..."; or in memory that the keeper shares, where a filter may refuse to write.
"""

from __future__ import annotations

import errno
import os

from maestro.keeper import cgroup, kernel, signals, stages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from maestro.keeper.spare import Spare

    Step = tuple[str, Callable[["Birth"], None]]

_NOT_INTO_A_GROUP = (errno.ENOSYS, errno.EINVAL, errno.E2BIG, errno.EPERM, errno.EOPNOTSUPP, errno.EBADF)
_LONGEST_REPORT = 4000  # less than PIPE_BUF: arrives whole
SLATE = 4096  # bytes of memory for it


class Nest:
    """What every child needs to know of the keeper."""

    __slots__ = ("keeper", "not_default", "oom", "spare")

    def __init__(self, spare: Spare, not_default: set[int]) -> None:
        self.keeper = os.getpid()  # seen from the child: its parent
        self.spare = spare
        self.not_default = not_default  # signals whose disposition the keeper changed, or was started with
        self.oom: int | None = None  # OOM score to go back to; None: the keeper's is as it was


class Birth:
    """One child: what it is to become, and how it tells that it cannot."""

    __slots__ = (
        "accounts",
        "doing",
        "gate",
        "given",
        "inside",
        "limit",
        "listening",
        "nest",
        "output",
        "passed",
        "recipe",
        "report",
        "root",
        "slate",
        "writing",
    )

    def __init__(self, recipe: dict[str, Any], nest: Nest, output: int = -1, report: int = -1) -> None:
        self.recipe = recipe
        self.nest = nest
        self.output = output  # the stream's descriptor; -1: /dev/null
        self.report = report  # where a failed step is reported; -1: on stderr
        self.given: dict[tuple[str, str], int] = {}  # (kind, name) of a standard stream -> our descriptor
        self.passed: dict[int, int] = {}  # number that the child is to have it at -> our descriptor
        self.listening: tuple[str, ...] = ()  # the names of those from 3 on, of earlier processes of the unit
        self.inside = False  # it was born in its control group
        self.accounts = -1  # directory of what the kernel counts for each user
        self.root = -1  # the root that it changes to as its user
        self.gate = -1  # where it hands out sockets that listen in its network
        self.slate = -1  # memory for the report, where it will be bound by a filter of system calls
        self.writing: Any = None  # the same, once it is to be seen
        self.doing = ""  # what a step of several parts is about, in words
        self.limit = (0, 0, 0)  # the one that is being set: (RLIMIT_x, soft, hard)

    @property
    def is_in_v1(self) -> bool:
        return cgroup.is_v1(self.recipe)

    @property
    def oom_score(self) -> int | None:
        wanted: int | None = self.recipe.get("oom_score_adjust")
        return self.nest.oom if wanted is None else wanted

    @property
    def clone_flags(self) -> int:
        """The namespaces that it has to be born in."""
        flags: int = self.recipe.get("sandbox", {}).get("namespaces", {}).get("clone", 0)
        return flags


def fork(birth: Birth, steps: tuple[Step, ...]) -> int:
    """A new process that takes the steps. No signal reaches it before it is itself."""
    with signals.Held():
        pid = _fork(birth)
        if pid == 0:
            become(birth, steps)
    return pid


def _fork(birth: Birth) -> int:
    """A child in its control group, where the kernel can; elsewhere the child has to enter it."""
    group, flags = birth.recipe.get("cgroup", ""), birth.clone_flags
    if not group or birth.is_in_v1:
        return kernel.clone(flags) if flags else os.fork()
    fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        birth.inside = True
        return kernel.clone(flags, fd)
    except OSError as error:
        if error.errno not in _NOT_INTO_A_GROUP:
            raise
        birth.inside = False
        return kernel.clone(flags) if flags else os.fork()
    finally:
        os.close(fd)


def become(birth: Birth, steps: tuple[Step, ...]) -> NoReturn:
    """Take the steps; the last one is an exec. Never returns."""
    stage = ""
    try:
        for step in steps:
            stage, act = step
            act(birth)
    except BaseException as error:
        _report(birth, stage, _errno(error))
    finally:
        os._exit(127)


def _report(birth: Birth, stage: str, number: int) -> None:
    words = stages.describe(stage, birth)
    if birth.writing is not None:
        report = f"{number} {words}".encode(errors="replace")[:_LONGEST_REPORT]
        birth.writing[: len(report)] = report
    elif birth.report < 0:
        os.write(2, f"maestrod: cannot {words}: {os.strerror(number)}\n".encode(errors="replace"))
    else:
        os.write(birth.report, f"{number} {words}".encode(errors="replace")[:_LONGEST_REPORT])


def _errno(error: BaseException) -> int:
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, ValueError) and "not allowed" in str(error):
        return errno.EPERM  # resource.setrlimit has its own way to say so
    return errno.EINVAL
