"""Unit -> what confines its processes, as the keeper's child is told; and what of it this host cannot do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from maestro.manager import calls
from maestro.manager.mounting import Scene, mounts
from maestro.model.confining import CAPABILITIES
from maestro.model.sandbox import SandboxSection, confines, in_force
from maestro.model.unit import Unit
from maestro.ports import Abilities, Seccomp

_NEWNS, _NEWUTS, _NEWIPC = 0x00020000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_SPACES = {  # option that takes a namespace -> its kind
    "private_pids": "pid",
    "private_ipc": "ipc",
    "protect_hostname": "uts",
    "network": "net",
    "private_users": "user",
}
_LOSES = {  # option -> capabilities that it takes as well, as in systemd
    "private_devices": ("CAP_MKNOD", "CAP_SYS_RAWIO"),
    "protect_kernel_modules": ("CAP_SYS_MODULE",),
    "protect_kernel_logs": ("CAP_SYSLOG",),
    "protect_clock": ("CAP_SYS_TIME", "CAP_WAKE_ALARM"),
}
_BY_MOUNTS = (
    "private_tmp",
    "private_devices",
    "protect_system",
    "protect_home",
    "protect_kernel_tunables",
    "protect_control_groups",
    "read_only_paths",
    "read_write_paths",
    "inaccessible_paths",
    "exec_paths",
    "no_exec_paths",
    "bind_paths",
    "bind_read_only_paths",
    "temporary_file_system",
)
_BY_PROC = ("protect_proc", "proc_subset")
_NOTHING = in_force(SandboxSection())
_ALL = frozenset(CAPABILITIES.values())
# Part of what the keeper is told -> how it is called in `status`, strongest first.
_TIERS = ("namespaces", "mounts", "capabilities", "landlock", "seccomp", "no_new_privileges")


class Premises(Struct, frozen=True, kw_only=True):
    """Where this daemon has its things, as far as a confined process has to see them, or must not."""

    uid: int = 0
    gid: int = 0
    root: str = ""  # of --root; empty or / for the host's own
    run: str = ""  # with our sockets
    hidden: tuple[str, ...] = ()  # state and logs
    private: tuple[str, ...] = ()  # what holds the directories of agents that have them to themselves
    common: str = ""  # what is private to units
    own: tuple[str, ...] = ()  # directories that are made for the unit, to be written by it


class Confinement(Struct, frozen=True, kw_only=True):
    """What the keeper is told; and options that this host cannot do -> what it lacks."""

    data: dict[str, Any] = {}
    lacking: dict[str, str] = {}
    required: bool = False

    def refusal(self) -> str:
        """Why it must not start; empty where it may."""
        if not self.required or not self.lacking:
            return ""
        by_lack: dict[str, list[str]] = {}
        for option, lack in self.lacking.items():
            by_lack.setdefault(lack, []).append(option)
        told = "; ".join(f"{lack}, for {', '.join(options)}" for lack, options in by_lack.items())
        return f"cannot be confined as sandbox.required asks: this host has {told}; required: false starts it with less"


def confine(
    unit: Unit,
    able: Callable[[], Abilities],
    premises: Premises,
    filters: Seccomp | None = None,
    *,
    main: bool = True,
) -> Confinement:
    """What a process of this unit is told. `able` is asked what the host can do only where that matters.

    `main`: it is the process itself, and not a command around it.
    """
    if not confines(unit.sandbox):
        return Confinement()
    asked, abilities = in_force(unit.sandbox), able()
    lacking = dict(_lacks(asked, abilities))
    section = replace(asked, **{option: getattr(_NOTHING, option) for option in lacking})
    if why := calls.lacking(asked, abilities, filters):
        lacking["system_call_filter"] = why
    if not main:
        section = replace(section, private_pids=False)
        if not abilities.root:  # a /proc is mounted by the owner of a pid namespace
            section = replace(section, protect_proc="default", proc_subset="all")
    data = _data(unit, section, abilities, premises)
    if "system_call_filter" not in lacking:
        data |= {"seccomp": made} if (made := calls.seccomp(section, filters)) else {}
    if not main and "namespaces" in data:  # who serves the gateways knows one network of the unit
        data["namespaces"].pop("listeners", None)
    return Confinement(data=data, lacking=lacking, required=bool(asked.required))


def tiers(unit: Unit, abilities: Abilities, filters: Seccomp | None = None) -> tuple[str, ...]:
    """What confines it on this host, strongest first; and last, what it asks for in vain."""
    found = confine(unit, lambda: abilities, Premises(), filters)
    in_vain = (f"without {', '.join(found.lacking)}",) if found.lacking else ()
    return (*(_tier(name, found.data[name]) for name in _TIERS if found.data.get(name)), *in_vain)


def _tier(name: str, data: Any) -> str:
    if name != "namespaces":
        return name.replace("_", " ")
    flags = data.get("clone", 0) | data.get("unshare", 0) | (_NEWUSER if data.get("alone") else 0)
    kinds = {"user": _NEWUSER, "pid": _NEWPID, "net": _NEWNET, "ipc": _NEWIPC, "uts": _NEWUTS, "mnt": _NEWNS}
    return f"namespaces ({' '.join(kind for kind, flag in kinds.items() if flags & flag)})"


# ------------------------------------------------------------------------------------------------ what lacks


def _lacks(section: SandboxSection, abilities: Abilities) -> Iterator[tuple[str, str]]:
    why = f" ({abilities.reason})" if abilities.reason else ""
    for option, kind in _SPACES.items():
        if _asks(section, option) and kind not in abilities.namespaces:
            yield option, f"no {kind} namespaces for this daemon{why}"
    closed = calls.BY_LANDLOCK if calls.replaces_mounts(abilities) else ()
    for option in _BY_MOUNTS:
        if _asks(section, option) and not abilities.mounts and option not in closed:
            yield option, f"no mounts for this daemon{why}"
    own_pids = section.private_pids and "pid" in abilities.namespaces
    for option in _BY_PROC:
        if _asks(section, option) and not (abilities.proc and (abilities.root or own_pids)):
            yield option, f"no /proc of its own for this daemon's agents{why}"
    if section.ambient_capabilities.names and not (abilities.root or "user" in abilities.namespaces):
        yield "ambient_capabilities", f"no capabilities for this daemon{why}"


def _asks(section: SandboxSection, option: str) -> bool:
    return bool(getattr(section, option) != getattr(_NOTHING, option))


# ------------------------------------------------------------------------------------------------ what is told


def _data(
    unit: Unit,
    section: SandboxSection,
    abilities: Abilities,
    premises: Premises,
) -> dict[str, Any]:
    found = mounts(section, _scene(unit, section, abilities, premises)) if abilities.mounts else ()
    # A path that is missing shows nothing, and still it is asked for a view of its own.
    apart = abilities.mounts and any(_asks(section, option) for option in _BY_MOUNTS)
    spaces = _spaces(section, bool(found) or apart, abilities.root, premises)
    data: dict[str, Any] = {
        "namespaces": spaces,
        "capabilities": _capabilities(section, abilities, bool(spaces)),
    }
    if found or apart:
        data |= {"mounts": found, "propagation": section.mount_flags}
    if calls.replaces_mounts(abilities):
        data["landlock"] = calls.rules(section, abilities, _scene(unit, section, abilities, premises))
    if section.no_new_privileges or data.get("landlock"):
        data["no_new_privileges"] = True
    return {name: value for name, value in data.items() if value}


def _scene(unit: Unit, section: SandboxSection, abilities: Abilities, premises: Premises) -> Scene:
    agent = unit.agent
    assert agent is not None
    root = premises.root if premises.root not in ("", "/") else ""
    return Scene(
        unit=unit.name,
        root=agent.root_directory,
        cwd=os.path.normpath(agent.working_directory.removeprefix("-")),
        kept=tuple(path for path in (root, premises.run) if path),
        hidden=tuple(path for path in premises.hidden if path),
        private=premises.private,
        own=premises.own,
        common=premises.common,
        pids=bool(section.private_pids),
        proc=abilities.proc,
    )


def _spaces(section: SandboxSection, has_mounts: bool, is_root: bool, premises: Premises) -> dict[str, Any]:
    flags = {
        _NEWNS: has_mounts,
        _NEWIPC: section.private_ipc,
        _NEWUTS: section.protect_hostname,
        _NEWNET: section.network != "host",
    }
    unshare = sum(flag for flag, wanted in flags.items() if wanted)
    clone = _NEWPID if section.private_pids else 0
    spaces: dict[str, Any] = {}
    if not is_root and (unshare or clone or section.private_users):
        clone |= _NEWUSER  # in which it is root enough for the others
        spaces["map"] = (premises.uid, premises.gid)
    elif section.private_users:
        spaces["alone"] = True
    if section.network == "gateway":
        spaces["listeners"] = tuple((one.host, one.port) for one in section.listeners)
    spaces |= {"clone": clone, "unshare": unshare, "loopback": bool(unshare & _NEWNET)}
    return {name: value for name, value in spaces.items() if value}


def _capabilities(section: SandboxSection, abilities: Abilities, has_spaces: bool) -> dict[str, Any]:
    if not (abilities.root or has_spaces):
        return {}  # it has none that it could lose
    kept = section.capability_bounding_set
    numbers = _ALL if kept is None else kept.numbers
    for option, names in _LOSES.items():
        if _asks(section, option):
            numbers = numbers - {CAPABILITIES[name] for name in names}
    found: dict[str, Any] = {}
    if numbers != _ALL:
        found["bounding"] = tuple(sorted(numbers))
    if section.ambient_capabilities.numbers:
        found["ambient"] = tuple(sorted(section.ambient_capabilities.numbers & numbers))
    return found
