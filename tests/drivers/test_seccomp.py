"""Programs that filter system calls: what each answers, as run by an interpreter of our own."""

from __future__ import annotations

import errno
import platform
import socket
from typing import Any

import pytest

from maestro.drivers import seccomp
from maestro.drivers.seccomp import Seccomp
from maestro.model.syscall_lists import ANY, KILL, NAMESPACES, Chosen, FamilyList, NamespaceList, SyscallList
from maestro.model.syscalls import SyscallFilter, SyscallOptions, filter_of, on_level
from maestro.ports import NoSeccomp
from tests.bpf import ALLOW, AUDIT_I386, AUDIT_X86_64, LOG, answer, number_of
from tests.bpf import KILL as KILLED

pytestmark = [
    pytest.mark.skipif(bool(Seccomp().missing()), reason=Seccomp().missing()),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers and places are those of x86-64"),
]
HIGH = 1 << 32  # in the half of a register where the kernel does not look at an int
WITHOUT_MDWE = 0x7FFFFFFF


def said(wanted: SyscallFilter, call: str, *arguments: int) -> set[str | int]:
    """What the programs answer, but for those that say nothing against it."""
    made = Seccomp().programs(wanted)
    answers = {answer(program, number_of(call), *arguments) for program in made.programs}
    return answers - {ALLOW} or {ALLOW}


def chosen(*lines: str) -> Chosen | None:
    return SyscallList(lines).chosen


# ------------------------------------------------------------------------------------------------ lists


def test_what_is_not_listed_is_refused_as_asked() -> None:
    for error, seen in ((KILL, KILLED), (errno.EPERM, errno.EPERM)):
        wanted = SyscallFilter(calls=chosen("read", "~write:EIO"), error=error)
        assert said(wanted, "read") == {ALLOW}
        assert said(wanted, "execve") == {ALLOW}
        assert said(wanted, "mount") == {seen}
    assert said(SyscallFilter(calls=chosen("write", "~write:EIO")), "write") == {errno.EIO}


def test_what_is_younger_than_all_lists_does_not_exist() -> None:
    [program] = Seccomp().programs(SyscallFilter(calls=chosen("@system-service"), error=KILL)).programs
    assert answer(program, 999) == errno.ENOSYS
    assert answer(program, 462) == errno.ENOSYS  # mseal


def test_what_libseccomp_does_not_know_can_be_named() -> None:
    [program] = Seccomp().programs(SyscallFilter(calls=chosen("@system-service mseal"))).programs
    assert answer(program, 462) == ALLOW
    assert answer(program, 335) == ALLOW  # uretprobe, in @default
    [program] = Seccomp().programs(SyscallFilter(calls=chosen("~cachestat:EIO mseal:kill"))).programs
    assert [answer(program, number) for number in (451, 462, 0)] == [errno.EIO, KILLED, ALLOW]


def test_what_is_not_allowed_is_refused() -> None:
    wanted = SyscallFilter(calls=chosen("~mount:ENOENT ptrace:kill bpf"), error=errno.EACCES)
    assert said(wanted, "mount") == {errno.ENOENT}
    assert said(wanted, "ptrace") == {KILLED}
    assert said(wanted, "bpf") == {errno.EACCES}
    assert said(wanted, "read") == {ALLOW}


def test_noted_calls() -> None:
    some = SyscallFilter(log=Chosen(True, (("mount", ANY),)))
    assert (said(some, "mount"), said(some, "read")) == ({LOG}, {ALLOW})
    others = SyscallFilter(log=Chosen(False, (("read", ANY),)))
    assert (said(others, "mount"), said(others, "read")) == ({LOG}, {ALLOW})


# ------------------------------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("lines", "allowed", "refused"),
    [
        (["AF_UNIX AF_INET AF_INET6"], (1, 2, 10), (0, 3, 9, 11, 16, 17, 40, 2**31, -1 & (1 << 64) - 1)),
        (["none"], (), (0, 1, 2, 17)),
        (["~AF_PACKET AF_VSOCK"], (1, 2, 16), (17, 40, 17 | HIGH)),
    ],
)
def test_families(lines: list[str], allowed: tuple[int, ...], refused: tuple[int, ...]) -> None:
    wanted = SyscallFilter(families=FamilyList(lines).chosen)
    for family in allowed:
        assert said(wanted, "socket", family) == {ALLOW}
    for family in refused:
        assert said(wanted, "socket", family) == {errno.EAFNOSUPPORT}
    assert said(wanted, "socketpair", socket.AF_UNIX) == {ALLOW}


def test_no_high_bits_make_a_refused_family_another() -> None:
    wanted = SyscallFilter(families=FamilyList(["AF_UNIX AF_NETLINK"]).chosen)
    for family in range(46):
        assert said(wanted, "socket", family | HIGH) != {ALLOW}


def test_namespaces() -> None:
    none = SyscallFilter(namespaces=0)
    some = SyscallFilter(namespaces=NAMESPACES["user"] | NAMESPACES["mnt"])
    for name, flag in NAMESPACES.items():
        allowed = {ALLOW} if name in ("user", "mnt") else {errno.EPERM}
        assert said(none, "unshare", flag) == {errno.EPERM}
        assert said(some, "unshare", flag) == allowed
        assert said(some, "setns", 3, flag) == allowed
        if name != "time":
            assert said(none, "clone", flag | 17) == {errno.EPERM}
            assert said(some, "clone", flag | 17) == allowed
    assert said(none, "clone", 17) == said(none, "clone", 0x3D0F00) == {ALLOW}  # fork, a thread
    assert said(none, "clone3") == said(some, "clone3") == {errno.ENOSYS}
    assert (
        said(none, "setns", 3, 0)
        == said(some, "setns", 3, 0)
        == said(some, "setns", 3, HIGH)
        == {errno.EPERM}
    )
    assert said(some, "unshare", 0x200) == {ALLOW}  # of files


def test_memory_that_is_written_is_not_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Seccomp().programs(SyscallFilter(write_execute=False)).deny_write_execute == _kernel_has_mdwe()
    monkeypatch.setattr(seccomp, "_PR_GET_MDWE", WITHOUT_MDWE)
    seccomp._compiled.cache_clear()
    wanted = SyscallFilter(write_execute=False)
    assert not Seccomp().programs(wanted).deny_write_execute
    assert said(wanted, "mmap", 0, 4096, 7) == said(wanted, "mmap", 0, 4096, 6) == {errno.EPERM}
    assert said(wanted, "mmap", 0, 4096, 5) == said(wanted, "mmap", 0, 4096, 3) == {ALLOW}
    for call in ("mprotect", "pkey_mprotect"):
        assert said(wanted, call, 0, 4096, 5) == {errno.EPERM}
        assert said(wanted, call, 0, 4096, 3) == {ALLOW}
    assert said(wanted, "shmat", 0, 0, 0o100000) == {errno.EPERM}
    seccomp._compiled.cache_clear()


def _kernel_has_mdwe() -> bool:
    release = platform.release().split(".")
    return (int(release[0]), int(release[1])) >= (6, 3)


def test_realtime() -> None:
    wanted = SyscallFilter(realtime=False)
    for policy in (0, 3, 5):
        assert said(wanted, "sched_setscheduler", 0, policy) == {ALLOW}
    for policy in (1, 2, 6, 1 | HIGH, 1 | 0x40000000):
        assert said(wanted, "sched_setscheduler", 0, policy) == {errno.EPERM}
    assert said(wanted, "sched_setattr") == {errno.EPERM}


@pytest.mark.parametrize("bit", [0o4000, 0o2000])
@pytest.mark.parametrize(
    ("call", "before"),
    [
        *(("chmod", (0,)), ("fchmod", (0,)), ("fchmodat", (0, 0)), ("mkdir", (0,)), ("mkdirat", (0, 0))),
        *(("mknod", (0,)), ("mknodat", (0, 0)), ("creat", (0,)), ("open", (0, 0o101)), ("openat", (0, 0, 0o102))),
        *(("openat", (0, 0, 0o20200002)), ("fchmodat2", (0, 0))),
    ],
)  # fmt: skip
def test_set_id_bits(call: str, before: tuple[int, ...], bit: int) -> None:
    wanted = SyscallFilter(suid_sgid=False)
    assert said(wanted, call, *before, 0o755 | bit) == {errno.EPERM}
    assert said(wanted, call, *before, 0o1755) == {ALLOW}


def test_the_mode_of_what_is_only_opened_is_not_looked_at() -> None:
    wanted = SyscallFilter(suid_sgid=False)
    assert said(wanted, "openat", 0, 0, 0, 0o4755) == {ALLOW}
    assert said(wanted, "openat2") == {errno.ENOSYS}


def test_personality() -> None:
    wanted = SyscallFilter(personality=8)
    assert said(wanted, "personality", 8) == {ALLOW}
    assert said(wanted, "personality", 0) == said(wanted, "personality", 0x40000) == {errno.EPERM}


def test_what_is_protected() -> None:
    wanted = filter_of(SyscallOptions(protect_clock=True, protect_kernel_modules=True))
    assert wanted is not None
    for call in ("clock_settime", "settimeofday", "adjtimex", "init_module", "delete_module"):
        assert said(wanted, call) == {errno.EPERM}
    assert said(wanted, "clock_gettime") == {ALLOW}


# ------------------------------------------------------------------------------------------------ architectures


def test_another_architecture_is_killed_or_filtered_too() -> None:
    strict = on_level(SyscallOptions(), "strict")
    native = filter_of(strict)
    assert native is not None
    for program in Seccomp().programs(native).programs:
        assert answer(program, 20, machine=AUDIT_I386) == KILLED  # getpid
        assert answer(program, 39 | 0x40000000) == KILLED  # getpid of x32
    both = SyscallFilter(
        calls=native.calls, error=errno.EPERM, families=native.families, architectures=("native", "x86")
    )
    arguments, calls = Seccomp().programs(both).programs
    assert answer(calls, 20, machine=AUDIT_I386) == ALLOW
    assert answer(calls, 88, machine=AUDIT_I386) == errno.EPERM  # reboot
    assert answer(calls, 39, machine=AUDIT_X86_64) == ALLOW
    assert answer(arguments, 359, 17, machine=AUDIT_I386) == errno.EAFNOSUPPORT
    assert (
        answer(arguments, 102, 1, machine=AUDIT_I386) == errno.EAFNOSUPPORT
    )  # socketcall: the family is in memory


def test_only_architectures_can_be_filtered() -> None:
    [program] = Seccomp().programs(SyscallFilter()).programs
    assert (answer(program, 0), answer(program, 0, machine=AUDIT_I386)) == (ALLOW, KILLED)


# ------------------------------------------------------------------------------------------------ the driver


def test_equal_records_are_compiled_once() -> None:
    strict = on_level(SyscallOptions(), "strict")
    one, other = filter_of(strict), filter_of(on_level(SyscallOptions(), "strict"))
    assert one is not None
    assert other is not None
    assert one is not other
    driver = Seccomp()
    assert driver.programs(one) is driver.programs(other)


@pytest.mark.parametrize("level", ["baseline", "strict"])
def test_a_level_is_small(level: str) -> None:
    """The kernel takes 4096 instructions in one program, and 32768 in all."""
    wanted = filter_of(on_level(SyscallOptions(), level))
    assert wanted is not None
    assert sum(map(len, Seccomp().programs(wanted).programs)) < 1000 * 8


def test_without_libseccomp_it_is_said() -> None:
    driver = Seccomp("libnone.so.9")
    assert "libseccomp is not installed" in driver.missing()
    with pytest.raises(NoSeccomp, match=r"system calls cannot be filtered: libseccomp is not installed"):
        driver.programs(SyscallFilter())


def test_an_architecture_that_cannot_be_is_said() -> None:
    wanted: Any = SyscallFilter(architectures=("native", "s390x"))
    with pytest.raises(NoSeccomp, match="system calls cannot be filtered: filtering another"):
        Seccomp().programs(wanted)


def test_namespaces_within_a_level() -> None:
    options = on_level(SyscallOptions(restrict_namespaces=NamespaceList(["false"])), "strict")
    wanted = filter_of(options)
    assert wanted is not None
    assert said(wanted, "clone3") == {ALLOW}
    assert said(wanted, "unshare", NAMESPACES["user"]) == {ALLOW}
