"""The section `sandbox`: what an agent may see, touch and reach."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from msgspec.structs import replace

from maestro.model.confining import BindPath, CapabilitySet, ListenAddress, SandboxPath, TemporaryFileSystem
from maestro.model.option import describe, option
from maestro.model.syscalls import SyscallOptions, on_level

_LEVEL = "By default what `level` says."


class SandboxSection(SyscallOptions, frozen=True, kw_only=True):
    """What the process may see, touch and reach. `level` says all of it at once, and each option something else."""

    level: Literal["none", "baseline", "strict"] = option(
        "none",
        "How much it is confined, where no option below says otherwise. baseline: it gains no privileges, has a /tmp of "
        "its own, and changes nothing of the kernel. strict: besides, it writes nowhere but there and in `read_write_paths`, sees "
        "no homes, devices, processes and password hashes but its own, has no capabilities and no network, and does not "
        "start where the host cannot do that.",
    )
    required: bool | None = option(
        None,
        "Whether it does not start where this host cannot do all that is asked; otherwise what cannot be done is left out, "
        "and `status` says so. By default true with `level: strict`.",
    )
    no_new_privileges: bool | None = option(
        None, f"Whether set-uid programs and file capabilities give it nothing. {_LEVEL}"
    )
    capability_bounding_set: CapabilitySet | None = option(
        None, f"The capabilities that it can have at most; with ~ before the first, all but these. {_LEVEL}"
    )
    ambient_capabilities: CapabilitySet = option(
        CapabilitySet(()), "Capabilities that it has although it does not run as root."
    )
    private_tmp: bool | None = option(
        None,
        "Whether /tmp and /var/tmp are its own: shared by all of its processes and commands, and gone when it is down. "
        f"{_LEVEL}",
    )
    private_devices: bool | None = option(
        None, f"Whether /dev has pseudo-devices only: null, zero, random, terminals. {_LEVEL}"
    )
    private_pids: bool | None = option(
        None,
        "Whether it sees no processes but its own. It is pid 1 among them: all of them end with it, and a signal that it "
        "does not handle does nothing, but for KILL. Commands around it run outside. "
        f"{_LEVEL}",
    )
    private_ipc: bool | None = option(
        None, f"Whether it has System V and POSIX message queues and shared memory of its own. {_LEVEL}"
    )
    private_users: bool | None = option(
        None,
        "Whether there is no user but its own to it: files of others belong to nobody, and a capability is of no use on "
        "the host. Of inotify and fanotify, which the kernel counts by user, it has a fourth of what its user may have. Without "
        "root, whatever needs a namespace has this too. By default true with `level: strict`, unless the unit leaves it capabilities.",
    )
    protect_system: Literal["no", "yes", "full", "strict"] | None = option(
        None,
        "What cannot be written: /usr and /boot (yes), /etc as well (full), or everything but /dev, /proc, /sys, and what "
        f"`read_write_paths` names (strict). {_LEVEL}",
    )
    protect_home: Literal["no", "yes", "read-only", "tmpfs"] | None = option(
        None,
        f"What becomes of /home, /root and /run/user: they cannot be entered (yes), or are empty (tmpfs). {_LEVEL}",
    )
    protect_kernel_tunables: bool | None = option(
        None, f"Whether /proc/sys, /sys and their like cannot be written. {_LEVEL}"
    )
    protect_control_groups: bool | None = option(None, f"Whether /sys/fs/cgroup cannot be written. {_LEVEL}")
    protect_proc: Literal["default", "invisible", "ptraceable", "noaccess"] | None = option(
        None,
        "Which processes of others show in /proc: hidepid= of proc(5). Of no use to one that runs as root, unless it lacks "
        f"CAP_SYS_PTRACE. {_LEVEL}",
    )
    proc_subset: Literal["all", "pid"] | None = option(
        None, f"Whether /proc has nothing but processes (pid). {_LEVEL}"
    )
    read_only_paths: tuple[SandboxPath, ...] = option(
        (), "What it cannot write. Of two options that name paths, the longer path counts."
    )
    read_write_paths: tuple[SandboxPath, ...] = option(
        (), "What it can write all the same; also below what is hidden otherwise."
    )
    inaccessible_paths: tuple[SandboxPath, ...] = option((), "What it cannot even read.")
    exec_paths: tuple[SandboxPath, ...] = option((), "Where programs may be executed below `no_exec_paths`.")
    no_exec_paths: tuple[SandboxPath, ...] = option((), "Where no program may be executed.")
    bind_paths: tuple[BindPath, ...] = option(
        (), "Paths that it sees, perhaps in another place: SOURCE:DESTINATION."
    )
    bind_read_only_paths: tuple[BindPath, ...] = option((), "The same, and it cannot write there.")
    temporary_file_system: tuple[TemporaryFileSystem, ...] = option(
        (), "Places where an empty file system in memory hides what is there: PATH:size=64M,mode=0700."
    )
    mount_flags: Literal["slave", "private", "shared"] = option(
        "slave",
        "Whether what is mounted on the host later appears inside (slave, shared) or not. shared is what slave is where it "
        "has mounts of its own.",
    )
    network: Literal["host", "none", "gateway"] | None = option(
        None,
        "What it reaches: all that the host does, nothing but a loopback of its own (none), or that and what Maestro's "
        f"gateways listen for in it (gateway). {_LEVEL}",
    )
    listeners: tuple[ListenAddress, ...] = option(
        (ListenAddress("127.0.0.1:4000"),),
        "With `network: gateway`: where Maestro listens in the agent's network, before it runs. Who connects there is the agent, "
        "and nobody else.",
    )


_NONE: Mapping[str, Any] = MappingProxyType(
    {
        "required": False,
        "no_new_privileges": False,
        "capability_bounding_set": CapabilitySet(["~"]),
        "private_tmp": False,
        "private_devices": False,
        "private_pids": False,
        "private_ipc": False,
        "private_users": False,
        "protect_system": "no",
        "protect_home": "no",
        "protect_kernel_tunables": False,
        "protect_control_groups": False,
        "protect_proc": "default",
        "proc_subset": "all",
        "network": "host",
    }
)
_BASELINE: Mapping[str, Any] = MappingProxyType(
    {
        **_NONE,
        "no_new_privileges": True,
        "private_tmp": True,
        "protect_kernel_tunables": True,
    }
)
LEVELS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "none": _NONE,
        "baseline": _BASELINE,
        "strict": MappingProxyType(
            {
                **_BASELINE,
                "required": True,
                "capability_bounding_set": CapabilitySet(()),
                "private_devices": True,
                "private_pids": True,
                "private_ipc": True,
                "private_users": True,
                "protect_system": "strict",
                "protect_home": "yes",
                "protect_control_groups": True,
                "protect_proc": "invisible",
                "network": "none",
            }
        ),
    }
)


# Switches that the filter of system calls carries out, alone or with others.
_SWITCHES = tuple(one.name for one in describe(SyscallOptions) if one.type == (bool | None))


@lru_cache(maxsize=1024)
def in_force(section: SandboxSection) -> SandboxSection:
    """The same with what the level says where the section says nothing."""
    level = LEVELS[section.level]
    said = {name: value for name, value in level.items() if getattr(section, name) is None}
    if "private_users" in said and _keeps_capabilities(section):
        said["private_users"] = False  # which would have them good for its own namespaces only
    calls = on_level(section, section.level)
    said |= {one.name: getattr(calls, one.name) for one in describe(SyscallOptions)}
    return replace(section, **said | {name: bool(said[name]) for name in _SWITCHES})


def _keeps_capabilities(section: SandboxSection) -> bool:
    kept = section.capability_bounding_set
    return bool(section.ambient_capabilities.numbers or (kept is not None and kept.numbers))


@lru_cache(maxsize=1024)
def confines(section: SandboxSection) -> bool:
    """Whether anything at all is asked for."""
    plain = SandboxSection()
    full, nothing = in_force(section), in_force(plain)
    names = [
        one.name
        for one in describe(SandboxSection)
        if one.name not in ("level", "required", "mount_flags", "listeners")
    ]
    return any(getattr(full, name) != getattr(nothing, name) for name in names)
