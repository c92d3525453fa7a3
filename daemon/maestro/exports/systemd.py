"""A unit of Maestro as one of systemd. The table is the importer's, read the other way round."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from maestro.imports import systemd_table
from maestro.imports.record import Grade, Imported, Remark
from maestro.imports.table import Table
from maestro.model import names
from maestro.model.load import Shown, shown
from maestro.model.plain import Plain
from maestro.model.sandbox import in_force
from maestro.model.timespan import Seconds
from maestro.model.unit import Unit
from maestro.model.values import StopStep

_ENDINGS: Mapping[str, tuple[str, Table]] = {
    "agent": (".service", systemd_table.SERVICE),
    "target": ("", systemd_table.TARGET),
    "slice": ("", systemd_table.SLICE),
}
# Said even where a unit says nothing: systemd would do something else.
_ALWAYS = frozenset({
    "agent.type", "agent.exec", "agent.restart.policy", "agent.restart.delay", "agent.restart.start_limits",
    "agent.stop.sequence", "agent.start_timeout", "agent.ignore_sigpipe", "resources.memory_max", "resources.tasks_max",
})  # fmt: skip
_DROPPED = {  # by the beginning of an option
    "agent.restart.": "systemd has one pause between restarts, or steps since version 254",
    "agent.stop.": "systemd knows one signal, one time-out, and KILL",
    "agent.gateway_ports": "systemd has no gateways",
    "agent.notify_fd": "systemd hears of readiness by sd_notify only",
    "agent.set_credential": "a secret is written nowhere: put it into a file, and name that in LoadCredential=",
    "agent.credentials_": "systemd has credentials in files only",
    "sandbox.required": "systemd leaves out what a host cannot do, or fails, as it sees fit",
    "sandbox.listeners": "systemd has no gateways",
    "health.": "systemd asks no questions: let the program say that it is ready, by Type=notify",
    "logs.": "the journal has its own limits: see journald.conf(5)",
    "budget.": "systemd has no budgets",
    "resources.priority": "systemd puts no starts in order by how much room there is",
    "resources.on_pressure": "systemd freezes nothing when memory is short: see systemd-oomd(8)",
    "slice.": "a slice of systemd has no owner and no quota of logs",
    "unit.exclusive": "systemd has nothing that only one unit may hold",
    "unit.milestone": "systemd's nearest is Requires=, which stops this one, too",
    "unit.on_give_up": "systemd has OnFailure= for that, too",
    "unit.essential": "systemd ends for no unit",
}
_PLAIN: tuple[Plain, ...] = (
    None,
    False,
    [],
    "",
    "no",
    "default",
    "all",
    "host",
)  # what a level does not ask for
_REFERENCES = frozenset({
    *(f"unit.{name}" for name in ("requires", "requisite", "wants", "binds_to", "part_of", "upholds", "conflicts", "before",
                                  "propagates_stop_to", "propagates_reload_to", "on_failure", "on_success")),
    "install.required_by", "install.alias", "install.also", "resources.slice",
})  # fmt: skip
_ONE_A_LINE = ("agent.exec_", "condition.", "assert.", "agent.environment_file", "sandbox.system_call_", "sandbox.restrict_",
               "agent.cpu_affinity", "agent.numa_mask")  # fmt: skip


class Line(Struct, frozen=True):
    """A line of a unit file of systemd."""

    section: str
    key: str
    value: str


class Said(Struct, frozen=True):
    """What an option comes to."""

    lines: list[Line]
    words: str = ""  # how it differs


def exported(unit: Unit) -> Imported:
    """The file of a loaded unit, and a remark on every option that its files set. Never raises."""
    ending, table = _ENDINGS[unit.kind]
    back = _reversed(table)
    given = replace(unit, sandbox=in_force(unit.sandbox)) if unit.kind == "agent" else unit
    own = {one.option for one in shown(unit) if one.origin is not None}
    lines: list[Line] = []
    remarks: list[Remark] = []
    leveled = unit.sandbox.level != "none"
    for one in shown(given):
        of_level = leveled and one.option.startswith("sandbox.") and one.value not in _PLAIN
        if one.option not in own and not (one.option in _ALWAYS and unit.kind == "agent") and not of_level:
            continue
        said = _said(one, back)
        lines += said.lines if said is not None else []
        if one.option in own and one.origin is not None:
            grade, words = _judged(one, said)
            remarks.append(Remark(one.origin.path, one.origin.line, one.option, grade, words))
    return Imported(f"{unit.name}{ending}", _text(unit.name, lines), tuple(remarks))


def _judged(one: Shown, said: Said | None) -> tuple[Grade, str]:
    if said is None:
        found = next((words for start, words in _DROPPED.items() if one.option.startswith(start)), "")
        return "dropped", found or "systemd has no such setting"
    keys = (
        ", ".join(dict.fromkeys(f"{line.key}=" for line in said.lines))
        or "nothing is to be said: it is so without"
    )
    return ("approximated", f"{keys}: {said.words}") if said.words else ("exact", keys)


def _reversed(table: Table) -> dict[str, tuple[str, str]]:
    """Option to section and key: the first row of each."""
    found: dict[str, tuple[str, str]] = {}
    for name, rule in table.items():
        if rule.option and not rule.option.startswith("~"):
            section, _, key = name.partition("/")
            found.setdefault(rule.option, (section, key))
    return found


def _said(one: Shown, back: Mapping[str, tuple[str, str]]) -> Said | None:
    """What an option comes to; None where systemd has nothing for it."""
    if (special := _SPECIAL.get(one.option)) is not None:
        return special(one.value)
    if one.option not in back:
        return None
    section, key = back[one.option]
    if one.value is None:
        return Said([])
    if one.option in _REFERENCES:
        wanted = one.value if isinstance(one.value, list) else [one.value]
        return Said([Line(section, key, " ".join(_reference(str(name)) for name in wanted))])
    return Said([Line(section, key, value) for value in _values(one.option, one.value)])


def _values(option: str, value: Plain) -> list[str]:
    """One text for each line."""
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, dict):
        mark = ":" if option.endswith("credential") else " "
        return [f"{_escaped(str(name))}{mark}{_escaped(str(inner))}" for name, inner in value.items()]
    if not isinstance(value, list):
        return [_escaped(str(value))]
    if value and isinstance(value[0], list):
        return [_command(line) for line in value]
    if option.startswith(_ONE_A_LINE):
        return [_escaped(str(item)) for item in value] or [""]
    return [" ".join(quoted(str(item)) for item in value)]


def _escaped(text: str) -> str:
    """Specifiers are resolved already: a percent sign that is left is one."""
    return text.replace("%", "%%").replace("\n", " ")


def quoted(word: str) -> str:
    """A word as systemd splits lines."""
    text = word.replace("%", "%%")
    if text and not any(letter in " \t\n\r\"'\\;" for letter in text) and text.isprintable():
        return text
    text = (
        text.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\t", "\\t")
        .replace("\r", "\\r")
    )
    return f'"{text}"'


def _command(words: Plain) -> str:
    return " ".join(quoted(str(word)) for word in words)


def _reference(name: str) -> str:
    return f"{name}.service" if names.split(name).kind == "agent" else name


# ------------------------------------------------------------------------------------------------ what is not one to one


def _exec(value: Plain) -> Said:
    return Said([Line("Service", "ExecStart", _command(value))] if value else [])


def _more(value: Plain) -> Said:
    return Said([Line("Service", "ExecStart", _command(line)) for line in value])


def _after(value: Plain) -> Said:
    found = [str(name).partition(" ")[0] for name in value]
    words = "systemd waits until the other is ready" if any(" " in str(name) for name in value) else ""
    return Said([Line("Unit", "After", " ".join(map(_reference, found)))] if found else [], words)


def _wanted(value: Plain) -> Said:
    found = ["multi-user.target" if name == "default.target" else _reference(str(name)) for name in value]
    return Said([Line("Install", "WantedBy", " ".join(found))] if found else [])


def _environment(value: Plain) -> Said:
    return Said([Line("Service", "Environment", quoted(f"{name}={inner}")) for name, inner in value.items()])


def _stream(key: str) -> Callable[[Plain], Said]:
    def changed(value: Plain) -> Said:
        return Said([Line("Service", key, "journal" if value == "log" else _escaped(str(value)))])

    return changed


def _stop(value: Plain) -> Said:
    steps = [StopStep(str(step)) for step in value]
    first, last = steps[0], [step for step in steps if step.signal != "KILL"]
    length = sum(float(step.wait) for step in last) if last else 0.0
    lines = [
        Line("Service", "KillSignal", f"SIG{first.signal}"),
        Line("Service", "TimeoutStopSec", str(Seconds(length or 1))),
    ]
    return Said(lines, "one signal, and KILL when the time of all steps is over" if len(last) > 1 else "")


def _limits(value: Plain) -> Said:
    if not value:
        return Said([Line("Unit", "StartLimitIntervalSec", "0")])
    count, _, window = str(value[0]).partition("/")
    lines = [Line("Unit", "StartLimitBurst", count), Line("Unit", "StartLimitIntervalSec", window)]
    return Said(lines, "systemd has one limit: the first" if len(value) > 1 else "")


def _network(value: Plain) -> Said | None:
    if value == "gateway":
        return None
    return Said([Line("Service", "PrivateNetwork", "yes")] if value == "none" else [])


def _since(key: str, value: Plain, version: str) -> Said:
    """A setting that older versions do not know, which leave it out."""
    return Said(
        [Line("Service", key, one) for one in _values(key, value)], f"since version {version} of systemd"
    )


def _level(value: Plain) -> Said:
    return Said([], "" if value == "none" else "by the single settings that it stands for")


def _capabilities(value: Plain) -> Said:
    words = [str(word) for word in value or []]
    return Said(
        [] if words == ["~"] or value is None else [Line("Service", "CapabilityBoundingSet", " ".join(words))]
    )


_SPECIAL: Mapping[str, Callable[[Plain], Said | None]] = {
    "agent.exec": _exec,
    "agent.exec_more": _more,
    "agent.environment": _environment,
    "agent.stdout": _stream("StandardOutput"),
    "agent.stderr": _stream("StandardError"),
    "agent.stop.sequence": _stop,
    "agent.restart.start_limits": _limits,
    "agent.set_credential": lambda value: None,
    "unit.after": _after,
    "install.wanted_by": _wanted,
    "sandbox.network": _network,
    "agent.restart.profile": lambda value: Said(
        [], "" if value == "systemd" else "by the pause and the limit that it stands for"
    ),
    "sandbox.private_pids": lambda value: _since("PrivatePIDs", value, "257"),
    "agent.restart.steps": lambda value: _since("RestartSteps", value, "254"),
    "agent.restart.max_delay": lambda value: _since("RestartMaxDelaySec", value, "254"),
    "sandbox.level": _level,
    "sandbox.capability_bounding_set": _capabilities,
}


def _text(name: str, lines: list[Line]) -> str:
    """The sections in systemd's usual order."""
    found = [f"# Exported from {name} of Maestro."]
    for section in ("Unit", "Service", "Slice", "Install"):
        mine = [f"{line.key}={line.value}" for line in lines if line.section == section]
        found += [f"\n[{section}]", *mine] if mine else []
    return "\n".join(found) + "\n"
