"""A daemon that an ordinary user runs, although the tests run as root, and their interpreter may be where only root may go."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from tests.system.harness import REPOSITORY, Daemon

NOBODY = 65534
_MADE = ("etc/maestro", "run/maestro", "var/lib/maestro", "var/log/maestro")

# In a mount namespace of its own, makes closed directories on the way to these paths passable; then it is somebody else.
_BECOME = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
uid = int(sys.argv.pop(1))
from maestro.keeper import kernel
from maestro.keeper.mounts import Layer
closed, needed, command = eval(sys.argv[1]), eval(sys.argv[2]), sys.argv[3:]
kernel.unshare(0x20000)
mounts = [("tmpfs", one, "mode=0755", 0, 0) for one in closed]
Layer().lay((*mounts, *(("tree", one, one, 0, 8) for one in needed)), "private")
os.setgroups(())
os.setresgid(*[uid] * 3)
os.setresuid(*[uid] * 3)
if not LASTING:
    kernel.prctl(4, 1)  # the change of users took our own /proc/self from us
    kernel.unshare(0x10000000)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{uid} {uid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")
os.execvp(command[0], command)
"""


def become_ordinary(daemon: Daemon, *, with_namespaces: bool = True) -> None:
    """Before its start: have it run as nobody, in folders that are nobody's; perhaps where nobody may make namespaces."""
    for name in _MADE:
        (daemon.root / name).mkdir(parents=True, exist_ok=True)
    for path in (daemon.root, *daemon.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    daemon.prefix = becoming(NOBODY, with_namespaces=with_namespaces)


def becoming(uid: int, *, with_namespaces: bool = True) -> tuple[str, ...]:
    """What to write before a command of our own interpreter, so that it is run by a user."""
    paths = [sys.prefix, sys.base_prefix, str(REPOSITORY)]
    closed = sorted({one for path in paths for one in _closed_above(path)})
    needed = [path for path in paths if any(path.startswith(f"{one}/") for one in closed)]
    code = _BECOME.replace("LASTING", str(with_namespaces))
    return (sys.executable, "-c", code, f"{REPOSITORY}/daemon", str(uid), repr(closed), repr(needed))


def _closed_above(path: str) -> list[str]:
    """The topmost directory on the way there that others may not pass."""
    for above in reversed(Path(path).parents):
        if not above.stat().st_mode & stat.S_IXOTH:
            return [str(above)]
    return []
