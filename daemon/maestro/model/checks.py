"""What must hold between options. Each check looks at a unit and yields what it finds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from maestro.model import directory_checks, names
from maestro.model.finding import Finding as Finding
from maestro.model.plain import Mistake
from maestro.model.sandbox import in_force
from maestro.model.scheduling import REALTIME, WITH_NODES
from maestro.model.streams import STORED, openings
from maestro.model.unit import Unit

COMMANDS = (
    *("exec_more", "exec_condition", "exec_start_pre", "exec_start_post"),
    *("exec_reload", "exec_stop", "exec_stop_post"),
)
NOTIFIES = ("notify", "notify-reload")
_PROBES = ("exec", "http", "tcp", "unix", "log")
_TIMES = (
    "agent.start_timeout",
    "agent.runtime_max",
    "agent.watchdog",
    "agent.restart.cooldown",
    "health.readiness.timeout",
    "health.readiness.interval",
)
_PAUSES = (
    "agent.watchdog",
    "agent.restart.delay",
    "agent.runtime_randomized_extra",
    "health.readiness.initial_delay",
    "health.readiness.interval",
)


Check = Callable[[Unit], Iterator[Finding]]


def exec_given(unit: Unit) -> Iterator[Finding]:
    if unit.agent is not None and not unit.agent.exec:
        word = "empty" if "agent.exec" in unit.origins else "missing"
        yield Finding("agent.exec", word, "write the command, such as [/usr/bin/python3, agent.py]")


def readiness_is_one(unit: Unit) -> Iterator[Finding]:
    probe = unit.health.readiness
    if probe is None:
        return
    given = [name for name in _PROBES if getattr(probe, name) is not None]
    others = tuple(f"health.readiness.{name}" for name in _PROBES)
    if not given:
        hint = f"write one of {', '.join(_PROBES)}"
        yield Finding("health.readiness", "asks nothing", hint, others)
    elif len(given) > 1:
        yield Finding("health.readiness", f"has both {' and '.join(given)}", "keep one", others)


def readiness_can_be_asked(unit: Unit) -> Iterator[Finding]:
    probe = unit.health.readiness
    if probe is None:
        return
    if probe.exec is not None and not probe.exec:
        yield Finding("health.readiness.exec", "empty", "write the command")
    if probe.tcp is not None and not _is_address(probe.tcp):
        yield Finding(
            "health.readiness.tcp",
            f"{probe.tcp!r} is not HOST:PORT",
            "write it as 127.0.0.1:8080 or [::1]:8080",
        )
    if probe.unix is not None and not probe.unix.startswith(("/", "@")):
        hint = "write a path that begins with /, or @NAME for an abstract socket"
        yield Finding("health.readiness.unix", f"{probe.unix!r} is not a socket's path", hint)


def _is_address(text: str) -> bool:
    match = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", text)
    return match is not None and 0 < int(match[1]) < 65536


def oneshot_restarts(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is not None and agent.type == "oneshot" and agent.restart.policy in ("always", "on-success"):
        message = f"a oneshot that ended well is done: it may not be restarted with {agent.restart.policy}"
        yield Finding("agent.restart.policy", message, "write on-failure, or another type", ("agent.type",))


def only_oneshots_have_more(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is None or not agent.exec_more:
        return
    if agent.type != "oneshot":
        message = f"only a oneshot runs one command after the other; this one is {agent.type}"
        hint = "write type: oneshot, or exec_start_pre for what comes before the process"
        yield Finding("agent.exec_more", message, hint, ("agent.type",))
    if unit.health.readiness is not None:
        message = "given beside exec_more: nobody could tell which of the commands it asks about"
        yield Finding("health.readiness", message, "leave it out", ("agent.exec_more",))


def watchdog_is_fed(unit: Unit) -> Iterator[Finding]:
    notifies = unit.agent is not None and unit.agent.type in NOTIFIES
    if unit.agent is not None and unit.agent.watchdog is not None and not notifies:
        message = f"only agents of type notify send WATCHDOG=1; this one is {unit.agent.type}"
        yield Finding("agent.watchdog", message, "write type: notify, or leave watchdog out", ("agent.type",))


def pid_file_is_for_forking(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is None:
        return
    if agent.type != "forking" and agent.pid_file is not None:
        message = f"only agents of type forking have a pid_file; this one is {agent.type}"
        yield Finding("agent.pid_file", message, "write type: forking, or leave it out", ("agent.type",))
    if agent.pid_file is not None and not agent.pid_file.startswith("/"):
        yield Finding("agent.pid_file", f"{agent.pid_file!r} is not absolute", "begin it with /")


def commands_are_given(unit: Unit) -> Iterator[Finding]:
    for option in COMMANDS if unit.agent is not None else ():
        for place, command in enumerate(getattr(unit.agent, option)):
            if not command:
                where = f"agent.{option}[{place}]"
                yield Finding(where, "empty", "write the command", (f"agent.{option}",))


def reload_is_one(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is None or not agent.exec_reload:
        return
    hint = "leave exec_reload out: the signal is sent by Maestro"
    if agent.type == "notify-reload":
        message = "type notify-reload is reloaded by its signal, not by commands"
        yield Finding("agent.exec_reload", message, hint, ("agent.type",))
    elif agent.reload_signal is not None:
        yield Finding("agent.exec_reload", "given beside reload_signal", hint, ("agent.reload_signal",))


def delays_grow(unit: Unit) -> Iterator[Finding]:
    if unit.agent is None or unit.agent.restart.max_delay >= unit.agent.restart.delay:
        return
    rule = unit.agent.restart
    at = "agent.restart.max_delay" if "agent.restart.max_delay" in unit.origins else "agent.restart.delay"
    message = f"max_delay ({rule.max_delay}) is shorter than delay ({rule.delay})"
    yield Finding(at, message, "raise max_delay", ("agent.restart.delay", "agent.restart.max_delay"))


def nothing_follows_kill(unit: Unit) -> Iterator[Finding]:
    if unit.agent is None:
        return
    if any(step.signal == "KILL" for step in unit.agent.stop.sequence[:-1]):
        yield Finding("agent.stop.sequence", "nothing can follow KILL", "make KILL the last step")


def reload_can_be_caught(unit: Unit) -> Iterator[Finding]:
    if unit.agent is not None and unit.agent.reload_signal in ("KILL", "STOP"):
        message = f"{unit.agent.reload_signal} cannot be caught by a program"
        yield Finding("agent.reload_signal", message, "HUP is usual")


def paths_are_absolute(unit: Unit) -> Iterator[Finding]:
    if unit.agent is None:
        return
    where = unit.agent.working_directory.removeprefix("-")
    if where != "~" and not where.startswith("/"):
        yield Finding("agent.working_directory", f"{where!r} is not absolute", "begin it with /, or write ~")
    root = unit.agent.root_directory
    if root and not root.startswith("/"):
        yield Finding("agent.root_directory", f"{root!r} is not absolute", "begin it with /")
    for place, folder in enumerate(unit.agent.exec_search_path):
        if not folder.startswith("/") or ":" in folder:
            option = f"agent.exec_search_path[{place}]"
            message = f"{folder!r} is not the path of a directory"
            yield Finding(option, message, "begin it with /, one for each", ("agent.exec_search_path",))
    for place, file in enumerate(unit.agent.environment_file):
        if not file.removeprefix("-").startswith("/"):
            option = f"agent.environment_file[{place}]"
            yield Finding(
                option,
                f"{file!r} is not absolute",
                "begin it with /, or with -/",
                ("agent.environment_file",),
            )


def descriptor_is_free(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is None or not agent.notify_fd:
        return
    if agent.type not in NOTIFIES:
        message = f"only an agent of type notify tells that it is ready; this one is {agent.type}"
        yield Finding("agent.notify_fd", message, "write type: notify", ("agent.type",))
    if agent.notify_fd < 3:
        yield Finding("agent.notify_fd", "0, 1 and 2 are the standard streams", "3 is usual")
    beyond = 3 + agent.file_descriptor_store_max + bool(agent.gateway_ports)
    if 3 <= agent.notify_fd < beyond:
        message = f"descriptors that it is handed begin at 3, so {agent.notify_fd} may be one of them"
        others = ("agent.file_descriptor_store_max", "agent.gateway_ports")
        yield Finding("agent.notify_fd", message, f"write {beyond}", others)


def gateways_have_ports(unit: Unit) -> Iterator[Finding]:
    for place, port in enumerate(unit.agent.gateway_ports if unit.agent is not None else ()):
        if not 0 < port < 65536:
            where = f"agent.gateway_ports[{place}]"
            yield Finding(where, f"{port} is no port", "4000 is usual", ("agent.gateway_ports",))


def somebody_may_speak(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is not None and agent.type in NOTIFIES and agent.notify_access == "none" and not agent.notify_fd:
        message = "nobody's notifications count, so it would never be ready"
        yield Finding("agent.notify_access", message, "write main or all", ("agent.type", "agent.notify_fd"))


def log_is_written(unit: Unit) -> Iterator[Finding]:
    probe, agent = unit.health.readiness, unit.agent
    if probe is None or probe.log is None or agent is None:
        return
    if ("log", "") not in openings(agent.stdin, agent.stdout, agent.stderr):
        others = ("agent.stdout", "agent.stderr")
        yield Finding("health.readiness.log", "nothing is written to the log", "write stdout: log", others)


def stored_streams_can_be_stored(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is None or agent.file_descriptor_store_max:
        return
    for option in ("stdin", "stdout", "stderr"):
        stream = getattr(agent, option)
        if stream.kind in STORED:
            message = f"{stream} is a descriptor that was stored, and this agent may store none"
            others = ("agent.file_descriptor_store_max",)
            yield Finding(f"agent.{option}", message, "write file_descriptor_store_max", others)


def priorities_are_looked_at(unit: Unit) -> Iterator[Finding]:
    agent = unit.agent
    if agent is None:
        return
    if agent.cpu_scheduling_priority is not None and agent.cpu_scheduling_policy not in REALTIME:
        option, other = "agent.cpu_scheduling_priority", "agent.cpu_scheduling_policy"
        yield Finding(option, "only fifo and rr have a priority", "write nice, or another policy", (other,))
    if agent.io_scheduling_priority is not None and agent.io_scheduling_class in ("none", "idle"):
        message = f"class {agent.io_scheduling_class} has no priorities"
        yield Finding("agent.io_scheduling_priority", message, "leave it out", ("agent.io_scheduling_class",))
    both = ("agent.numa_policy", "agent.numa_mask")
    if (agent.numa_policy in WITH_NODES) != bool(agent.numa_mask):
        if agent.numa_mask:
            yield Finding(both[1], "only preferred, bind and interleave have nodes", "leave it out", both)
        else:
            yield Finding(both[0], f"{agent.numa_policy} needs nodes", "write numa_mask: 0", both)


def timeouts_leave_time(unit: Unit) -> Iterator[Finding]:
    for option, value in _times(unit, *_TIMES):
        if value <= 0:
            yield Finding(
                option, "must be more than 0", "write infinity for no limit" if "timeout" in option else ""
            )


def pauses_end(unit: Unit) -> Iterator[Finding]:
    for option, value in _times(unit, *_PAUSES):
        if math.isinf(value):
            yield Finding(option, "must have an end", "leave it out, or write a time")


def _times(unit: Unit, *options: str) -> Iterator[tuple[str, float]]:
    """The options that are set, with their values."""
    for option in options:
        value: Any = unit
        for name in _steps(option):
            value = getattr(value, name, None)
        if value is not None:
            yield option, value


@cache
def _steps(option: str) -> tuple[str, ...]:
    """Kept, for the interpreter keeps each text by which an attribute was asked for."""
    return tuple(option.split("."))


def names_others(unit: Unit) -> Iterator[Finding]:
    for option in ("requires", "wants", "before", "after"):
        for reference in getattr(unit.unit, option):
            if getattr(reference, "unit", reference) == unit.name:
                yield Finding(f"unit.{option}", f"{unit.name} names itself", "leave it out")


def installs_into_targets(unit: Unit) -> Iterator[Finding]:
    for option in ("wanted_by", "required_by"):
        for reference in getattr(unit.install, option):
            if names.split(reference).kind != "target":
                yield Finding(f"install.{option}", f"{reference} is not a target", "default.target is usual")


def aliases_are_of_its_kind(unit: Unit) -> Iterator[Finding]:
    mine = names.split(unit.name)
    for reference in unit.install.alias:
        other = names.split(reference)
        if other.kind != mine.kind:
            message = f"{reference} is of kind {other.kind}: an alias is of the kind of what it means"
            yield Finding("install.alias", message, f"write a name of kind {mine.kind}")
        elif other == mine:
            yield Finding("install.alias", f"{reference} is its name already", "leave it out")


def default_instance_can_be_made(unit: Unit) -> Iterator[Finding]:
    instance = unit.install.default_instance
    if instance is None:
        return
    name = names.split(unit.name)
    if name.instance is None:
        yield Finding("install.default_instance", "only a template has instances", "leave it out")
        return
    try:
        if not instance:
            raise Mistake("it is empty", "write one, such as main")
        names.split(name.with_instance(instance).full)
    except Mistake as mistake:
        hint = mistake.faults[0].hint
        yield Finding("install.default_instance", f"no instance can have this name: {mistake}", hint)


def first_processes_stay(unit: Unit) -> Iterator[Finding]:
    """What ends with its first process cannot go on in another."""
    agent = unit.agent
    if agent is None or agent.type != "forking" or not in_force(unit.sandbox).private_pids:
        return
    own = unit.sandbox.private_pids is not None
    option = "sandbox.private_pids" if own else "sandbox.level"
    message = (
        "all processes of a private_pids agent end with its first one, and that of type forking ends at once"
    )
    yield Finding(option, message, "write sandbox.private_pids: false, or another type", ("agent.type",))


CHECKS: tuple[Check, ...] = (
    exec_given,
    readiness_is_one,
    readiness_can_be_asked,
    oneshot_restarts,
    only_oneshots_have_more,
    watchdog_is_fed,
    delays_grow,
    pid_file_is_for_forking,
    commands_are_given,
    reload_is_one,
    nothing_follows_kill,
    reload_can_be_caught,
    paths_are_absolute,
    descriptor_is_free,
    gateways_have_ports,
    somebody_may_speak,
    log_is_written,
    stored_streams_can_be_stored,
    priorities_are_looked_at,
    timeouts_leave_time,
    pauses_end,
    names_others,
    installs_into_targets,
    aliases_are_of_its_kind,
    default_instance_can_be_made,
    *directory_checks.CHECKS,
    first_processes_stay,
)


def findings(unit: Unit) -> Iterator[Finding]:
    for check in CHECKS:
        yield from check(unit)
