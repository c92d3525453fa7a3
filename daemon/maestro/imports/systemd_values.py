"""Conversions of systemd's settings that only it has: references to units, times, streams, lists in its grammar."""

from __future__ import annotations

import re

from maestro.imports.record import Record, Rough
from maestro.imports.systemd_commands import full_name
from maestro.imports.table import Convert, Scope
from maestro.imports.values import is_true, said
from maestro.model import names
from maestro.model.command import split_words
from maestro.model.plain import Given, Mistake, Plain, shorten
from maestro.model.syscall_lists import SyscallList
from maestro.model.timespan import Seconds
from maestro.model.values import SignalName

# Where everything hangs that is to run after boot.
_BOOT = ("multi-user.target", "graphical.target", "default.target", "basic.target", "sysinit.target")
_HOST = re.compile(
    r"(sysinit|basic|local-fs(-pre)?|remote-fs(-pre)?|network(-pre|-online)?|nss-(user-)?lookup|time-(sync|set)|"
    r"syslog|cryptsetup(-pre)?|paths|timers|sockets|slices|swap|shutdown|reboot|poweroff|halt|kexec|final|umount|"
    r"rescue|emergency|multi-user|graphical|default|getty(-pre)?|initrd[a-z-]*|rpcbind|sound|printer|bluetooth|"
    r"machines|system-update(-pre)?|first-boot-complete|integritysetup(-pre)?|veritysetup(-pre)?|exit|boot-complete|"
    r"suspend|hibernate|hybrid-sleep|suspend-then-hibernate|sleep|sigpwr|usb-gadget|ctrl-alt-del)\.target"
)
_SLICES = (
    "system.slice",
    "user.slice",
    "machine.slice",
    "-.slice",
    "session.slice",
    "app.slice",
    "background.slice",
)


def renamed(name: str) -> str:
    """What a unit of systemd is called here. A `Mistake` where Maestro has no such units."""
    bare, dot, kind = name.rpartition(".")
    if kind == "service" and dot:
        return bare
    if kind in ("target", "slice") and dot:
        return name
    if kind in names.FOREIGN + names.LATER and dot:
        raise Mistake(f"{shorten(name)}: Maestro has no {kind} units")
    raise Mistake(f"{shorten(name)} is no unit's name", "write it with its suffix")


def is_there(name: str, scope: Scope) -> bool:
    """Whether a unit, or the template of it, comes along or is installed."""
    return name in scope.units or (("@" in name) and f"{name.partition('@')[0]}@" in scope.units)


def _one(name: str, scope: Scope, *, needed: bool) -> tuple[str, str]:
    """A reference, or nothing; and what is to be said of it."""
    try:
        ours = renamed(full_name(name))
    except Mistake as mistake:
        return "", str(mistake)
    if is_there(ours, scope):
        return ours, ""
    if _HOST.fullmatch(ours):
        return (
            "",
            f"{name} is left out: the host has that behind it when Maestro starts, or it is systemd's to do",
        )
    if needed:
        return (
            "",
            f"{name} is left out: it is not imported with this one, and a start without it would be refused",
        )
    return ours, f"{name} is not imported with this one: it counts once there is a unit {ours}"


def units(*, needed: bool = False) -> Convert:
    """Units by their names, without those that cannot be meant."""

    def changed(record: Record, scope: Scope) -> Plain:
        found = [_one(word, scope, needed=needed) for word in said(record).split()]
        told = [why for _, why in found if why]
        kept: Plain = [name for name, _ in found if name] or None
        return Rough(kept, "; ".join(told)) if told else kept

    return changed


def installed(record: Record, scope: Scope) -> Plain:
    """Targets that are to have it."""
    kept: list[str] = []
    told: list[str] = []
    for word in said(record).split():
        if word in _BOOT and word not in scope.units:
            kept.append("default.target")
            if word != "default.target":
                told.append(f"{word} is default.target here")
        else:
            name, why = _one(word, scope, needed=False)
            kept += [name] if name else []
            told += [why] if why else []
    return Rough(kept or None, "; ".join(told)) if told else kept


def own_names(record: Record, scope: Scope) -> Plain:
    return [renamed(full_name(word)) for word in said(record).split()]


def slice_of(record: Record, scope: Scope) -> Plain:
    name = said(record)
    if name in scope.units:
        return name
    if name in _SLICES:
        return Rough(None, f"{name} is systemd's: an agent of Maestro is in no slice unless it names one")
    return Rough(None, f"{name} is not imported with this one, and a start without it would be refused")


def span(record: Record, scope: Scope) -> Plain:
    """A duration."""
    return str(Seconds(said(record)))


def timeout(record: Record, scope: Scope) -> Plain:
    """The same, where 0 means for ever."""
    length = Seconds(said(record))
    return str(length) if length else "infinity"


def some_time(record: Record, scope: Scope) -> Plain:
    """The same, where 0 and infinity mean: not at all."""
    length = Seconds(said(record))
    return str(length) if 0 < length < float("inf") else None


def signal(record: Record, scope: Scope) -> Plain:
    return str(SignalName(said(record)))


def word(record: Record, scope: Scope) -> Plain:
    """A word, where yes and no have more than one spelling."""
    value = said(record)
    try:
        return "yes" if is_true(value) else "no"
    except Mistake:
        return value


def line(record: Record, scope: Scope) -> Plain:
    """A line of a list in systemd's grammar."""
    value = said(record)
    if value.lower() in ("yes", "true", "on", "1"):
        return ["true"]
    return ["false"] if value.lower() in ("no", "false", "off", "0") else [value]


def calls(record: Record, scope: Scope) -> Plain:
    """A line of system calls. One that is not known is left out, as systemd does: the others are filtered all the same."""
    value = said(record)
    mark = value[: value.startswith("~")]
    words = value[len(mark) :].split()
    bad = [one for one in words if not _is_call(mark + one)]
    if not bad:
        return [value]
    kept: Plain = [mark + " ".join(one for one in words if one not in bad)] if len(bad) < len(words) else None
    return Rough(kept, f"there is no system call {', '.join(map(shorten, bad))}: left out, as systemd does")


def _is_call(text: str) -> bool:
    try:
        SyscallList.read(Given([text]))
    except Mistake:
        return False
    return True


def quoted(record: Record, scope: Scope) -> Plain:
    return [full_name(one) for one in split_words(said(record))]


def one_quoted(record: Record, scope: Scope) -> Plain:
    return full_name(said(record))


def assignments(record: Record, scope: Scope) -> Plain:
    """`A=1 "B=2 3"`."""
    found = split_words(said(record))
    bad = [one for one in found if not re.fullmatch(r"(?s)([A-Za-z_]|%.)([A-Za-z0-9_]|%.)*=.*", one)]
    kept = dict(full_name(one).partition("=")[::2] for one in found if one not in bad) or None
    if not bad:
        return kept
    return Rough(kept, f"{', '.join(map(shorten, bad))} assigns nothing, and systemd leaves it out, too")


def output(record: Record, scope: Scope) -> Plain:
    value = said(record)
    if value == "journal":
        return "log"
    if re.fullmatch(r"(syslog|kmsg|journal)(\+console)?", value):
        return Rough("log", "the log of Maestro is the only one")
    return full_name(value)


def network(record: Record, scope: Scope) -> Plain:
    return "none" if is_true(said(record)) else "host"


def by_name(record: Record, scope: Scope) -> Plain:
    """`NAME:VALUE`; of a credential's file, NAME alone is its name."""
    name, colon, value = said(record).partition(":")
    return {name: value if colon else name}


def by_device(record: Record, scope: Scope) -> Plain:
    """`DEVICE AMOUNT`; K, M and G are powers of 1000 to systemd."""
    device, _, amount = said(record).partition(" ")
    match = re.fullmatch(r"\s*([0-9]{1,15})([KMGT]?)\s*", amount)
    if match is None:
        raise Mistake(f"{shorten(said(record))} is no device and amount")
    return {device: int(match[1]) * 1000 ** " KMGT".index(match[2] or " ")}


def colons(record: Record, scope: Scope) -> Plain:
    return [path for path in said(record).split(":") if path]


def versions(record: Record, scope: Scope) -> Plain:
    return [" ".join(one.replace(" ", "") for one in split_words(said(record)))]


def if_true(words: str) -> Convert:
    """A switch that Maestro has no counterpart of: where it is off, nothing is lost."""

    def changed(record: Record, scope: Scope) -> Plain:
        return Rough(None, words) if is_true(said(record)) else None

    return changed


def if_false(words: str) -> Convert:
    """The same the other way round."""

    def changed(record: Record, scope: Scope) -> Plain:
        return None if is_true(said(record)) else Rough(None, words)

    return changed


def other_type(value: str) -> Plain:
    """Types that only systemd has."""
    if value == "idle":
        return Rough("simple", "Maestro waits for no jobs: it starts at once")
    if value == "dbus":
        return Rough("exec", "Maestro knows no bus: it counts as started when its program is executed")
    raise Mistake(f"there is no type {shorten(value)}")


def kill_mode(record: Record, scope: Scope) -> Plain:
    value = said(record)
    return (
        Rough("process", "Maestro leaves nothing running: the main process is ended")
        if value == "none"
        else value
    )


def pid_file(record: Record, scope: Scope) -> Plain:
    value = said(record)
    return value if value.startswith(("/", "%")) else f"%t/{value}"
