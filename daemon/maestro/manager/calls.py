"""What of a sandbox needs no privilege: the filter of system calls, and Landlock where the host lets us lay no mounts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from maestro.manager import landlock
from maestro.manager.landlock import Ports
from maestro.manager.mounting import Scene
from maestro.model.confining import SandboxPath
from maestro.model.sandbox import SandboxSection
from maestro.model.syscalls import SyscallFilter, filter_of
from maestro.ports import Abilities, NoSeccomp, Seccomp

# Options that Landlock can carry out as well as mounts can: to close, where those hide.
BY_LANDLOCK = (
    "protect_system",
    "protect_home",
    "read_only_paths",
    "read_write_paths",
    "inaccessible_paths",
    "exec_paths",
    "no_exec_paths",
)
_SYSTEM = {"no": (), "yes": ("-/usr", "-/boot"), "full": ("-/usr", "-/boot", "-/etc"), "strict": ()}
_HOMES = ("-/home", "-/root", "-/run/user")
_SCRATCH = ("-/tmp", "-/var/tmp", "-/dev/shm")
_FILES_SINCE, _PORTS_SINCE = 1, 4  # versions of Landlock
_USUAL = 0  # the personality of a process that asks for none


@lru_cache(maxsize=128)
def filter_in(section: SandboxSection) -> SyscallFilter | None:
    """What is to be filtered; None: nothing. Most units ask for what another asks for, and each is asked twice a start."""
    return filter_of(section, personality=_USUAL)


def lacking(section: SandboxSection, abilities: Abilities, filters: Seccomp | None) -> str:
    """Why system calls cannot be filtered as asked; empty: they can, or need not be."""
    if filter_in(section) is None:
        return ""
    if not abilities.seccomp:
        return "no filters of system calls in this kernel"
    return filters.missing() if filters is not None else ""


def seccomp(section: SandboxSection, filters: Seccomp | None) -> tuple[Any, ...]:
    """(programs, whether the kernel logs, whether it denies memory to write and execute), as the keeper's child takes them."""
    wanted = filter_in(section)
    if wanted is None or filters is None:
        return ()
    try:
        made = filters.programs(wanted)
    except NoSeccomp:
        return ()  # told by `lacking`
    return (made.programs, wanted.log is not None, made.deny_write_execute)


def replaces_mounts(abilities: Abilities) -> bool:
    return not abilities.mounts and abilities.landlock >= _FILES_SINCE


def rules(section: SandboxSection, abilities: Abilities, scene: Scene) -> tuple[Any, ...]:
    """The rules of Landlock that stand in for mounts."""
    closed = [*_paths(section.inaccessible_paths)]
    is_strict = section.level == "strict"
    named = {one.path for one in (*section.read_write_paths, *section.read_only_paths)}
    if is_strict:  # ours: what it has to reach, and what is not its business
        closed += [f"-{path}" for path in scene.hidden if path not in named]
    kept = [f"-{path}" for path in scene.kept if path not in named]
    read_only = [
        *(kept if is_strict else ()),
        *_SYSTEM[section.protect_system or "no"],
        *_paths(section.read_only_paths),
    ]
    if section.protect_home == "read-only":
        read_only += _HOMES
    elif section.protect_home != "no":
        closed += _HOMES
    own = [f"-{path}" for path in scene.own if path not in named]
    alone = section.network != "host" and abilities.landlock >= _PORTS_SINCE
    return landlock.rules(
        level="strict" if section.protect_system == "strict" else "none",
        read_only=read_only,
        read_write=(*_SCRATCH, *(() if is_strict else kept), *own, *_paths(section.read_write_paths)),
        inaccessible=closed,
        execute=_paths(section.exec_paths),
        no_execute=_paths(section.no_exec_paths),
        ports=Ports((), ()) if alone and "net" not in abilities.namespaces else Ports(),
        entries=_entries,
    )


def _paths(given: Iterable[SandboxPath]) -> list[str]:
    return [f"-{one.path}" if one.may_miss else one.path for one in given]


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
