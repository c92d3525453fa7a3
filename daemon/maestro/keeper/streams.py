"""What a new process has as its standard streams, and which further descriptors at which numbers."""

from __future__ import annotations

import os
import stat
from fcntl import F_DUPFD_CLOEXEC, fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.child import Birth
    from maestro.keeper.store import Kept

USUAL = (("null", ""), ("log", ""), ("inherit", ""))  # kind and path of stdin, stdout, stderr
_ERROR = 2
_STORED = ("fd", "socket")
_WHICH = ("input", "output", "error output")
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
    elif kind in _STORED:
        os.dup2(birth.given[kind, path], number)
        os.set_blocking(number, True)  # whatever it was to the process that left it
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
    if kind in _STORED:
        return f"{kind}:{path}".rstrip(":")
    named = birth.recipe.get("stream") if kind == "log" else path
    return named or "/dev/null"


class NotStored(Exception):
    """Words that complete "cannot ..."."""


def choose(recipe: dict[str, Any], kept: list[Kept]) -> dict[tuple[str, str], int]:
    """The stored descriptors that are to be standard streams, by kind and name: of several of one name the first."""
    given = {}
    for which, (kind, name) in zip(_WHICH, recipe.get("stdio", ()), strict=False):
        if kind == "fd":
            fitting = [one.fd for one in kept if one.name == name]
            if not fitting:
                raise NotStored(f"open its {which} fd:{name}: no stored descriptor has this name")
        elif kind == "socket":
            fitting = [one.fd for one in kept if stat.S_ISSOCK(os.fstat(one.fd).st_mode)]
            if len(fitting) != 1:
                found = (
                    f"{len(fitting)} stored descriptors are sockets: name one"
                    if fitting
                    else "none is stored"
                )
                raise NotStored(f"open its {which} socket: {found}")
        else:
            continue
        given[kind, name] = fitting[0]
    return given


def pass_on(birth: Birth) -> None:
    """Bring descriptors to the numbers that they are promised at: first all of them, and ours, out of the way."""
    if not birth.passed:
        return
    above = max(birth.passed) + 1
    if birth.report >= 0:
        birth.report = fcntl(birth.report, F_DUPFD_CLOEXEC, above)
    if birth.gate >= 0:
        birth.gate = fcntl(birth.gate, F_DUPFD_CLOEXEC, above)
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
