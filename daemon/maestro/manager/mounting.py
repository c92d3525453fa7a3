"""Which file systems a confined process sees: from the options to the list that the keeper lays, shorter paths first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from maestro.model.confining import SandboxPath, TemporaryFileSystem
from maestro.model.sandbox import SandboxSection

Mount = tuple[Any, ...]
# As the kernel numbers attributes of mounts, and keeper/mounts.py the marks of a mount.
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
OPTIONAL, FRESH, FLAT, MAKE = 1, 2, 4, 8

_SYSTEM = {
    "no": (),
    "yes": ("/usr", "/boot", "/efi"),
    "full": ("/usr", "/boot", "/efi", "/etc"),
    "strict": ("/",),
}
_APIS = ("/dev", "/proc", "/sys")  # which strict leaves as they are
HOMES = ("/home", "/root", "/run/user")
_TUNABLES = (
    *(f"/proc/{name}" for name in ("acpi", "asound", "bus", "fs", "irq", "mtrr", "scsi", "sys")),
    *(f"/proc/{name}" for name in ("sysrq-trigger", "latency_stats", "timer_stats")),
    "/sys",
)
_KERNEL = ("/proc/kallsyms", "/proc/kcore")
_MODULES = ("/usr/lib/modules", "/lib/modules")
_LOGS = ("/dev/kmsg", "/proc/kmsg")
_GROUPS = "/sys/fs/cgroup"
_SECRETS = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-")
TMP = ("/tmp", "/var/tmp")
_USUAL_TMPFS = NOSUID | NODEV
_FLAGS = {  # as mount(2) has them
    "ro": RDONLY,
    "noexec": NOEXEC,
    "nosuid": NOSUID,
    "nodev": NODEV,
    "nosymfollow": 1 << 8,
    "noatime": 1 << 10,
    "nodiratime": 1 << 11,
    "relatime": 1 << 21,
    "strictatime": 1 << 24,
}
_LIFTS = {
    name.removeprefix("no") if name.startswith("no") else f"no{name}": flag for name, flag in _FLAGS.items()
}
_LIFTS["rw"] = _LIFTS.pop("noro")


class Scene(Struct, frozen=True, kw_only=True):
    """What the options do not say: the unit's places, and what can be done."""

    unit: str
    root: str = ""  # agent.root_directory
    cwd: str = "/"
    kept: tuple[str, ...] = ()  # paths that it has to reach whatever is hidden: our sockets
    hidden: tuple[str, ...] = ()  # ours, and nobody else's business
    private: tuple[str, ...] = ()  # what holds directories of other agents, by now or later
    own: tuple[str, ...] = ()  # directories of its own, which it can write, as in systemd
    common: str = ""  # directory for what is private to units; empty: none, and private files are in memory
    pids: bool = False  # it is in a pid namespace of its own
    proc: bool = True  # a /proc can be mounted


class Spot(Struct, frozen=True, kw_only=True):
    """One path, and what is to show there. None: as what is above it."""

    path: str
    what: Literal["keep", "bind", "own", "tmpfs", "proc", "dev", "hide"] = "keep"
    source: str = ""
    ro: bool | None = None
    noexec: bool | None = None
    attributes: int = 0
    data: str = ""
    may_miss: bool = True
    make: bool = False  # where it is missing, for it may come later
    flat: bool = False


class _Above(Struct, frozen=True):
    """What counts for paths below a spot."""

    ro: bool = False
    noexec: bool = False
    content: str = "keep"  # `what` of the nearest spot that is not "keep"


@lru_cache(maxsize=128)
def mounts(section: SandboxSection, scene: Scene) -> tuple[Mount, ...]:
    """The list for the keeper; `section` has no option left open. Empty where the host's view will do. Kept for the next start."""
    implied = [replace(spot, path=_below(scene.root, spot.path)) for spot in _implied(section, scene)]
    hidden = [
        Spot(path=path, what="hide") for path in (*_SECRETS, *scene.hidden) if section.level == "strict"
    ]
    hidden += [Spot(path=path, what="hide", make=True) for path in scene.private if section.level == "strict"]
    own = [Spot(path=path, ro=False) for path in scene.own]
    spots = _merged([*implied, *hidden, *own, *_named(section, scene)])
    spots = _merged([*spots, *_reached(spots, scene)])
    if not spots:
        return ()
    return tuple(_laid(sorted(spots, key=lambda spot: _steps(spot.path)), scene))


def _steps(path: str) -> int:
    return len(path.strip("/").split("/")) if path != "/" else 0


# ------------------------------------------------------------------------------------------------ what options say


def _implied(section: SandboxSection, scene: Scene) -> Iterator[Spot]:
    """By options that name no path."""
    for path in _SYSTEM[section.protect_system or "no"]:
        yield Spot(path=path, ro=True)
    if section.protect_system == "strict":
        yield from (Spot(path=path, ro=False) for path in _APIS)
    for path in HOMES if section.protect_home != "no" else ():
        if section.protect_home == "read-only":
            yield Spot(path=path, ro=True)
        elif section.protect_home == "tmpfs":
            yield Spot(path=path, what="tmpfs", data="mode=0755", attributes=_USUAL_TMPFS, ro=True)
        else:
            yield Spot(path=path, what="hide")
    if section.private_tmp:
        yield from (_tmp(path, scene) for path in TMP)
    if section.private_devices:
        yield Spot(path="/dev", what="dev", may_miss=False)
    if scene.proc and (scene.pids or section.protect_proc != "default" or section.proc_subset != "all"):
        yield Spot(path="/proc", what="proc", data=_proc_data(section), may_miss=False)
    yield from _kernel(section)


def _kernel(section: SandboxSection) -> Iterator[Spot]:
    if section.protect_kernel_tunables:
        yield from (Spot(path=path, ro=True) for path in _TUNABLES)
        yield from (Spot(path=path, what="hide") for path in _KERNEL)
        if not section.protect_control_groups:
            yield Spot(path=_GROUPS, ro=False)
    if section.protect_control_groups:
        yield Spot(path=_GROUPS, ro=True)
    if section.protect_kernel_modules:
        yield from (Spot(path=path, what="hide") for path in _MODULES)
    if section.protect_kernel_logs:
        yield from (Spot(path=path, what="hide") for path in _LOGS)


def _tmp(path: str, scene: Scene) -> Spot:
    if not scene.common:
        return Spot(path=path, what="tmpfs", data="mode=1777", attributes=_USUAL_TMPFS)
    source = f"{scene.common}/{scene.unit}/{path.strip('/').replace('/', '-')}"
    return Spot(path=path, what="own", source=source, attributes=_USUAL_TMPFS)


def _proc_data(section: SandboxSection) -> str:
    hidden = "" if section.protect_proc == "default" else f"hidepid={section.protect_proc}"
    return ",".join(filter(None, (hidden, "subset=pid" if section.proc_subset == "pid" else "")))


def _named(section: SandboxSection, scene: Scene) -> Iterator[Spot]:
    """By options that name paths: later ones count where two name the same."""

    def place(path: SandboxPath) -> str:
        return _below(scene.root, path.path) if path.rooted else _real(path.path, scene)

    for path in section.no_exec_paths:
        yield Spot(path=place(path), noexec=True, may_miss=path.may_miss)
    for path in section.exec_paths:
        yield Spot(path=place(path), noexec=False, may_miss=path.may_miss)
    for path in section.read_write_paths:
        yield Spot(path=place(path), ro=False, may_miss=path.may_miss)
    for path in section.read_only_paths:
        yield Spot(path=place(path), ro=True, may_miss=path.may_miss)
    for one in section.temporary_file_system:
        yield _empty(one, scene)
    for option, ro in ((section.bind_paths, False), (section.bind_read_only_paths, True)):
        for bind in option:
            target = _below(scene.root, bind.destination)
            yield Spot(
                path=target,
                what="bind",
                source=bind.source,
                ro=ro,
                may_miss=bind.may_miss,
                flat=not bind.recursive,
            )
    for path in section.inaccessible_paths:
        yield Spot(path=place(path), what="hide", may_miss=path.may_miss)


def _real(path: str, scene: Scene) -> str:
    """Where a directory of its own is that is named by the link to it."""
    for place in scene.private:
        above, _, last = place.rpartition("/")
        real = f"{above}/{last}/{path.removeprefix(f'{above}/')}"
        if path.startswith(f"{above}/") and any(real == one or _is_below(real, one) for one in scene.own):
            return real
    return path


def _empty(one: TemporaryFileSystem, scene: Scene) -> Spot:
    attributes = _USUAL_TMPFS
    data = ["mode=0755"]
    for word in one.options:
        attributes |= _FLAGS.get(word, 0)
        attributes &= ~_LIFTS.get(word, 0)
        if word not in _FLAGS and word not in _LIFTS:
            data.append(word)
    return Spot(
        path=_below(scene.root, one.path),
        what="tmpfs",
        data=",".join(data),
        attributes=attributes & ~RDONLY,
        ro=bool(attributes & RDONLY),
        may_miss=False,
    )


def _below(root: str, path: str) -> str:
    return f"{root.rstrip('/')}{path}".rstrip("/") or "/"


# ------------------------------------------------------------------------------------------------ what they come to


def _merged(spots: Iterable[Spot]) -> list[Spot]:
    """One spot for each path: what a later one says counts, and what it leaves open stays as it was."""
    found: dict[str, Spot] = {}
    for spot in spots:
        before = found.get(spot.path)
        if before is not None and spot.what == "keep":
            ro = before.ro if spot.ro is None else spot.ro
            noexec = before.noexec if spot.noexec is None else spot.noexec
            # What is named again below what hides it is to be seen.
            base = before if before.what != "hide" or spot.ro is None else spot
            spot = replace(base, ro=ro, noexec=noexec, may_miss=before.may_miss and spot.may_miss)
        found[spot.path] = spot
    return list(found.values())


def _reached(spots: list[Spot], scene: Scene) -> Iterator[Spot]:
    """What has to be seen although something above it is hidden."""
    places = {spot.path: spot for spot in spots}
    hides = ("hide", "tmpfs", "own")
    for path in (*scene.kept, *((scene.cwd,) if _in_tmp(scene.cwd) else ())):
        above = next(
            (places[one] for one in _upwards(path) if one in places and places[one].what != "keep"), None
        )
        if above is not None and above.path != path and above.what in hides and path not in places:
            yield Spot(path=path)


def _in_tmp(path: str) -> bool:
    return any(path.startswith(f"{tmp}/") for tmp in TMP)


def _upwards(path: str) -> Iterator[str]:
    while path not in ("", "/"):
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def _laid(spots: list[Spot], scene: Scene) -> Iterator[Mount]:
    """From above downwards, leaving out what changes nothing."""
    seen: dict[str, _Above] = {}
    for spot in spots:
        over = next((seen[one] for one in _upwards(spot.path) if one in seen and one != spot.path), _Above())
        fresh = spot.what in ("own", "tmpfs", "proc", "dev")
        ro = spot.ro if spot.ro is not None else (False if fresh else over.ro)
        noexec = over.noexec if spot.noexec is None else spot.noexec
        content = (
            over.content if spot.what == "keep" and over.content in ("proc", "dev", "bind") else spot.what
        )
        # What shows again below an empty place comes from the host, as what is above that place does.
        from_host = spot.what in ("own", "tmpfs") and spot.ro is None
        seen[spot.path] = _Above(over.ro if from_host else ro, noexec, content)
        attributes = spot.attributes | (RDONLY if ro else 0) | (NOEXEC if noexec else 0)
        if spot.what == "hide" and any(
            _is_below(other.path, spot.path) and other.what != "hide" for other in spots
        ):
            yield ("tmpfs", spot.path, "mode=0755", RDONLY | NOSUID | NODEV | NOEXEC, OPTIONAL)
        elif spot.what != "keep" or spot.path == "/":
            yield from _one(spot, attributes)
        elif (ro, noexec) != (over.ro, over.noexec) or over.content in ("own", "tmpfs", "hide"):
            yield _tree(spot, attributes, over.content)


def _is_below(path: str, above: str) -> bool:
    return path != above and path.startswith(above.rstrip("/") + "/")


def _one(spot: Spot, attributes: int) -> Iterator[Mount]:
    missing = OPTIONAL if spot.may_miss else 0
    if spot.what == "keep":
        if attributes:
            yield ("set", spot.path, attributes)
    elif spot.what == "bind":
        flags = missing | (FLAT if spot.flat else 0) | MAKE
        yield ("tree", spot.source, spot.path, attributes, flags)
    elif spot.what == "own":
        yield ("own", spot.source, spot.path, attributes, missing)
    elif spot.what == "tmpfs":
        yield ("tmpfs", spot.path, spot.data, attributes, missing or MAKE)
    elif spot.what == "proc":
        yield ("proc", spot.path, spot.data, attributes | NOSUID | NODEV | NOEXEC, missing)
    elif spot.what == "dev":
        yield ("dev", spot.path, attributes)
    else:
        yield ("hide", spot.path, missing | (MAKE if spot.make else 0))


def _tree(spot: Spot, attributes: int, content: str) -> Mount:
    """What is there, again and with other attributes: from the host, or from what is laid above it."""
    missing = OPTIONAL if spot.may_miss else 0
    if content in ("proc", "dev", "bind"):
        return ("tree", spot.path, spot.path, attributes, missing | FRESH)
    return ("tree", spot.path, spot.path, attributes, missing | (MAKE if content != "keep" else 0))
