"""supervisord's configuration: programs and groups."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from posixpath import dirname

from maestro.imports.engine import Draft, Piece, Pieces, all_dropped, made
from maestro.imports.record import Imported, Record, Rough
from maestro.imports.shell_words import split, unit_name
from maestro.imports.table import Rule, Scope, drop
from maestro.imports.values import (
    bytes_of,
    is_true,
    literal,
    number,
    one_of,
    percents,
    said,
    seconds,
    truth,
    whole,
)
from maestro.model.plain import Mistake, Plain, shorten
from maestro.model.status import SignalName

WHAT = "supervisord"
_EXPANSION = re.compile(r"%\((\w+)\)(?:0?\d*)([sd])|%(%)|(%)")
_ASSIGNMENT = re.compile(
    r"""\s*([A-Za-z_]\w*)\s*=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,]*?)\s*(?:,|$)"""
)
_TAKEN = re.compile(r"(?<!\$)(?:\$\$)*\$\{(\w+)\}")
_NO = ("no", "false", "off", "0", "n", "f")
_PROGRAM = ("program", "eventlistener", "fcgi-program")


def expanded(value: str, scope: Scope) -> tuple[str, list[str]]:
    """Its %(…)s replaced, and the variables of the environment that it takes. A `Mistake` for one that is not known."""
    taken: list[str] = []

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "%"
        if name.startswith("ENV_"):
            taken.append(name[4:])
            return f"\0{name[4:]}\1"
        if name in scope.variables:
            return scope.variables[name]
        raise Mistake(f"%({name})s is not known here", "write out what it stands for")

    if "\0" in value or "\1" in value:
        raise Mistake("it contains a control character")
    return _EXPANSION.sub(one, value), taken


def _finished(word: str) -> str:
    """Specifiers and variables in their own grammar."""
    return word.replace("\0", "${").replace("\1", "}").replace("\2", "%i").replace("\3", "%H")


def _command(record: Record, scope: Scope) -> Plain:
    text, taken = expanded(said(record), scope)
    line = [_finished(word) for word in split(text)]
    return Rough(line, _passing(taken)) if taken else line


def _passing(taken: Sequence[str]) -> str:
    names = ", ".join(dict.fromkeys(taken))
    return f"{names}: from Maestro's own environment, and not supervisord's"


def _plain(record: Record, scope: Scope) -> Plain:
    """A text in which no variables are replaced by Maestro."""
    text, taken = expanded(said(record), scope)
    if taken:
        raise Mistake(f"it takes {', '.join(taken)} from supervisord's environment", "write out its value")
    return _finished(percents(text))


def _output(record: Record, scope: Scope) -> Plain:
    value = said(record).strip()
    if value in ("AUTO", "syslog") or value.startswith("/dev/std") or value.startswith("/dev/fd/"):
        return "log" if value == "AUTO" else Rough("log", "the log of Maestro takes its place")
    if value == "NONE":
        return "null"
    path = str(_plain(record, scope))
    return (
        f"append:{path}"
        if path.startswith("/")
        else Rough(None, f"{shorten(path)} is relative to wherever supervisord began")
    )


def _environment(record: Record, scope: Scope) -> Plain:
    """`A="1",B=2`."""
    text, taken = expanded(said(record), scope)
    if taken:
        raise Mistake(f"it takes {', '.join(taken)} from supervisord's environment", "write out its value")
    found: dict[str, Plain] = {}
    place = 0
    while place < len(text.rstrip(", \t\n")):
        match = _ASSIGNMENT.match(text, place)
        if match is None or match.end() == place:
            raise Mistake(f"{shorten(text[place:])} is not NAME=VALUE")
        value = match[2][1:-1] if match[2][:1] in ("'", '"') else match[2]
        found[match[1]] = _finished(percents(value))
        place = match.end()
    return found or None


def _restart(value: str) -> Plain:
    return "always" if is_true(value) else "no"


def _exit_codes(record: Record, scope: Scope) -> Plain:
    return [code for code in re.split(r"[\s,]+", said(record)) if code]


def _signal(record: Record, scope: Scope) -> Plain:
    return str(SignalName(said(record).strip().upper()))


def _retries(record: Record, scope: Scope) -> Plain:
    return whole(said(record))


def _start_seconds(record: Record, scope: Scope) -> Plain:
    return Rough(
        None,
        "Maestro counts it as started when its program is executed: write a readiness probe under health",
    )


def _merged_streams(record: Record, scope: Scope) -> Plain:
    return "inherit" if is_true(said(record)) else None


def _for_all(record: Record, scope: Scope) -> Plain:
    if is_true(said(record)):
        return "control-group"
    return None


def _instances(record: Record, scope: Scope) -> Plain:
    count = whole(said(record))
    if not 1 <= count <= 1000:
        raise Mistake(f"{count} is no number of processes that is made into units")
    return count


PROGRAM: dict[str, Rule] = {
    "command": Rule("agent.exec", _command),
    "directory": Rule("agent.working_directory", _plain),
    "umask": Rule("agent.umask", literal),
    "user": Rule("agent.user", literal),
    "environment": Rule("agent.environment", _environment),
    "autostart": Rule("~install.wanted_by#", truth),
    "autorestart": Rule("agent.restart.policy", one_of({"unexpected": "on-failure"}, _restart)),
    "startretries": Rule("~agent.restart.start_limits#", _retries, "supervisord counts tries in a row, Maestro starts in 10 minutes"),
    "startsecs": Rule("~nothing", _start_seconds),
    "exitcodes": Rule("agent.success_exit_status", _exit_codes, "0 and the usual signals count as a clean end as well"),
    "stopsignal": Rule("~agent.stop.sequence#signal", _signal),
    "stopwaitsecs": Rule("~agent.stop.sequence#wait", seconds),
    "stopasgroup": Rule("agent.stop.kill_mode", _for_all),
    "killasgroup": Rule("~nothing", lambda record, scope: Rough(None, "KILL goes to all of its processes in any case")),
    "redirect_stderr": Rule("agent.stderr", _merged_streams),
    "stdout_logfile": Rule("agent.stdout", _output),
    "stderr_logfile": Rule("agent.stderr", _output),
    "stdout_logfile_maxbytes": Rule("logs.max_size", bytes_of, "of Maestro's own log, which is for both streams"),
    "stdout_logfile_backups": Rule("logs.max_files", number, "of Maestro's own log, which is for both streams"),
    "numprocs": Rule("~the instances#", _instances),
    **drop("the log of Maestro is for both streams: that of stdout counts", "stderr_logfile_maxbytes stderr_logfile_backups"),
    **drop("units are ordered by after and requires, not by numbers", "priority"),
    **drop("units are called by the name of the section, instances by a number", "process_name numprocs_start"),
    **drop("Maestro reads no events from output", "stdout_capture_maxbytes stderr_capture_maxbytes "
           "stdout_events_enabled stderr_events_enabled events buffer_size result_handler"),
    **drop("Maestro sends nothing to syslog", "stdout_syslog stderr_syslog"),
    **drop("Maestro is not asked over a URL", "serverurl"),
    **drop("Maestro has no socket units yet: an agent opens its own sockets", "socket socket_backlog socket_owner socket_mode"),
}  # fmt: skip
_OTHERS = {
    "supervisord": "it is about supervisord itself",
    "supervisorctl": "it is about supervisorctl: maestroctl needs no configuration",
    "unix_http_server": "it is about supervisord's own socket: Maestro has one in its run directory",
    "inet_http_server": "it is about supervisord's own port: Maestro has none",
    "include": "files that it includes are imported where they are named, too",
    "rpcinterface": "it is about supervisord's own interface",
}
_DEFAULTS: dict[str, Plain] = {  # what supervisord does where nothing is said
    "agent.type": "simple",
    "agent.restart.policy": "on-failure",
    "agent.stop.kill_mode": "mixed",
    "resources.memory_max": "infinity",
    "resources.tasks_max": "infinity",
}


def _members(record: Record, scope: Scope) -> Plain:
    """Programs of a group; of one with several processes, the target that has them all."""
    wanted = [unit_name(name.strip()) for name in said(record).split(",") if name.strip()]
    found: list[Plain] = [scope.variables.get(name, name) for name in wanted]
    missing = [name for name in wanted if name not in scope.variables and name not in scope.units]
    words = f"{', '.join(missing)}: there is no such program here; it counts once there is such a unit"
    return Rough(found, words) if missing else found or None


_GROUP: dict[str, Rule] = {
    "programs": Rule("unit.wants", _members),
    **drop("units are ordered by after and requires, not by numbers", "priority"),
}


def sections(content: bytes, path: str) -> list[tuple[str, list[Record]]]:
    """The sections in their order, each with its heading and settings. A line that is indented goes on with the last."""
    found: list[tuple[str, list[Record]]] = []
    section = ""
    for line, raw in enumerate(content.decode("utf-8", "replace").removeprefix("\ufeff").split("\n"), 1):
        text = re.split(r"(?:^|\s);", raw, maxsplit=1)[0].rstrip()
        if not text.strip() or text.startswith("#"):
            continue
        if text.startswith("[") and text.endswith("]"):
            section = text[1:-1].strip()
            found.append((section, [Record(path, line, section, "", "a section")]))
            continue
        if not found:
            found.append(("", []))
        here = found[-1][1]
        key, mark, value = text.partition("=")
        if text[0] in " \t" and here and here[-1].key:
            last = here[-1]
            here[-1] = Record(path, last.line, section, last.key, f"{last.value}\n{text.strip()}")
        elif not mark or not key.strip():
            here.append(
                Record(path, line, text.strip()[:40], "", "!this is neither a section nor NAME=VALUE")
            )
        else:
            here.append(Record(path, line, section, key.strip(), value.strip()))
    return found


def imported(content: bytes, path: str, around: Collection[str]) -> list[Imported]:
    """A unit for each program and group. Never raises."""
    found: list[Imported] = []
    seen: set[str] = set()
    parts = sections(content, path)
    units = {unit_name(name): _unit_of(name, one) for name, one in _programs(parts)}
    for section, records in parts:
        kind, colon, name = section.partition(":")
        name = name.strip()
        if colon and name and section in seen:
            found.append(all_dropped("", records, f"[{section}] is given twice: the first counts"))
        elif colon and name and kind in (*_PROGRAM, "group"):
            seen.add(section)
            found += (
                _program(name, records, path, around)
                if kind != "group"
                else [_group(name, records, units, around)]
            )
        else:
            why = _OTHERS.get(
                kind, f"no such section [{section}] is known" if section else "it stands in no section"
            )
            found.append(all_dropped("", records, why))
    return found


def _programs(parts: Sequence[tuple[str, list[Record]]]) -> list[tuple[str, list[Record]]]:
    named = [(section.partition(":"), records) for section, records in parts]
    return [
        (name.strip(), records) for (kind, _, name), records in named if kind in _PROGRAM and name.strip()
    ]


def _count(records: Sequence[Record]) -> int:
    """How many processes a program has; 1 where that makes no sense."""
    said_of = next((str(one.value) for one in reversed(records) if one.key == "numprocs"), "1").strip()
    return int(said_of) if re.fullmatch("[0-9]{1,4}", said_of) and 1 < int(said_of) <= 1000 else 1


def _unit_of(name: str, records: Sequence[Record]) -> str:
    return f"{unit_name(name)}.target" if _count(records) > 1 else unit_name(name)


def _program(name: str, records: list[Record], path: str, around: Collection[str]) -> list[Imported]:
    count = _count(records)
    several = count > 1
    unit = unit_name(name)
    scope = Scope(unit, around, {
        "program_name": name, "group_name": name, "process_num": "\2" if several else "0", "host_node_name": "\3",
        "here": dirname(path) or ".", "numprocs": str(count),
    })  # fmt: skip
    main = made(Draft(
        file=f"{unit}@.agent.yaml" if several else f"{unit}.agent.yaml", what=WHAT, records=records, table=PROGRAM,
        scope=scope, defaults=_DEFAULTS, compose=_composed, needs="agent.exec",
        heading=f"Imported from [{records[0].section}] of supervisord.",
    ))  # fmt: skip
    if not several or not main.text:
        return [main]
    members: dict[str, Plain] = {"unit.wants": [f"{unit}@{place}" for place in range(count)]}
    if not any(one.key == "autostart" and str(one.value).strip().lower() in _NO for one in records):
        members["install.wanted_by"] = ["default.target"]
    target = made(Draft(
        file=f"{unit}.target.yaml", what=WHAT, records=[], table={}, scope=scope, defaults=members,
        heading=f"The {count} processes of [{records[0].section}].",
    ))  # fmt: skip
    return [main, target]


def _group(name: str, records: list[Record], units: Mapping[str, str], around: Collection[str]) -> Imported:
    return made(Draft(
        file=f"{unit_name(name)}.target.yaml", what=WHAT, records=records, table=_GROUP,
        scope=Scope(name, around, units), needs="unit.wants", heading=f"Imported from [group:{name}] of supervisord.",
    ))  # fmt: skip


def _composed(pieces: Pieces) -> Pieces:
    """The steps of a stop, and the limit of starts."""
    last = {piece.option: piece for piece in pieces}
    made_up = [piece for piece in pieces if not piece.option.startswith("~")]
    starts = last.get("~install.wanted_by#")
    if "~the instances#" not in last or last["~the instances#"].value == 1:  # else their target has it
        wanted: Plain = ["default.target"] if starts is None or starts.value else []
        made_up.append(Piece("install.wanted_by", wanted, starts.records if starts else ()))
    signal, wait, tries = (
        last.get("~agent.stop.sequence#signal"),
        last.get("~agent.stop.sequence#wait"),
        last.get("~agent.restart.start_limits#"),
    )
    for piece in pieces:
        if piece.option == "agent.exec":
            taken = [name for word in piece.value for name in _TAKEN.findall(word)]
            made_up += [Piece("agent.pass_environment", taken, piece.records)] if taken else []
    numbers = tuple(number for one in (signal, wait) if one for number in one.records)
    first = f"{signal.value if signal else 'TERM'} {wait.value if wait else '10s'}"
    steps = [first] if first.startswith("KILL") else [first, "KILL"]
    made_up.append(Piece("agent.stop.sequence", steps, numbers))
    if tries is not None:
        limits = [f"{tries.value}/10min"] if tries.value else []
        made_up.append(Piece("agent.restart.start_limits", limits, tries.records))
        made_up.append(Piece("agent.restart.on_give_up", "fail", tries.records))
    return made_up
