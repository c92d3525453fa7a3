"""What this host lets us do to confine an agent: tried once, in a process that ends at once."""

from __future__ import annotations

import ctypes
import os
import warnings
from collections.abc import Callable
from functools import cache, partial

from maestro.keeper import kernel
from maestro.ports import Abilities

_KINDS = {"mnt": 0x00020000, "uts": 0x04000000, "ipc": 0x08000000, "net": 0x40000000, "pid": 0x20000000}
_NEWUSER = 0x10000000
_BITS = {name: 1 << place for place, name in enumerate((*_KINDS, "user", "mounts", "proc"))}
_LANDLOCK_CREATE_RULESET, _MOUNT_SETATTR = 444, 442
_VERSION = 1
_SECCOMP = "/proc/sys/kernel/seccomp/actions_avail"
_SWITCHES = {  # file -> what it says where it forbids namespaces of users, and how that is called
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "kernel.unprivileged_userns_clone is 0"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "kernel.apparmor_restrict_unprivileged_userns is 1",
    ),
    "/proc/sys/user/max_user_namespaces": ("0", "user.max_user_namespaces is 0"),
}


@cache
def probe() -> Abilities:
    """A few milliseconds the first time; nothing afterwards."""
    able = _tried()
    found = {name for name, bit in _BITS.items() if able & bit}
    root = _is_root()
    none = not root and "user" not in found
    return Abilities(
        root=root,
        namespaces=frozenset(found & {*_KINDS, "user"}),
        mounts="mounts" in found,
        proc="proc" in found,
        landlock=_landlock(),
        seccomp=os.path.exists(_SECCOMP),
        reason=_why_not() if none else "",
    )


def _is_root() -> bool:
    """Whether we may make namespaces as we are: CAP_SYS_ADMIN."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) & 1 << 21)
    return False


def _tried() -> int:
    """A bit for each thing that worked in a child."""
    root, ids = _is_root(), (os.geteuid(), os.getegid())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that we have threads: the child only calls the kernel, and ends
        pid = os.fork()
    if pid == 0:
        able = 0
        try:
            able = _try_all(root, ids)
        finally:
            os._exit(able)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF


def _try_all(root: bool, ids: tuple[int, int]) -> int:
    able = 0
    if root:
        able = _BITS["user"] if _in_child(lambda: kernel.unshare(_NEWUSER)) else 0
    else:
        try:
            kernel.unshare(_NEWUSER)
            _map(ids)
        except OSError:
            return 0
        able = _BITS["user"]
    for name, flag in _KINDS.items():
        if _works(partial(kernel.unshare, flag)):
            able |= _BITS[name]
    if able & _BITS["mnt"] and _works(_mount):
        able |= _BITS["mounts"]
        if able & _BITS["pid"] and _in_child(lambda: kernel.mount("proc", "/proc", "proc", 14)):
            able |= _BITS["proc"]
    return able


def _map(ids: tuple[int, int]) -> None:
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{ids[0]} {ids[0]} 1"),
        ("gid_map", f"{ids[1]} {ids[1]} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _mount() -> None:
    """Our own view, and everything in it read-only."""
    kernel.mount("", "/", "", 1 << 14 | 1 << 18)
    words = (ctypes.c_uint64 * 4)(1, 0, 0, 0)
    kernel.syscall(_MOUNT_SETATTR, -100, b"/", 0x8000, words, ctypes.sizeof(words))


def _works(act: Callable[[], object]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def _in_child(act: Callable[[], object]) -> bool:
    """The first child after a pid namespace was made is in it."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _works(act) else 1)
    return os.waitpid(pid, 0)[1] == 0


def _landlock() -> int:
    try:
        return kernel.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def _why_not() -> str:
    for path, (forbids, words) in _SWITCHES.items():
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == forbids:
                    return words
        except OSError:
            continue
    return "namespaces of users are not allowed to it"
