"""Options that limit what a process may ask of the kernel, and the plain record of a filter that they come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from maestro.model import guess
from maestro.model.option import describe, option
from maestro.model.plain import Mistake, shorten
from maestro.model.syscall_groups import calls_of
from maestro.model.syscall_lists import (
    KILL,
    Chosen,
    ErrorNumber,
    FamilyList,
    LogList,
    NamespaceList,
    SyscallList,
)
from maestro.model.values import Word

ARCHITECTURES = (
    "native", "x86", "x86-64", "x32", "arm", "arm64", "mips", "mips-le", "mips64", "mips64-le", "mips64-n32",
    "mips64-le-n32", "ppc", "ppc64", "ppc64-le", "parisc", "parisc64", "riscv64", "s390", "s390x",
)  # fmt: skip


class Architecture(Word):
    """A set of system calls that the processor can be asked for."""

    __slots__ = ()
    expected: ClassVar[str] = "an architecture such as native or x86"
    examples: ClassVar[tuple[str, ...]] = ("native", "x86")

    def __new__(cls, text: str) -> Architecture:
        if text not in ARCHITECTURES:
            near = guess.nearest_exactly(text, ARCHITECTURES)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(ARCHITECTURES)}"
            raise Mistake(f"there is no architecture {shorten(text)}", hint)
        return super().__new__(cls, text)


class SyscallOptions(Struct, frozen=True, kw_only=True):
    """What a process may ask of the kernel. What is not given is as the level of the sandbox has it."""

    system_call_filter: SyscallList = option(
        SyscallList(()),
        "System calls that it may make, besides those of @default: names, and groups such as @system-service "
        "(`systemd-analyze syscall-filter` lists them). With `~` in front of a line: that it may not make, each with "
        "an error of its own where one follows: `~mount:ENOENT ptrace:kill`. The first line says whether all others "
        "are refused or allowed; a later one adds or takes away, an empty one begins anew. A list that begins with "
        "`~` takes away from what the level allows; any other stands instead of the level's.",
    )
    system_call_error_number: ErrorNumber | None = option(
        None,
        "What a call returns that `system_call_filter` refuses: an error such as EPERM, or `kill`: the process is "
        "killed by SIGSYS. By default EPERM where the level has a filter, else kill. A call that no group has, not even "
        "@known, returns ENOSYS where what is allowed is listed.",
    )
    system_call_architectures: tuple[Architecture, ...] = option(
        (),
        "Architectures whose system calls it may make; a process that makes others is killed. By default native, as "
        "soon as anything here is filtered: a filter that 32-bit calls go around is none.",
    )
    system_call_log: LogList = option(
        LogList(()), "System calls that the kernel notes in its audit log; with `~` in front, all others."
    )
    restrict_address_families: FamilyList = option(
        FamilyList(()),
        "Families of sockets that it may make, such as `AF_UNIX AF_INET AF_INET6`; with `~` in front: that it may "
        "not, of those of the level; `none`: not one. Others fail with EAFNOSUPPORT. Sockets that it is given are no "
        "part of this.",
    )
    memory_deny_write_execute: bool | None = option(
        None,
        "Whether memory can be only written or executed, never both or one after the other. Programs that make "
        "code as they run (node, java, PyPy) cannot live so.",
    )
    restrict_realtime: bool | None = option(None, "Whether real-time scheduling is refused.")
    restrict_suid_sgid: bool | None = option(
        None, "Whether the set-user-ID and set-group-ID bits of files cannot be set."
    )
    lock_personality: bool | None = option(
        None, "Whether the execution domain, personality(2), cannot be changed."
    )
    restrict_namespaces: NamespaceList | None = option(
        None,
        "Namespaces that it may make and enter, of cgroup, ipc, net, mnt, pid, user, uts and time, or with `~` in "
        "front may not; `true`: none of them; `false`: all. A sandbox within the sandbox, as bubblewrap makes it, "
        "needs user, mnt and mostly all the others.",
    )
    protect_hostname: bool | None = option(None, "Whether it cannot change the name of the host.")
    protect_clock: bool | None = option(None, "Whether it cannot set the clock.")
    protect_kernel_modules: bool | None = option(
        None, "Whether it cannot load or unload modules of the kernel."
    )
    protect_kernel_logs: bool | None = option(None, "Whether it cannot read the log of the kernel.")


class SyscallFilter(Struct, frozen=True, kw_only=True):
    """All that is to be filtered for one process, as plain data: equal records make equal programs."""

    calls: Chosen | None = None
    error: int = KILL
    log: Chosen | None = None
    refused: tuple[str, ...] = ()  # with EPERM, whatever `calls` says
    families: Chosen | None = None
    write_execute: bool = True
    realtime: bool = True
    suid_sgid: bool = True
    namespaces: int | None = None  # flags of those that may be made; None: all
    personality: int | None = None  # the only one that may be set; None: any
    architectures: tuple[str, ...] = ("native",)


_PROTECTIONS: Mapping[str, Iterable[str]] = {
    "protect_hostname": ("sethostname", "setdomainname"),
    "protect_clock": calls_of("@clock"),
    "protect_kernel_modules": calls_of("@module"),
    "protect_kernel_logs": ("syslog",),
}

# Each has had its share of holes, or reaches beyond the agent, and no usual program needs it.
_NEVER = "@keyring userfaultfd io_uring_setup:ENOSYS io_uring_enter:ENOSYS io_uring_register:ENOSYS"
_SOCKETS = FamilyList(["AF_UNIX AF_INET AF_INET6 AF_NETLINK"])

_GUARDS: Mapping[str, Any] = dict.fromkeys(
    (
        "restrict_realtime",
        "restrict_suid_sgid",
        "protect_clock",
        "protect_kernel_modules",
        "protect_kernel_logs",
    ),
    True,
)
LEVELS: Mapping[str, SyscallOptions] = {
    "none": SyscallOptions(),
    # All that a usual program does; a sandbox within the sandbox and a debugger of its own processes are possible.
    "baseline": SyscallOptions(
        system_call_filter=SyscallList(
            [
                f"~{_NEVER} @clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap acct bpf "
                "lookup_dcookie open_by_handle_at quotactl quotactl_fd vhangup",
                "ptrace process_vm_readv process_vm_writev pidfd_getfd",
            ]
        ),
        restrict_address_families=_SOCKETS,
        **_GUARDS,
    ),
    # A service: its own files, sockets, threads and processes; it may bind itself further, as a sandbox within it does,
    # whose namespaces and mounts give it nothing outside of them.
    "strict": SyscallOptions(
        system_call_filter=SyscallList(
            [
                "@system-service @mount @pkey cachestat mincore mseal map_shadow_stack process_mrelease seccomp "
                "landlock_create_ruleset landlock_add_rule landlock_restrict_self",
                f"~{_NEVER} kcmp migrate_pages move_pages name_to_handle_at process_vm_readv process_vm_writev "
                "remap_file_pages vmsplice",
            ]
        ),
        restrict_address_families=_SOCKETS,
        lock_personality=True,
        protect_hostname=True,
        **_GUARDS,
    ),
}


def on_level(options: SyscallOptions, level: str) -> SyscallOptions:
    """What holds: the unit's own words over those of its level.

    A list of calls or families that begins with `~` takes away from what the level allows. One that begins with what is
    allowed stands alone: behind a level that lists what is refused, it would open what it is meant to close.
    """
    base = LEVELS[level]
    changes: dict[str, Any] = {}
    for known in describe(SyscallOptions):
        ours, theirs = getattr(options, known.name), getattr(base, known.name)
        if ours == known.default:
            changes[known.name] = theirs
        elif isinstance(ours, SyscallList | FamilyList) and ours.takes_away:
            changes[known.name] = ours.after(theirs)
        else:
            changes[known.name] = ours
    if changes["system_call_error_number"] is None and base.system_call_filter:
        changes["system_call_error_number"] = ErrorNumber("EPERM")
    return replace(_plain(options), **changes)


def _plain(options: SyscallOptions) -> SyscallOptions:
    """Without what a section adds that inherits from these."""
    return SyscallOptions(**{known.name: getattr(options, known.name) for known in describe(SyscallOptions)})


def filter_of(options: SyscallOptions, *, personality: int = 0) -> SyscallFilter | None:
    """What the options come to; None: nothing is filtered. `personality` is the one that `lock_personality` keeps."""
    error = options.system_call_error_number
    calls = options.system_call_filter.chosen
    refused = {call for name, some in _PROTECTIONS.items() if getattr(options, name) for call in some}
    if calls is not None:  # what it refuses need not be refused twice
        members = dict(calls.members)
        refused = {call for call in refused if (call in members) == calls.allows}
    made = SyscallFilter(
        calls=calls,
        error=KILL if error is None else error.number,
        log=options.system_call_log.chosen,
        refused=tuple(sorted(refused)),
        families=options.restrict_address_families.chosen,
        write_execute=not options.memory_deny_write_execute,
        realtime=not options.restrict_realtime,
        suid_sgid=not options.restrict_suid_sgid,
        namespaces=None if options.restrict_namespaces is None else options.restrict_namespaces.kept,
        personality=personality if options.lock_personality else None,
        architectures=tuple(sorted(set(options.system_call_architectures))) or ("native",),
    )
    asked = made != SyscallFilter(error=made.error) or bool(options.system_call_architectures)
    return made if asked else None
