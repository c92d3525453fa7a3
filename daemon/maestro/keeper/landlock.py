"""Landlock: a process gives up whatever files, TCP ports and processes are not listed, for itself and all that comes of it.

It needs no privilege. What the kernel's version of it does not know is left out: files since Linux 5.13 (ABI 1), ports
since 6.7 (4), signals and abstract sockets since 6.12 (6).
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from maestro.keeper import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    Rule = tuple[str, str | int]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_VERSION = 1
_BENEATH, _PORT = 1, 2

_FILE = {"execute": 0b1, "write": 0b10, "read": 0b100, "list": 0b1000}
_REMOVE, _MAKE = 0b11 << 4, 0b1111111 << 6
_REFER, _TRUNCATE, _DEVICE = 1 << 13, 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11  # of characters, of blocks: CAP_MKNOD is asked as well
_OF_FILES = (
    _FILE["execute"] | _FILE["write"] | _FILE["read"] | _TRUNCATE | _DEVICE
)  # the rest is of directories

# What a rule says -> rights of the kernel.
RIGHTS = {
    "read": _FILE["read"] | _FILE["list"],
    "write": _FILE["write"] | _REMOVE | _MAKE & ~_MAKE_DEVICES | _REFER | _TRUNCATE | _DEVICE,
    "execute": _FILE["execute"],
    "devices": _MAKE_DEVICES,
    "nofollow": 0,  # of a symbolic link, nothing is allowed
}
PORTS = {"bind": 1, "connect": 2}
SCOPES = {"abstract-sockets": 1, "signals": 2}


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("fd", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("rights", ctypes.c_uint64), ("port", ctypes.c_uint64))


class Failed(OSError):
    """`doing` names the rule."""

    def __init__(self, number: int, doing: str) -> None:
        super().__init__(number, os.strerror(number))
        self.doing = doing


def version() -> int:
    """The ABI of this kernel; 0: it has no Landlock, or it is switched off."""
    try:
        return kernel.call("syscall", _CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(rules: tuple[Rule, ...], abi: int = 0) -> int:
    """Give up what no rule names, as far as this kernel knows how to. Returns the ABI that was used; 0: none.

    Each rule is of one of these forms:
        ("read write execute", "/path")  any words of RIGHTS; with `-` in front a path may be missing
        ("bind", 8080), ("connect", 443)
        ("scope", "signals"), ("scope", "abstract-sockets")
        ("handle", "files" | "bind" | "connect")  to give it up even where no rule names one
    """
    abi = min(abi, version()) if abi else version()
    handled = _handled(rules, abi)
    if not any((handled.files, handled.ports, handled.scopes)):
        return 0
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = kernel.call("syscall", _CREATE_RULESET, ctypes.byref(handled), size, 0)
    try:
        for what, which in rules:
            _add(ruleset, handled, what, which)
        try:
            kernel.call("syscall", _RESTRICT_SELF, ruleset, 0)
        except PermissionError:
            kernel.give_up_privileges()
            kernel.call("syscall", _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return abi


def _handled(rules: tuple[Rule, ...], abi: int) -> _Ruleset:
    files = ports = scopes = 0
    for what, which in rules:
        if what == "scope":
            scopes |= SCOPES[str(which)]
        elif what in PORTS or (what == "handle" and which != "files"):
            ports |= PORTS[str(which) if what == "handle" else what]
        else:
            files = RIGHTS["read"] | RIGHTS["write"] | RIGHTS["execute"] | RIGHTS["devices"]
    known = (1 << {0: 0, 1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    return _Ruleset(files & known, ports if abi >= 4 else 0, scopes if abi >= 6 else 0)


def _add(ruleset: int, handled: _Ruleset, what: str, which: str | int) -> None:
    try:
        if what in PORTS:
            if rights := PORTS[what] & handled.ports:
                port = _Port(rights, int(which))
                kernel.call("syscall", _ADD_RULE, ruleset, _PORT, ctypes.byref(port), 0)
        elif what not in ("scope", "handle") and handled.files:
            _beneath(ruleset, handled.files, what, str(which))
    except OSError as error:
        raise Failed(error.errno or errno.EINVAL, f"{what} {which}") from error


def _beneath(ruleset: int, files: int, what: str, path: str) -> None:
    try:
        follow = os.O_NOFOLLOW if "nofollow" in what else 0
        fd = os.open(path.removeprefix("-"), os.O_PATH | os.O_CLOEXEC | follow)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        if path.startswith("-"):
            return
        raise
    try:
        rights = 0
        for word in what.split():
            rights |= RIGHTS[word] & files
        mode = os.fstat(fd).st_mode
        if not stat.S_ISDIR(mode):
            rights = 0 if stat.S_ISLNK(mode) else rights & _OF_FILES
        if rights:
            beneath = _Beneath(rights, fd)
            kernel.call("syscall", _ADD_RULE, ruleset, _BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(fd)
