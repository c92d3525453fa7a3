"""Units of systemd, with their drop-ins, as units of Maestro."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from maestro.imports import systemd_table
from maestro.imports.engine import Draft, Piece, Pieces, all_dropped, made
from maestro.imports.record import Imported, Record
from maestro.imports.systemd_reader import records
from maestro.imports.table import Scope, Table
from maestro.model.plain import Plain

WHAT = "systemd"
_KINDS: Mapping[str, tuple[str, Table, frozenset[str]]] = {
    "service": ("agent", systemd_table.SERVICE, frozenset({"Unit", "Service", "Install"})),
    "target": ("target", systemd_table.TARGET, frozenset({"Unit", "Install"})),
    "slice": ("slice", systemd_table.SLICE, frozenset({"Unit", "Slice", "Install"})),
}
NO_UNITS: Mapping[str, str] = {
    "timer": "Maestro has no timers yet: what it would start is started by hand or by another timer",
    "socket": "Maestro has no socket units yet: an agent opens its own sockets",
    "path": "Maestro has no path units: nothing is started for a file that changes",
    **dict.fromkeys(
        ("mount", "automount", "swap", "device", "scope"),
        "Maestro has no units of this kind: that is the host's to do",
    ),
}
KINDS = (*_KINDS, *NO_UNITS)
_SECTIONS = frozenset(
    {
        "Unit",
        "Install",
        "Timer",
        "Socket",
        "Path",
        "Mount",
        "Automount",
        "Swap",
        "Device",
        "Scope",
        "Service",
        "Slice",
    }
)


def target_name(name: str) -> str:
    """The file that a unit of this name becomes; empty where Maestro has no such units."""
    bare, _, kind = name.rpartition(".")
    return f"{bare}.{_KINDS[kind][0]}.yaml" if kind in _KINDS else ""


def unit_name(name: str) -> str:
    """What the unit is called then."""
    bare, _, kind = name.rpartition(".")
    return bare if kind == "service" else name


def imported(name: str, pieces: Sequence[tuple[str, bytes]], around: Collection[str]) -> Imported:
    """A unit from its file and its drop-ins, each with its path. Never raises."""
    kind = name.rpartition(".")[2]
    if kind not in _KINDS:
        found = [one for path, content in pieces for one in records(content, path, _SECTIONS)]
        return all_dropped("", found, NO_UNITS.get(kind, "Maestro has no units of this kind"))
    _, table, sections = _KINDS[kind]
    found = [one for path, content in pieces for one in records(content, path, sections)]
    service_type = _type(found)
    draft = Draft(
        file=target_name(name),
        what=WHAT,
        records=found,
        table=table,
        scope=Scope(unit_name(name), around, {"type": service_type}),
        defaults=_defaults(kind, service_type),
        compose=_composed,
        needs="agent.exec" if kind == "service" else "",
        heading=f"Imported from {name} of systemd.",
    )
    return made(draft)


def _type(found: Sequence[Record]) -> str:
    """As systemd finds it out where a unit does not say."""
    said = {one.key: str(one.value) for one in found if one.section == "Service" and one.key and one.value}
    if "Type" in said:
        return said["Type"]
    return "dbus" if "BusName" in said else "simple" if "ExecStart" in said else "oneshot"


def _defaults(kind: str, service_type: str) -> dict[str, Plain]:
    """What systemd does where a unit says nothing, and Maestro would do something else."""
    if kind != "service":
        return {}
    return {
        "agent.type": service_type if service_type in ("simple", "oneshot") else "exec",
        "agent.start_timeout": "infinity" if service_type == "oneshot" else "1min 30s",
        "agent.ignore_sigpipe": True,
        "agent.restart.policy": "no",
        "agent.restart.profile": "systemd",
        "resources.memory_max": "infinity",
        "resources.tasks_max": "infinity",
    }


# ------------------------------------------------------------------------------------------------ several settings in one option


def _composed(pieces: Pieces) -> Pieces:
    """Commands, stop and start limits: one option of several settings."""
    plain = [piece for piece in pieces if not piece.option.startswith("~")]
    parts = [piece for piece in pieces if piece.option.startswith("~")]
    timeouts = [
        Piece("agent.start_timeout", one.value, one.records)
        for one in parts
        if one.option == "~agent.start_timeout and agent.stop.sequence#"
    ]
    is_service = any(piece.option == "agent.type" for piece in pieces)
    return [*_commands(pieces), *plain, *timeouts, *(_stop(parts) if is_service else []), *_limits(parts)]


def _commands(pieces: Pieces) -> Pieces:
    """The first command is `exec`, which has no marks: a command that does nothing goes before one that has."""
    lines = [(line, one.records) for one in pieces if one.option == "~agent.exec" for line in one.value]
    if not lines:
        around = [one for one in pieces if one.option.startswith("agent.exec_") and one.records]
        lines = [("/bin/true", ())] if around else []
    elif lines[0][0][0] in "@-:+!":
        lines.insert(0, ("/bin/true", ()))
    if not lines:
        return []
    more = [Piece("agent.exec_more", [line], numbers) for line, numbers in lines[1:]]
    return [Piece("agent.exec", lines[0][0], lines[0][1]), *more]


def _last(parts: Pieces, *options: str) -> tuple[Plain, tuple[int, ...]]:
    return next(((one.value, one.records) for one in reversed(parts) if one.option in options), (None, ()))


def _stop(parts: Pieces) -> Pieces:
    signal, first = _last(parts, "~agent.stop.sequence#signal")
    wait, second = _last(parts, "~agent.stop.sequence#wait", "~agent.start_timeout and agent.stop.sequence#")
    hup, third = _last(parts, "~agent.stop.sequence#hup")
    if not first + second + third:
        return [Piece("agent.stop.sequence", ["TERM 1min 30s", "KILL"])]
    signal, wait = signal or "TERM", wait or "1min 30s"
    steps = [f"{signal} 0", f"HUP {wait}"] if hup else [f"{signal} {wait}"]
    return [
        Piece("agent.stop.sequence", steps if signal == "KILL" else [*steps, "KILL"], first + second + third)
    ]


def _limits(parts: Pieces) -> Pieces:
    count, first = _last(parts, "~agent.restart.start_limits#count")
    window, second = _last(parts, "~agent.restart.start_limits#window")
    if not first + second:
        return []
    value = [] if count == 0 or window == "0" else [f"{5 if count is None else count}/{window or '10s'}"]
    return [Piece("agent.restart.start_limits", value, first + second)]
