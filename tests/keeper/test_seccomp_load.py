"""Filters loaded into a child: what the kernel then says to whom tries to get out, and that usual programs run."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maestro.drivers.seccomp import Seccomp
from maestro.keeper import seccomp
from maestro.model.syscall_lists import FamilyList, NamespaceList, SyscallList
from maestro.model.syscalls import SyscallOptions, filter_of, on_level
from tests.bpf import number_of
from tests.forked import Attempt, answers, call

pytestmark = [
    pytest.mark.skipif(bool(Seccomp().missing()), reason=Seccomp().missing()),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers are those of x86-64"),
]
NOBODY = 65534
NAMESPACES = {"user": 0x10000000, "mnt": 0x20000, "net": 0x40000000, "pid": 0x20000000, "time": 0x80}


def bind(options: SyscallOptions, level: str = "none", *, log: bool = False) -> Callable[[], None]:
    wanted = filter_of(on_level(options, level))
    assert wanted is not None
    made = Seccomp().programs(wanted)
    return lambda: seccomp.load(made.programs, log, made.deny_write_execute)


def tried(name: str, *arguments: object) -> Attempt:
    return lambda: call(number_of(name), *arguments)


def _socket(family: int, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> Attempt:
    return lambda: socket.socket(family, kind, protocol).close()


# ------------------------------------------------------------------------------------------------ loading


def test_it_binds_root_without_giving_up_privileges() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    privileges = answers(
        bind(SyscallOptions(), "baseline"), lambda: _expect("NoNewPrivs:\t0"), lambda: _expect("Seccomp_filters:\t2")
    )  # fmt: skip
    assert privileges == ["allowed", "allowed"]


def test_it_binds_who_is_not_root_for_good() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become nobody")
    privileges = answers(
        bind(SyscallOptions(), "strict"),
        lambda: _expect("NoNewPrivs:\t1"),
        lambda: _expect("Seccomp:\t2"),
        uid=NOBODY,
    )
    assert privileges == ["allowed", "allowed"]


def _expect(line: str) -> None:
    if line not in Path("/proc/self/status").read_text(encoding="utf-8"):
        raise OSError(1, "it does not say so")


def test_a_call_that_is_not_listed_kills() -> None:
    options = SyscallOptions(system_call_filter=SyscallList(["@system-service"]))
    assert answers(bind(options), tried("getuid"), tried("mount", 0, 0, 0, 0, 0)) == ["allowed", "SIGSYS"]


def test_several_programs_and_the_log_flag() -> None:
    options = SyscallOptions(
        system_call_filter=SyscallList(["@system-service seccomp"]),
        restrict_namespaces=NamespaceList(["true"]),
    )
    assert answers(bind(options, log=True), tried("getuid"), tried("unshare", 0x20000)) == [
        "allowed",
        "EPERM",
    ]


def test_what_is_no_program_is_refused() -> None:
    assert answers(lambda: None, lambda: seccomp.load((b"\0" * 8,))) == ["EINVAL"]


def test_an_exec_that_is_refused_fails() -> None:
    """As in systemd: a list of what is allowed has execve in it; who denies it, cannot start."""
    denied = bind(SyscallOptions(system_call_filter=SyscallList(["~execve:EACCES"])))
    assert answers(denied, lambda: os.execv("/bin/true", ["true"])) == ["EACCES"]
    killed = bind(SyscallOptions(system_call_filter=SyscallList(["~execve"])))
    assert answers(killed, lambda: os.execv("/bin/true", ["true"])) == ["SIGSYS"]
    tight = bind(SyscallOptions(system_call_filter=SyscallList(["@default"])))
    done = subprocess.run(["/bin/true"], preexec_fn=tight, check=False)
    assert done.returncode == -signal.SIGSYS  # it was executed, and then wanted to open its libraries


# ------------------------------------------------------------------------------------------------ ways out


WAYS_OUT: dict[str, tuple[Attempt, str]] = {
    "packets": (_socket(17, socket.SOCK_RAW, 0x0300), "EAFNOSUPPORT"),
    "machines beside": (_socket(40), "EAFNOSUPPORT"),
    "ciphers of the kernel": (_socket(38, socket.SOCK_SEQPACKET), "EAFNOSUPPORT"),
    "bpf": (tried("bpf", 0, 0, 0), "EPERM"),
    "events": (tried("perf_event_open", 0, 0, -1, -1, 0), "EPERM"),
    "mount": (tried("mount", b"none", b"/", None, 0x1000 | 0x20, None), "EPERM"),
    "unmount": (tried("umount2", b"/proc", 2), "EPERM"),
    "move the root": (tried("pivot_root", b"/", b"/"), "EPERM"),
    "chroot": (tried("chroot", b"/"), "EPERM"),
    "mounts by descriptor": (tried("fsopen", b"tmpfs", 0), "EPERM"),
    "trace": (tried("ptrace", 0, 0, 0, 0), "EPERM"),
    "read others": (tried("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0), "EPERM"),
    "take descriptors": (tried("pidfd_getfd", -1, 0, 0), "EPERM"),
    "compare": (tried("kcmp", 1, 1, 0, 0, 0), "EPERM"),
    "rings": (tried("io_uring_setup", 1, 0), "ENOSYS"),
    "keys": (tried("keyctl", 0, -3, 1), "EPERM"),
    "new keys": (tried("add_key", 0, 0, 0, 0, 0), "EPERM"),
    "modules": (tried("init_module", 0, 0, 0), "EPERM"),
    "another kernel": (tried("kexec_load", 0, 0, 0, 0), "EPERM"),
    "reboot": (tried("reboot", 0, 0, 0, 0), "EPERM"),
    "swap": (tried("swapon", b"/nowhere", 0), "EPERM"),
    "clock": (tried("clock_settime", 0, 0), "EPERM"),
    "host name": (tried("sethostname", b"x", 1), "EPERM"),
    "kernel log": (tried("syslog", 2, 0, 0), "EPERM"),
    "files by handle": (tried("open_by_handle_at", -1, 0, 0), "EPERM"),
    "page faults": (tried("userfaultfd", 0), "EPERM"),
    "ports": (tried("ioperm", 0, 1, 1), "EPERM"),
    "namespaces, all at once": (tried("clone3", 0, 0), "ENOSYS"),
    "another's namespace": (tried("setns", -1, 0), "EPERM"),
    "personality": (tried("personality", 0x40000), "EPERM"),
    "real time": (tried("sched_setscheduler", 0, 1, 0), "EPERM"),
    "set-uid": (tried("chmod", b"/nowhere", 0o4755), "EPERM"),
    "set-uid, made": (tried("open", b"/nowhere", os.O_CREAT | os.O_WRONLY, 0o4755), "EPERM"),
    **{f"namespace {name}": (tried("unshare", flag), "EPERM") for name, flag in NAMESPACES.items()},
}  # fmt: skip


def test_every_way_out_is_closed() -> None:
    closed = SyscallOptions(
        system_call_filter=SyscallList(["~@mount"]), restrict_namespaces=NamespaceList(["true"])
    )
    found = answers(bind(closed, "strict"), *(attempt for attempt, _ in WAYS_OUT.values()))
    assert dict(zip(WAYS_OUT, found, strict=True)) == {name: word for name, (_, word) in WAYS_OUT.items()}


def test_raw_sockets_need_a_capability_that_users_lack() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become nobody")
    raw = (_socket(socket.AF_INET, socket.SOCK_RAW, 1), _socket(socket.AF_INET6, socket.SOCK_RAW, 58))
    assert answers(bind(SyscallOptions(), "strict"), *raw, uid=NOBODY) == ["EPERM", "EPERM"]


@pytest.mark.parametrize("level", ["baseline", "strict"])
def test_the_calls_of_32_bits_are_no_way_around(level: str) -> None:
    """`mov $20, %eax; int $0x80; ret`: getpid, as i386 has it."""
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"

    def ask() -> None:
        pages = mmap.mmap(-1, 4096, prot=7)
        pages.write(code)
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(pages)))()

    if answers(lambda: None, ask) != ["allowed"]:
        pytest.skip("this kernel has no 32-bit calls")
    assert answers(bind(SyscallOptions(), level), ask) == ["SIGSYS"]


def test_a_sandbox_can_be_made_within_unless_that_is_denied() -> None:
    """As bubblewrap makes it, without root."""
    command = ["unshare", "-Urmnpf", "--mount-proc", "sh", "-c", "mount -t tmpfs none /mnt && echo $$"]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs root, unshare(1) and namespaces of users")
    for level in ("baseline", "strict"):
        bound = _as(NOBODY, bind(SyscallOptions(), level))
        done = subprocess.run(command, preexec_fn=bound, capture_output=True, text=True, check=False, cwd="/")
        assert done.stdout == "1\n", done.stderr
    denied = SyscallOptions(restrict_namespaces=NamespaceList(["true"]))
    bound = _as(NOBODY, bind(denied, "strict"))
    done = subprocess.run(command, preexec_fn=bound, capture_output=True, text=True, check=False, cwd="/")
    assert "Operation not permitted" in done.stderr


def test_what_a_service_does_is_open() -> None:
    usual: dict[str, Attempt] = {
        "inet": _socket(socket.AF_INET),
        "inet6": _socket(socket.AF_INET6),
        "unix": _socket(socket.AF_UNIX),
        "netlink": _socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "fork": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "executable memory": lambda: mmap.mmap(-1, 4096, prot=7).close(),
        "nice": lambda: os.nice(1),
        "affinity": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
        "memfd": lambda: os.close(os.memfd_create("x")),
        "own sandbox": tried("landlock_create_ruleset", None, 0, 1),
    }
    found = answers(bind(SyscallOptions(), "strict"), *usual.values())
    assert dict(zip(usual, found, strict=True)) == dict.fromkeys(usual, "allowed")


def test_baseline_leaves_what_a_sandbox_within_needs() -> None:
    made = tuple(tried("unshare", NAMESPACES[name]) for name in ("mnt", "net", "user"))
    names = (tried("mount", b"none", b"/", None, 0x44000, None), tried("ptrace", 0, 0, 0, 0))
    if os.geteuid() != 0:
        pytest.skip("needs root")
    assert answers(bind(SyscallOptions(), "baseline"), *made[:2], *names) == ["allowed"] * 4


def test_memory_that_is_written_is_not_executed() -> None:
    options = SyscallOptions(memory_deny_write_execute=True)
    attempts: tuple[Attempt, ...] = (
        lambda: mmap.mmap(-1, 4096, prot=3).close(),
        lambda: mmap.mmap(-1, 4096, prot=7).close(),
        _made_executable,
    )
    found = answers(bind(options), *attempts)
    assert found[0] == "allowed"
    assert set(found[1:]) <= {"EPERM", "EACCES"}


def _made_executable() -> None:
    pages = mmap.mmap(-1, 4096, prot=3)
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    call(number_of("mprotect"), address, 4096, 5)


def test_only_families_that_are_named() -> None:
    options = SyscallOptions(restrict_address_families=FamilyList(["AF_UNIX"]))
    found = answers(bind(options), _socket(socket.AF_UNIX), _socket(socket.AF_INET), _socket(socket.AF_INET6))
    assert found == ["allowed", "EAFNOSUPPORT", "EAFNOSUPPORT"]


# ------------------------------------------------------------------------------------------------ programs


@pytest.mark.parametrize("level", ["baseline", "strict"])
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_python_runs(level: str, uid: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    program = (
        "import asyncio, ssl, sqlite3, subprocess, tempfile, threading, socket\n"
        "thread = threading.Thread(target=print, args=('thread',), kwargs={'flush': True})\n"
        "thread.start(); thread.join()\n"
        "subprocess.run(['/bin/echo', 'child'])\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "open(tempfile.mkstemp()[1], 'w').write('x')\n"
        "try: socket.socket(17, 3)\n"
        "except OSError as e: print(type(e).__name__, e.errno)\n"
    )
    done = subprocess.run(
        [_python(), "-c", program],
        preexec_fn=_as(uid, bind(SyscallOptions(), level)),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert sorted(done.stdout.split("\n")) == ["", "OSError 97", "child", "thread"], done.stderr


def _python() -> str:
    """One that nobody may execute too."""
    return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


def _as(uid: int, bound: Callable[[], None]) -> Callable[[], None]:
    def become() -> None:
        if uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        bound()

    return become


@pytest.mark.real
@pytest.mark.parametrize("level", ["baseline", "strict"])
@pytest.mark.parametrize(
    "command",
    [
        ["node", "-e", "new (require('worker_threads').Worker)('1',{eval:true}).on('exit',()=>console.log('ok'))"],
        ["git", "--version"],
        ["redis-server", "--version"],
        ["nginx", "-v"],
        ["caddy", "version"],
        ["sh", "-c", "ls / | sort | head -1"],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_programs_of_others_run(level: str, command: list[str]) -> None:
    """Node compiles code, and caddy is a Go program: the two that do the oddest things as they start."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    bound = bind(SyscallOptions(), level)
    done = subprocess.run(
        command, preexec_fn=bound, capture_output=True, text=True, check=False, timeout=60, cwd="/"
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
