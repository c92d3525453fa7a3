"""Filters of system calls: from the record of what is filtered to programs for the kernel, by libseccomp.

Two or three small programs instead of one: the kernel runs all of a process's and the strictest answer counts, while
in one list of rules of libseccomp "mmap is allowed" would make "mmap of memory to write and execute is refused" void.
Where the kernel sees that a program allows a call whatever its arguments, it never runs it for that call.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache

from maestro.model.syscall_groups import calls_of
from maestro.model.syscall_lists import ANY, KILL, NAMESPACES, Chosen
from maestro.model.syscalls import SyscallFilter
from maestro.ports import NoSeccomp, SeccompPrograms

_LIBRARY = "libseccomp.so.2"
_KILL, _ALLOW, _LOG, _ERRNO = 0x80000000, 0x7FFF0000, 0x7FFC0000, 0x00050000
_BAD_ARCHITECTURE, _OPTIMIZE = 2, 8  # attributes
_BINARY_TREE = 2
_NOT_EQUAL, _GREATER, _MASKED = 1, 6, 7
_INT = 0xFFFFFFFF  # the kernel sees no more of an int, whatever stands in the rest of the register
_ARCHITECTURES = {
    "x86-64": "x86_64",
    "arm64": "aarch64",
    "mips-le": "mipsel",
    "mips64-le": "mipsel64",
    "mips64-n32": "mips64n32",
    "mips64-le-n32": "mipsel64n32",
    "ppc64-le": "ppc64le",
}
# Younger than libseccomp may be. From 424 on, a number is the same on every architecture.
_LATER = {
    name: number
    for number, name in enumerate(
        (
            *("cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait", "futex_requeue"),
            *(
                "statmount",
                "listmount",
                "lsm_get_self_attr",
                "lsm_set_self_attr",
                "lsm_list_modules",
                "mseal",
            ),
            *("setxattrat", "getxattrat", "listxattrat", "removexattrat", "open_tree_attr", "file_getattr"),
            "file_setattr",
        ),
        451,
    )
}
_OF_X86_64 = {"uretprobe": 335, "uprobe": 336}

_PROT_WRITE, _PROT_EXEC, _SHM_EXEC = 2, 4, 0o100000
_O_CREAT, _O_TMPFILE = 0o100, 0o20000000
_SET_ID = (0o4000, 0o2000)
_USUAL_SCHEDULING = (0, 3, 5)  # other, batch, idle
_PR_GET_SECCOMP, _PR_GET_MDWE = 21, 66


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("how", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


_Test = tuple[int, int, int, int]  # argument, how, and the one or two values
_Rule = tuple[int, str, tuple[_Test, ...]]  # action, call, and what must hold of its arguments


def masked(argument: int, mask: int, value: int) -> _Test:
    return (argument, _MASKED, mask, value)


class Seccomp:
    """The driver. It can be made, and asked what is missing, where there is no libseccomp."""

    def __init__(self, library: str = _LIBRARY) -> None:
        self._name = library

    @cached_property
    def _library(self) -> ctypes.CDLL | None:
        """Loaded when the first filter is asked for: most hosts have none."""
        try:
            return _declared(ctypes.CDLL(self._name))
        except OSError:
            return None

    def missing(self) -> str:
        """Why there are no filters here; empty: there are."""
        if self._library is None:
            return "libseccomp is not installed: the package is libseccomp2 or libseccomp"
        if ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
            return "this kernel has no seccomp"
        return ""

    def programs(self, wanted: SyscallFilter) -> SeccompPrograms:
        """Equal records are compiled once."""
        why = self.missing()
        if why or self._library is None:
            raise NoSeccomp(f"system calls cannot be filtered: {why}")
        return _compiled(self._library, wanted)


@lru_cache(maxsize=256)
def _compiled(library: ctypes.CDLL, wanted: SyscallFilter) -> SeccompPrograms:
    in_kernel = not wanted.write_execute and _kernel_denies_write_execute()
    made = []
    if arguments := list(_argument_rules(wanted, in_kernel)):
        made.append(_program(library, _ALLOW, arguments, wanted.architectures))
    if wanted.log is not None:
        default, special = (_ALLOW, _LOG) if wanted.log.allows else (_LOG, _ALLOW)
        noted = [(special, call, ()) for call, _ in wanted.log.members]
        made.append(_program(library, default, noted, wanted.architectures))
    if wanted.calls is not None:
        default, rules = _call_rules(wanted.calls, wanted.error)
        made.append(_program(library, default, rules, wanted.architectures))
    if not made:
        made.append(
            _program(library, _ALLOW, [], wanted.architectures)
        )  # architectures are filtered, and no more
    return SeccompPrograms(programs=tuple(made), deny_write_execute=in_kernel)


def _kernel_denies_write_execute() -> bool:
    """Since Linux 6.3 a process may ask for that itself; a filter knows less: two mappings of one file go around it."""
    return bool(ctypes.CDLL(None).prctl(_PR_GET_MDWE, 0, 0, 0, 0) >= 0)


# ------------------------------------------------------------------------------------------------ rules


def _call_rules(calls: Chosen, error: int) -> tuple[int, list[_Rule]]:
    """The default, and a rule for each call that is something else.

    A list of what is allowed answers ENOSYS to what is in no group at all: programs try calls that are younger than
    they know the kernel to be, and go on without.
    """
    if not calls.allows:
        return _ALLOW, [(_refusal(own, error), call, ()) for call, own in calls.members]
    allowed = dict(calls.members)
    rules: list[_Rule] = [
        (_ALLOW if own == ANY else _refusal(own, error), call, ()) for call, own in allowed.items()
    ]
    return _refusal(errno.ENOSYS, error), rules + [
        (_refusal(ANY, error), call, ()) for call in sorted(calls_of("@known") - allowed.keys())
    ]


def _refusal(own: int, error: int) -> int:
    number = error if own == ANY else own
    return _KILL if number == KILL else _ERRNO | number


def _argument_rules(wanted: SyscallFilter, in_kernel: bool) -> Iterator[_Rule]:
    yield from ((_ERRNO | errno.EPERM, call, ()) for call in wanted.refused)
    if wanted.families is not None:
        yield from _families(wanted.families)
    if wanted.namespaces is not None:
        yield from _namespaces(wanted.namespaces)
    if not wanted.write_execute and not in_kernel:
        yield from _write_execute()
    if not wanted.realtime:
        yield from _realtime()
    if not wanted.suid_sgid:
        yield from _set_id()
    if wanted.personality is not None:
        yield _ERRNO | errno.EPERM, "personality", ((0, _NOT_EQUAL, wanted.personality, 0),)


def _write_execute() -> Iterator[_Rule]:
    refuse = _ERRNO | errno.EPERM
    both = _PROT_WRITE | _PROT_EXEC
    yield from ((refuse, call, (masked(2, both, both),)) for call in ("mmap", "mmap2"))
    yield from (
        (refuse, call, (masked(2, _PROT_EXEC, _PROT_EXEC),)) for call in ("mprotect", "pkey_mprotect")
    )
    yield refuse, "shmat", (masked(2, _SHM_EXEC, _SHM_EXEC),)


def _realtime() -> Iterator[_Rule]:
    refuse = _ERRNO | errno.EPERM
    for policy in range(max(_USUAL_SCHEDULING)):
        if policy not in _USUAL_SCHEDULING:
            yield refuse, "sched_setscheduler", (masked(1, _INT, policy),)
    yield refuse, "sched_setscheduler", ((1, _GREATER, max(_USUAL_SCHEDULING), 0),)
    yield refuse, "sched_setattr", ()  # its policy is in memory, where no filter looks


def _families(families: Chosen) -> Iterator[_Rule]:
    """Compared one by one up to the largest, and above it as one; never for equality in 64 bits, of which the kernel sees 32."""
    refuse = _ERRNO | errno.EAFNOSUPPORT
    numbers = {int(name) for name, _ in families.members}
    if not families.allows:
        yield from ((refuse, "socket", (masked(0, _INT, number),)) for number in sorted(numbers))
    elif not numbers:
        yield refuse, "socket", ()
    else:
        yield refuse, "socket", ((0, _GREATER, max(numbers), 0),)
        yield from (
            (refuse, "socket", (masked(0, _INT, n),)) for n in range(max(numbers)) if n not in numbers
        )


def _namespaces(kept: int) -> Iterator[_Rule]:
    refuse = _ERRNO | errno.EPERM
    yield _ERRNO | errno.ENOSYS, "clone3", ()  # its flags are in memory; the C library then takes clone
    if not kept:
        yield refuse, "setns", ()
    else:
        yield refuse, "setns", (masked(1, _INT, 0),)  # whatever the descriptor is of
    for flag in NAMESPACES.values():
        if not kept & flag:
            yield refuse, "unshare", (masked(0, flag, flag),)
            if flag != NAMESPACES["time"]:  # in clone, these bits are the signal that its end sends
                yield refuse, "clone", (masked(0, flag, flag),)
            if kept:
                yield refuse, "setns", (masked(1, flag, flag),)


def _set_id() -> Iterator[_Rule]:
    """The mode is the argument of each call that has this place."""
    refuse = _ERRNO | errno.EPERM
    modes = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mkdir": 1, "mkdirat": 2}
    modes |= {"mknod": 1, "mknodat": 2, "creat": 1}
    for bit in _SET_ID:
        yield from ((refuse, call, (masked(place, bit, bit),)) for call, place in modes.items())
        for makes in (_O_CREAT, _O_TMPFILE):
            yield refuse, "open", (masked(1, makes, makes), masked(2, bit, bit))
            yield refuse, "openat", (masked(2, makes, makes), masked(3, bit, bit))
    yield _ERRNO | errno.ENOSYS, "openat2", ()  # its mode is in memory; those who use it can do without


# ------------------------------------------------------------------------------------------------ libseccomp


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    context = ctypes.c_void_p
    library.seccomp_init.restype = context
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (context,)
    library.seccomp_release.restype = None
    library.seccomp_attr_set.argtypes = (context, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_arch_add.argtypes = library.seccomp_arch_remove.argtypes = (context, ctypes.c_uint32)
    library.seccomp_arch_resolve_name.argtypes = library.seccomp_syscall_resolve_name.argtypes = (
        ctypes.c_char_p,
    )
    library.seccomp_arch_resolve_name.restype = library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_merge.argtypes = (context, context)
    library.seccomp_rule_add_array.argtypes = (
        *(context, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Compare),
    )
    library.seccomp_export_bpf.argtypes = (context, ctypes.c_int)
    return library


def _program(
    library: ctypes.CDLL, default: int, rules: Iterable[_Rule], architectures: Iterable[str]
) -> bytes:
    """One program for all architectures that are let in; the calls of any other kill the process."""
    native = library.seccomp_arch_native()
    tokens = {_token(library, name): name for name in architectures if name != "native"}
    kept = [rule for rule in rules if rule[0] != default]
    whole = _context(library, default, kept, native, native)
    try:
        for token, name in sorted(tokens.items()):
            if token != native:
                part = _context(library, default, kept, token, native)
                _check(library.seccomp_merge(whole, part), f"filtering {name} beside this machine's calls")
        return _exported(library, whole)
    finally:
        library.seccomp_release(whole)


def _token(library: ctypes.CDLL, name: str) -> int:
    token = int(library.seccomp_arch_resolve_name(_ARCHITECTURES.get(name, name).encode()))
    if not token:
        raise NoSeccomp(f"system calls cannot be filtered: libseccomp knows no architecture {name}")
    return token


def _context(library: ctypes.CDLL, default: int, rules: list[_Rule], token: int, native: int) -> int:
    context: int | None = library.seccomp_init(default)
    if context is None:
        raise NoSeccomp("system calls cannot be filtered: libseccomp could not begin")
    _check(library.seccomp_attr_set(context, _BAD_ARCHITECTURE, _KILL), "refusing other architectures")
    library.seccomp_attr_set(context, _OPTIMIZE, _BINARY_TREE)  # which a libseccomp before 2.5 does not know
    if token != native:
        _check(library.seccomp_arch_add(context, token), "filtering another architecture's calls")
        _check(library.seccomp_arch_remove(context, native), "filtering another architecture's calls")
    for action, call, tests in rules:
        _add(library, context, action, call, tests, own=token == native)
    return context


def _add(
    library: ctypes.CDLL, context: int, action: int, call: str, tests: tuple[_Test, ...], *, own: bool
) -> None:
    number = library.seccomp_syscall_resolve_name(call.encode())
    if number == -1:
        number = _number(call) if own else -1
        if number < 0:
            return  # of another architecture, or of no kernel that this library knows: nobody can make it
    array = (_Compare * len(tests))(*(_Compare(*test) for test in tests))
    done = library.seccomp_rule_add_array(context, action, number, len(tests), array)
    if done not in (0, -errno.EDOM, -errno.EEXIST):
        _check(done, f"filtering {call}")


def _number(call: str) -> int:
    if os.uname().machine == "x86_64" and call in _OF_X86_64:
        return _OF_X86_64[call]
    return _LATER.get(call, -1)


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        _check(library.seccomp_export_bpf(context, fd), "writing the program")
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _check(status: int, doing: str) -> None:
    if status < 0:
        raise NoSeccomp(f"system calls cannot be filtered: {doing} failed: {os.strerror(-status)}")
