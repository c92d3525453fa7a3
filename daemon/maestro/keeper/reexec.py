"""How the keeper becomes its own successor: same pid, same children, fresh code.

Everything that it knows goes into a memfd, every descriptor that counts loses close-on-exec, and exec does
the rest.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# The interpreter is isolated (-I) and reads no site packages (-S): the keeper needs neither, and an
# operator's PYTHONPATH must not be able to break the one process that must not break.
_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from maestro.keeper.begin import main; sys.exit(main(sys.argv))"
)

HEARTBEAT = 10.0  # seconds between two pings to the manager

NEW = "new"
ON_TRIAL = "trial"  # only to see whether the code can be imported


class Setting:
    """How the keeper was started: enough to start it again."""

    __slots__ = ("directory", "first_pause", "heartbeat", "manager", "python", "source")

    def __init__(
        self,
        python: str,
        source: str,
        directory: str,
        manager: list[str],
        first_pause: float = 0.2,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.python = python
        self.source = source  # directory that holds the package `maestro`
        self.directory = directory  # run directory: holds the lock
        self.manager = manager  # command line
        self.first_pause = first_pause
        self.heartbeat = heartbeat


def command(setting: Setting, state: str = NEW) -> list[str]:
    """The command line of stage 2. `state`: NEW, ON_TRIAL, or the descriptor to read the state from."""
    begin = [setting.python, "-I", "-S", "-c", _CODE]
    # One word for both times, the second only where it is not the usual: a keeper of another version reads it.
    times = f"{setting.first_pause:g}"
    if setting.heartbeat != HEARTBEAT:
        times += f",{setting.heartbeat:g}"
    return [*begin, setting.source, setting.directory, state, times, *setting.manager]


def parse(python: str, argv: list[str]) -> tuple[Setting, str]:
    """The inverse of `command`, from sys.argv of stage 2."""
    _, source, directory, state, times, *manager = argv
    return Setting(python, source, directory, manager, *map(float, times.split(","))), state


def save(state: dict[str, Any]) -> int:
    fd = os.memfd_create("maestro-keeper", 0)
    with open(fd, "wb", closefd=False) as file:
        file.write(marshal.dumps(state))
    return fd


def load(fd: int) -> dict[str, Any]:
    with open(fd, "rb") as file:
        file.seek(0)
        return marshal.loads(file.read())  # type: ignore[no-any-return]


def become(setting: Setting, state: dict[str, Any], descriptors: Iterable[int]) -> None:
    """Returns only by raising OSError, with all as it was before."""
    kept = list(descriptors)
    fd = save(state)
    try:
        _inherit(kept, True)
        os.execv(setting.python, command(setting, str(fd)))
    finally:
        _inherit(kept, False)
        os.close(fd)


def _inherit(descriptors: Iterable[int], wanted: bool) -> None:
    for fd in descriptors:
        os.set_inheritable(fd, wanted)


def take_over(descriptors: Iterable[int]) -> None:
    """In the successor: nothing of this is for the agents."""
    _inherit(descriptors, False)
