"""What this host, and who runs Maestro on it, give for the specifiers of unit files."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import grp
import os
import pwd
from collections.abc import Mapping

from maestro.model.specifiers import Specifiers

_M_ARENA_MAX = -8  # mallopt(3)


def keep_one_heap() -> None:
    """Have all threads take memory from one heap, where the C library can: those of ours mostly wait.

    glibc gives each thread a heap of its own, and what is free in one is of no use to the others: with a thousand agents that
    is 0.5 MB.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def specifiers(environ: Mapping[str, str], root: str = "", run: str = "/run/maestro") -> Specifiers:
    """What holds for an installation: below `root`, or where that is empty where an ordinary user's files are."""
    uid, gid, kernel = os.geteuid(), os.getegid(), os.uname()
    home = environ.get("HOME", "/")
    try:
        account = pwd.getpwuid(uid)
        user, shell = account.pw_name, account.pw_shell or "/bin/sh"
    except KeyError:
        user, shell = environ.get("USER", str(uid)), "/bin/sh"
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = str(gid)
    temporary = next((environ[name] for name in ("TMPDIR", "TEMP", "TMP") if environ.get(name)), "")
    is_users = not root and uid != 0
    places = _places_of_a_user(environ, home) if is_users else _places_below(root or "/")
    return Specifiers(
        host=kernel.nodename,
        kernel=kernel.release,
        machine_id=_first_line("/etc/machine-id"),
        boot_id=boot_id().replace("-", ""),
        user=environ.get("USER", user),
        uid=uid,
        group=group,
        gid=gid,
        home=home,
        shell=shell,
        temporary=temporary or "/tmp",
        lasting_temporary=temporary or "/var/tmp",
        credentials=os.path.join(run, "credentials"),
        **places,
    )


def _places_below(root: str) -> dict[str, str]:
    return {
        "runtime": os.path.join(root, "run"),
        "state": os.path.join(root, "var/lib"),
        "cache": os.path.join(root, "var/cache"),
        "logs": os.path.join(root, "var/log"),
        "configuration": os.path.join(root, "etc"),
    }


def _places_of_a_user(environ: Mapping[str, str], home: str) -> dict[str, str]:
    """Where an ordinary user's files are, by the XDG base directory specification."""

    def place(variable: str, default: str) -> str:
        return environ.get(variable) or f"{home}/{default}"

    state = place("XDG_STATE_HOME", ".local/state")
    return {
        "runtime": environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}",
        "state": state,
        "cache": place("XDG_CACHE_HOME", ".cache"),
        "logs": f"{state}/log",
        "configuration": place("XDG_CONFIG_HOME", ".config"),
    }


@functools.cache  # read before the keeper hands us descriptors, of which there may be too many
def boot_id() -> str:
    return _first_line("/proc/sys/kernel/random/boot_id")


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""
