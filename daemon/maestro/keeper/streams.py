"""In the child: what a new process has as its standard streams, and which further descriptors at which numbers."""

from __future__ import annotations

import os
from fcntl import F_DUPFD_CLOEXEC, fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.keeper.child import Birth

USUAL = (("null", ""), ("log", ""), ("inherit", ""))  # kind and path of stdin, stdout, stderr
_ERROR = 2
_FLAGS = {
    "file": os.O_WRONLY | os.O_CREAT,
    "append": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "truncate": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
}


def place(birth: Birth, number: int) -> None:
    """Have standard stream `number`. What two of them name alike is opened once: so their output keeps its order."""
    kinds = birth.recipe.get("stdio") or USUAL
    kind, path = kinds[number]
    same = [earlier for earlier in range(number) if tuple(kinds[earlier]) == (kind, path)]
    if kind == "inherit":
        os.dup2(number - 1, number)
    elif same:
        os.dup2(same[0], number)
    elif kind == "log" and birth.output >= 0:
        os.dup2(_fresh(birth), number)
    elif kind in ("null", "log"):
        os.dup2(birth.nest.spare.see_to(lambda: os.open("/dev/null", os.O_RDWR)), number)
    else:
        flags = _FLAGS[kind] if number else _for_input(tuple(kinds[1]) == (kind, path))
        os.dup2(birth.nest.spare.see_to(lambda: os.open(path, flags | os.O_NOCTTY, 0o666)), number)


def _for_input(is_output_too: bool) -> int:
    return os.O_RDWR | os.O_CREAT if is_output_too else os.O_RDONLY


def _fresh(birth: Birth) -> int:
    """A fresh description of the agent's pipe.

    Fresh, so that an agent that makes its stdout non-blocking does so for itself only; readable too, so that
    the agent is a reader of its own and never gets SIGPIPE, whoever dies.
    """
    out = birth.nest.spare.see_to(lambda: os.open(f"/proc/self/fd/{birth.output}", os.O_RDWR))
    owner = birth.recipe.get("uid")
    os.fchown(out, os.geteuid() if owner is None else owner, -1)  # so that it may open /dev/stdout again
    return out


def describe(birth: Birth, number: int) -> str:
    """What a standard stream is to be, for a message."""
    kinds = birth.recipe.get("stdio") or USUAL
    kind, path = kinds[1] if kinds[number][0] == "inherit" else kinds[number]
    named = birth.recipe.get("stream") if kind == "log" else path
    return named or "/dev/null"


def pass_on(birth: Birth) -> None:
    """Bring descriptors to the numbers that they are promised at: first all of them, and ours, out of the way."""
    if not birth.passed:
        return
    above = max(birth.passed) + 1
    if birth.report >= 0:
        birth.report = fcntl(birth.report, F_DUPFD_CLOEXEC, above)
    aside = {number: fcntl(fd, F_DUPFD_CLOEXEC, above) for number, fd in birth.passed.items()}
    for number, fd in aside.items():
        os.dup2(fd, number)
    if birth.listening:
        variables = {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(birth.listening)),
            "LISTEN_FDNAMES": ":".join(birth.listening),
        }
        birth.recipe = {**birth.recipe, "env": {**birth.recipe["env"], **variables}}
