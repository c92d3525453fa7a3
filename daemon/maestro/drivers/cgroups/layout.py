"""Which hierarchies of control groups this host has, and where in them we may make groups."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

AGENTS = "agents"  # the level that holds all of them: one write there reaches every agent
DAEMON = "daemon"  # the group of keeper and manager, where they may not stay in the one above
CONTROLLERS = {1: ("memory", "pids", "cpu", "cpuset", "blkio"), 2: ("memory", "pids", "cpu", "io", "cpuset")}
_V1, _V2 = CONTROLLERS[1], CONTROLLERS[2]
_log = logging.getLogger(__name__)


class Mount(Struct, frozen=True):
    """One hierarchy: where it is mounted, which of its groups is mounted there, and what it controls."""

    at: str
    root: str
    version: int
    controllers: tuple[str, ...] = ()


class Layout(Struct, frozen=True, kw_only=True):
    """Where groups are made. All empty: nowhere."""

    kind: str = "none"  # "v2", "hybrid" (v1 for limits, v2 for the rest), "v1", "none"
    tracking: str = ""  # directory of the group of all agents, in the hierarchy that tells whose a process is
    mount: Mount | None = None  # that hierarchy
    v2: tuple[str, ...] = ()  # controllers in force in that, if it is v2
    v1: Mapping[str, str] = {}  # controller -> directory of the group of all agents
    why: tuple[str, ...] = ()  # what is missing, in words

    @property
    def bases(self) -> tuple[str, ...]:
        """The directories of ours, in every hierarchy."""
        return tuple(dict.fromkeys(filter(None, (self.tracking, *self.v1.values()))))


class Host(Struct, frozen=True, kw_only=True):
    """What the kernel says of itself and of us."""

    mountinfo: str
    own: str  # /proc/self/cgroup
    uid: int
    keeper: int


def this_host(keeper: int) -> Host:
    return Host(
        mountinfo=_read("/proc/self/mountinfo"),
        own=_read("/proc/self/cgroup"),
        uid=os.geteuid(),
        keeper=keeper,
    )


def directories(host: Host, root: str) -> Iterator[str]:
    """Where groups of an installation may be, in every hierarchy, whether they are there or not."""
    own = dict(_own(host.own))
    for mount in mounts(host.mountinfo):
        for group in {own.get(next(iter(mount.controllers), ""), "/"), "/"}:
            yield os.path.join(directory(mount, group), name_of(root))


def name_of(root: str) -> str:
    """The name of our groups: one installation of several on a host is known by its root."""
    return "maestro" if root == "/" else f"maestro-{hashlib.sha256(root.encode()).hexdigest()[:8]}"


def probe(host: Host) -> str:
    """Which kind this host has, without making anything."""
    versions = {mount.version: mount for mount in mounts(host.mountinfo)}
    if 1 in versions:
        return "hybrid" if 2 in versions else "v1"
    return "v2" if 2 in versions else "none"


def detect(host: Host, root: str) -> Layout:
    """Look what there is, and make the groups that hold all others. What may not be made is told in `why`."""
    found, name = tuple(mounts(host.mountinfo)), name_of(root)
    own = dict(_own(host.own))
    v2 = next((mount for mount in found if mount.version == 2), None)
    v1 = {one: mount for mount in found if mount.version == 1 for one in mount.controllers}
    has_v1 = any(one in v1 for one in _V1)
    if v2 is not None and not has_v1:
        return _pure(v2, own.get("", "/"), name, host)
    return _hybrid(v2, v1, own, name)


def mounts(mountinfo: str) -> Iterator[Mount]:
    """Every mounted hierarchy, by the lines of /proc/PID/mountinfo."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        at, root = _unescape(fields[4]), _unescape(fields[3])
        if kind[0] == "cgroup2":
            yield Mount(at, root, 2)
        else:
            controllers = tuple(one for one in kind[-1].split(",") if one not in ("rw", "ro"))
            yield Mount(at, root, 1, controllers)


def _pure(v2: Mount, own: str, name: str, host: Host) -> Layout:
    """All in one hierarchy: below our own group if that was delegated to us, else, as root, at the top."""
    here = directory(v2, own)
    if here.endswith(f"/{DAEMON}") and is_delegated(os.path.dirname(here)):
        here = os.path.dirname(here)
    if is_delegated(here):
        base = here
        _move(host.keeper, os.path.join(here, DAEMON))
    elif host.uid == 0:
        base = os.path.join(v2.at, name)
    else:
        return Layout(why=("this user was given no control group: under systemd, set Delegate=yes",))
    agents = os.path.join(base, AGENTS)
    why: list[str] = []
    try:
        os.makedirs(agents, exist_ok=True)
    except OSError as error:
        return Layout(why=(f"cannot make {agents}: {error.strerror}",))
    for level in dict.fromkeys((os.path.dirname(base) if base != here else base, base)):
        enable(level, why)
    enable(agents, why)
    held = _read(f"{agents}/cgroup.controllers").split()
    missing = tuple(f"the controller {one} is not available" for one in _V2 if one not in held)
    return Layout(
        kind="v2", tracking=agents, mount=v2, v2=tuple(c for c in _V2 if c in held), why=(*why, *missing)
    )


def _hybrid(v2: Mount | None, v1: Mapping[str, Mount], own: Mapping[str, str], name: str) -> Layout:
    """Limits by v1. Whose a process is by the v2 tree if there is one, which has no controllers, else by the freezer."""
    why: list[str] = []
    bases = {one: made for one in _V1 if one in v1 and (made := _make(v1[one], own.get(one, "/"), name, why))}
    mount = v2 or v1.get("freezer")
    tracking = _make(mount, own.get("" if v2 else "freezer", "/"), name, why) if mount is not None else ""
    if not tracking:
        return Layout(why=tuple(why) or ("no control groups are mounted",))
    missing = tuple(f"the controller {one} is not available" for one in _V1 if one not in bases)
    return Layout(
        kind="hybrid" if v2 else "v1", tracking=tracking, mount=mount, v1=bases, why=(*why, *missing)
    )


def _make(mount: Mount, own: str, name: str, why: list[str]) -> str:
    base = os.path.join(directory(mount, own), name, AGENTS)
    try:
        os.makedirs(base, exist_ok=True)
    except OSError as error:
        why.append(f"cannot make {base}: {error.strerror}")
        return ""
    if "cpuset" in mount.controllers:
        for level in (os.path.dirname(base), base):
            inherit_processors(level)
    return base


def directory(mount: Mount, group: str) -> str:
    """Where a group is, by its path in /proc/PID/cgroup."""
    inside = os.path.relpath(group, mount.root) if mount.root != "/" else group.lstrip("/")
    return os.path.normpath(os.path.join(mount.at, inside)) if not inside.startswith("..") else mount.at


def is_delegated(group: str) -> bool:
    """Whether systemd has left this group to whom it holds."""
    for name in ("trusted.delegate", "user.delegate"):
        try:
            if os.getxattr(group, name) == b"1":
                return os.access(f"{group}/cgroup.procs", os.W_OK)
        except OSError:
            continue
    return False


def enable(level: str, why: list[str]) -> None:
    """Let the groups below have limits of every kind that there is."""
    for one in _read(f"{level}/cgroup.controllers").split():
        if one not in _V2:
            continue
        try:
            _write(f"{level}/cgroup.subtree_control", f"+{one}")
        except OSError as error:
            why.append(f"the controller {one} cannot be used below {level}: {error.strerror}")


def inherit_processors(group: str) -> None:
    """A new group of v1's cpuset has none until it is given some, and then nobody can enter it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        try:
            if not _read(f"{group}/{name}").strip():
                _write(f"{group}/{name}", _read(f"{os.path.dirname(group)}/{name}"))
        except OSError as error:
            _log.warning("cannot set %s of %s: %s", name, group, error.strerror)


def _move(keeper: int, group: str) -> None:
    """Keeper and manager out of a group that is to have others below it: v2 allows processes in leaves only."""
    try:
        os.makedirs(group, exist_ok=True)
        for pid in {keeper, os.getpid()} - {0, 1}:
            _write(f"{group}/cgroup.procs", str(pid))
    except OSError as error:
        _log.warning("cannot move into %s: %s", group, error.strerror)


def _own(text: str) -> Iterator[tuple[str, str]]:
    """Controller -> path of our group; v2's controller is empty."""
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for one in names.split(","):
            yield one.removeprefix("name="), path


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
