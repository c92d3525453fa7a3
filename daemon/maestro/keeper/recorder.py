"""Recipe -> tape: what the steps of steps.py would do after the streams, decided beforehand.

Imported when the first agent is started that takes it. What few ask for is not taken down: such a child is forked, and so is one
whose tape failed, for the steps say in words what it was.
"""

from __future__ import annotations

import errno
import os
import resource
import sys

from maestro.keeper import capabilities, namespaces, seccomp
from maestro.keeper.recorder_mounts import Laying
from maestro.keeper.tape import ANY, Label, Register, Tape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maestro.keeper.tape import Finished

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_SIGPIPE, _IGNORED = 13, 1
_HERE = -100
_KNOWN = tuple(capabilities.known())
_OURS = tuple(number for number in _KNOWN if capabilities.has(number))  # which we never change
_TAKEN = frozenset({"namespaces", "capabilities", "mounts", "propagation", "no_new_privileges", "seccomp"})
_SPACES = frozenset({"alone", "clone", "unshare", "loopback"})
# What is the same from start to start as long as the agent's definition is.
LASTING = (
    "sandbox", "uid", "gid", "groups", "umask", "rlimits", "ignore_sigpipe", "cwd", "cwd_may_fail",
)  # fmt: skip


def fits(sandbox: dict[str, Any]) -> bool:
    """Whether a sandbox can be taken down."""
    spaces = sandbox.get("namespaces", {})
    return (
        not any(value for name, value in sandbox.items() if name not in _TAKEN)
        and not any(value for name, value in spaces.items() if name not in _SPACES)
        and not spaces.get("clone", 0) & namespaces.NEWUSER
    )


def record(recipe: dict[str, Any], open_files: tuple[int, int], shares: dict[str, int]) -> Finished:
    """Raises tape.TooLong. `shares`: of what its user may have, where it is to be alone in a namespace of users."""
    tape = Tape()
    sandbox = recipe.get("sandbox", {})
    if recipe.get("ignore_sigpipe"):
        tape.do("rt_sigaction", _SIGPIPE, tape.data(_IGNORED.to_bytes(8, sys.byteorder) + bytes(24)), 0, 8)
    accounts = _namespaces(tape, sandbox.get("namespaces", {}))
    if "mounts" in sandbox or "propagation" in sandbox:
        Laying(tape).lay(
            sandbox.get("mounts", ()), sandbox.get("propagation", "slave"), recipe.get("umask", 0o022)
        )
    _groups(tape, recipe)
    _limits(tape, recipe.get("rlimits", ()), open_files)
    _user(tape, recipe, accounts, shares)
    _enter_directory(tape, recipe)
    if sandbox.get("no_new_privileges"):
        tape.do("prctl", capabilities.PR_SET_NO_NEW_PRIVS, 1)
    tape.do("prctl", _PR_SET_PDEATHSIG, 0)
    if sandbox.get("seccomp"):
        _filter(tape, *sandbox["seccomp"])
    return tape.finished()


def shares() -> dict[str, int]:
    """What an agent may have that is alone in a namespace of users."""
    accounts = namespaces.open_accounts()
    try:
        return namespaces.shares(accounts)
    finally:
        if accounts >= 0:
            os.close(accounts)


def _namespaces(tape: Tape, spaces: dict[str, Any]) -> Register:
    accounts = tape.register()
    if spaces.get("alone"):
        how = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        tape.do("openat", _HERE, namespaces.ACCOUNTS, how, result=accounts, on={ANY: None})
    if flags := spaces.get("unshare", 0):
        tape.do("unshare", flags)
    if spaces.get("loopback"):
        probe = tape.register()
        tape.do("socket", *namespaces.PROBE, 0, result=probe)
        tape.do("ioctl", probe, namespaces.SET_FLAGS, tape.data(namespaces.LOOPBACK_UP))
    return accounts


def _groups(tape: Tape, recipe: dict[str, Any]) -> None:
    uid, gid, groups = recipe.get("uid"), recipe.get("gid"), recipe.get("groups", ())
    if uid is not None or gid is not None or groups:
        words = b"".join(one.to_bytes(4, sys.byteorder) for one in groups)
        tape.do("setgroups", len(groups), tape.data(words))
    if gid is not None:
        tape.do("setresgid", gid, gid, gid)


def _user(tape: Tape, recipe: dict[str, Any], accounts: Register, shares: dict[str, int]) -> None:
    """Its user, and what that may do of what root may do."""
    sandbox, uid, gid = recipe.get("sandbox", {}), recipe.get("uid"), recipe.get("gid")
    given, alone = sandbox.get("capabilities", {}), sandbox.get("namespaces", {}).get("alone")
    if "bounding" in given:
        _bound(tape, given["bounding"], _OURS)
    if given.get("ambient") or alone:
        tape.do("prctl", capabilities.PR_SET_KEEPCAPS, 1)
    if uid is not None:
        tape.do("setresuid", uid, uid, uid)
    if alone:
        _be_alone(tape, os.geteuid() if uid is None else uid, os.getegid() if gid is None else gid)
        for name, most in shares.items():
            _write(tape, accounts, name, b"%d" % most, may_miss=True)
        if "bounding" in given:  # a new user namespace begins with all of them
            _bound(tape, given["bounding"], _KNOWN)
    if given.get("ambient"):
        _raise_ambient(tape, given["ambient"])


def _limits(tape: Tape, limits: tuple[tuple[int, int, int], ...], open_files: tuple[int, int]) -> None:
    files = (resource.RLIMIT_NOFILE, *open_files)
    for number, soft, most in limits if any(n == files[0] for n, *_ in limits) else (files, *limits):
        words = b"".join((one & 0xFFFFFFFFFFFFFFFF).to_bytes(8, sys.byteorder) for one in (soft, most))
        tape.do("prlimit64", 0, number, tape.data(words), 0)


def _bound(tape: Tape, kept: tuple[int, ...], has: tuple[int, ...]) -> None:
    for number in has:
        if number not in kept:
            tape.do("prctl", capabilities.PR_CAPBSET_DROP, number)


def _be_alone(tape: Tape, uid: int, gid: int) -> None:
    if uid != 0:
        _have(tape, 1 << capabilities.SYS_ADMIN, 0)
    tape.do("prctl", _PR_SET_DUMPABLE, 1)
    tape.do("unshare", namespaces.NEWUSER)
    for name, text in namespaces.maps(uid, gid):
        _write(tape, _HERE, f"/proc/self/{name}", text)


def _write(tape: Tape, where: int, path: str, text: bytes, *, may_miss: bool = False) -> None:
    fd, after = tape.register(), Label()
    on = {ANY: after} if may_miss else {}
    tape.do("openat", where, path, os.O_WRONLY | os.O_CLOEXEC, result=fd, on=on)
    tape.do("write", fd, tape.data(text), len(text))
    tape.here(after)


def _raise_ambient(tape: Tape, numbers: tuple[int, ...]) -> None:
    mask = sum(1 << number for number in numbers)
    _have(tape, mask, mask)
    for number in numbers:
        tape.do("prctl", capabilities.PR_CAP_AMBIENT, capabilities.RAISE, number)


def _have(tape: Tape, mask: int, inheritable: int) -> None:
    header, data = capabilities.words(mask, inheritable)
    tape.do("capset", tape.data(bytes(header)), tape.data(bytes(data)))


def _enter_directory(tape: Tape, recipe: dict[str, Any]) -> None:
    after = Label()
    if recipe.get("cwd_may_fail"):
        tape.do("chdir", recipe.get("cwd", "/"), then=after, on={ANY: None})
        tape.do("chdir", "/")
    else:
        tape.do("chdir", recipe.get("cwd", "/"))
    tape.here(after)


def _filter(
    tape: Tape, programs: tuple[bytes, ...], log: bool = False, deny_write_execute: bool = False
) -> None:
    if deny_write_execute:
        tape.do("prctl", seccomp.PR_SET_MDWE, seccomp.REFUSE_EXEC_GAIN, 0, 0, 0)
    flags = seccomp.LOG if log else 0
    for program in programs:
        words = (len(program) // seccomp.INSTRUCTION).to_bytes(8, sys.byteorder)
        loading = tape.data(words + tape.data(program).to_bytes(8, sys.byteorder))
        after = Label()
        refused = {errno.EPERM: None, errno.EACCES: None}
        tape.do("seccomp", seccomp.SET_MODE_FILTER, flags, loading, then=after, on=refused)
        tape.do("prctl", capabilities.PR_SET_NO_NEW_PRIVS, 1)
        tape.do("seccomp", seccomp.SET_MODE_FILTER, flags, loading)
        tape.here(after)
