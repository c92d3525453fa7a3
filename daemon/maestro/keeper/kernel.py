"""What the kernel offers and the standard library does not, or not in one word."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any
else:
    import _signal as signal

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PROTECTED = -1000
_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272}

_CLONE3 = 435  # everywhere
_CLONE_INTO_CGROUP = 1 << 33
_CLONE_ARGS = 11  # 64-bit words; the fifth is the signal of its end, the last the group's descriptor
_SET_IDS = {  # machine -> setgroups, setresgid, setresuid
    "x86_64": (116, 119, 117),
    "aarch64": (159, 149, 147),
    "riscv64": (159, 149, 147),
}

_NOBODY = 0xFFFFFFFF  # means "no change" to the kernel

libc = ctypes.CDLL(None, use_errno=True)
_python = ctypes.PyDLL(None, use_errno=True)  # calls that keep the interpreter's lock


def call(name: str, *arguments: Any) -> int:
    """A function of the C library that says -1 and sets errno where it fails; each number is passed as a long."""
    longs = (ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    return _checked(getattr(libc, name)(*longs))


def give_up_privileges() -> None:
    """For good: whatever it executes, set-uid programs too. The kernel asks this of those who bind themselves and are not root."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def syscall(number: int, *arguments: Any) -> int:
    """A system call by its number. Numbers among the arguments are passed as the kernel takes them."""
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(libc.syscall(ctypes.c_long(number), *words))


def prctl(option: int, *arguments: int) -> int:
    words = [ctypes.c_ulong(one) for one in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(libc.prctl(option, *words))


def unshare(flags: int) -> None:
    _checked(libc.unshare(flags))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    texts = [os.fsencode(one) if one else None for one in (source, target, kind, data)]
    _checked(libc.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def parent_outside() -> int:
    """The parent's pid as /proc has it: to the first process of a pid namespace, os.getppid() is 0."""
    fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(fd, 4096).rpartition(b")")[2].split()[1])
    finally:
        os.close(fd)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int) -> None:
    """Be sent signal `number` when the parent ends; 0: outlive it. A change of user id clears it."""
    libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def avoid_oom_killer() -> int | None:
    """Be the last that is killed for want of memory. Returns the old score; None: not allowed."""
    try:
        old = int(_score(None) or b"0")
        _score(b"%d" % _PROTECTED)
    except OSError:
        return None
    return old


def set_oom_score(score: int) -> None:
    _score(b"%d" % score)


def _score(new: bytes | None) -> bytes:
    flags = os.O_RDONLY if new is None else os.O_WRONLY
    fd = os.open("/proc/self/oom_score_adj", flags | os.O_CLOEXEC)
    try:
        return os.read(fd, 16) if new is None else bytes(os.write(fd, new))
    finally:
        os.close(fd)


def take_all_descriptors() -> None:
    """Raise the soft limit on descriptors to the hard one; children get theirs set anew."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:  # noqa: SIM105 (contextlib costs the keeper memory)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        pass  # the old limit will do


def tidy_descriptors() -> None:
    """Keep 0, 1 and 2 only; and have all three, so that nothing of ours gets their numbers."""
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    fd = os.open("/dev/null", os.O_RDWR)
    while fd <= 2:
        os.set_inheritable(fd, True)
        fd = os.open("/dev/null", os.O_RDWR)
    os.close(fd)


def is_same_file(one: int, other: int) -> bool:
    """Whether two descriptors are of one description. Where the kernel does not say, only sockets are known to be."""
    number = _KCMP.get(os.uname().machine)
    found = -1 if number is None else libc.syscall(number, os.getpid(), os.getpid(), 0, one, other)
    if found >= 0:
        return bool(found == 0)
    first, second = os.fstat(one), os.fstat(other)
    return stat.S_ISSOCK(first.st_mode) and (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def clone(flags: int, group: int = -1) -> int:
    """As os.fork, and the child begins in these new namespaces, and in the control group (v2) of this descriptor. Raises OSError.

    The first process of a pid namespace has to be born in it. And to be moved into a group afterwards costs 6 ms: the
    kernel waits for every processor. The C library knows nothing of this fork: what it has to do for several threads
    (`set_ids`) is not for it to do in the child.
    """
    words = (ctypes.c_uint64 * _CLONE_ARGS)()
    words[0], words[4] = flags, signal.SIGCHLD
    if group >= 0:
        words[0], words[10] = flags | _CLONE_INTO_CGROUP, group
    _python.PyOS_BeforeFork()
    pid = int(_python.syscall(_CLONE3, words, ctypes.sizeof(words)))
    if pid == 0:
        _python.PyOS_AfterFork_Child()
        return 0
    number = ctypes.get_errno()
    _python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise OSError(number, os.strerror(number))
    return pid


def set_ids(groups: tuple[int, ...] | None, gid: int | None, uid: int | None) -> None:
    """Supplementary groups, group and user of this process, which has one thread; None leaves one as it is. Raises OSError.

    Not by the C library: that would wait for the threads that the parent had.
    """
    if any(not 0 <= one < _NOBODY for one in (*(groups or ()), gid or 0, uid or 0)):
        raise OSError(
            errno.EINVAL, os.strerror(errno.EINVAL)
        )  # the kernel takes 32 bits of it, which may be root's
    numbers = _SET_IDS.get(os.uname().machine)
    if numbers is None:
        _set_ids_by_library(groups, gid, uid)
        return
    set_groups, set_gid, set_uid = numbers
    if groups is not None:
        _call(set_groups, len(groups), (ctypes.c_uint32 * len(groups))(*groups))
    if gid is not None:
        _call(set_gid, *(ctypes.c_uint32(gid),) * 3)
    if uid is not None:
        _call(set_uid, *(ctypes.c_uint32(uid),) * 3)


def _set_ids_by_library(groups: tuple[int, ...] | None, gid: int | None, uid: int | None) -> None:
    if groups is not None:
        os.setgroups(groups)
    if gid is not None:
        os.setresgid(gid, gid, gid)
    if uid is not None:
        os.setresuid(uid, uid, uid)


def _call(number: int, *arguments: object) -> None:
    if libc.syscall(number, *arguments) < 0:
        failed = ctypes.get_errno() or errno.EIO
        raise OSError(failed, os.strerror(failed))


def send_by_pidfd(fd: int, number: int) -> None:
    try:  # noqa: SIM105 (contextlib costs the keeper memory)
        signal.pidfd_send_signal(fd, number)
    except (ProcessLookupError, PermissionError):
        pass  # it is gone, or became someone whom we may not signal
