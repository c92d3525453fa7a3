"""Crontabs: each command becomes an agent that nothing starts by itself, for Maestro has no timers yet."""

from __future__ import annotations

import re
from collections.abc import Collection

from maestro.imports.engine import Draft, all_dropped, made
from maestro.imports.record import Imported, Record, Remark, Rough
from maestro.imports.shell_words import by_shell, free, unit_name
from maestro.imports.table import Rule, Scope
from maestro.imports.values import percents, said
from maestro.model.plain import Plain

WHAT = "crontab"
_VARIABLE = re.compile(r"""([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)""")
_FIELD = r"[0-9A-Za-z*,/~-]+"
_JOB = re.compile(rf"(?P<when>@[a-z]+|(?:{_FIELD}\s+){{4}}{_FIELD})\s+(?P<rest>.+)")
_USER = re.compile(r"(?P<user>[A-Za-z_][A-Za-z0-9_.-]*)\s+(?P<command>.+)")
_PERCENT = re.compile(r"(?<!\\)%")
_UNUSED = {"MAILTO", "MAILFROM", "CRON_TZ", "RANDOM_DELAY", "START_HOURS_RANGE", "CONTENT_TYPE"}


def _job(record: Record, scope: Scope) -> Plain:
    when, command = str(record.section), said(record)
    told = (
        ""
        if when == "@reboot"
        else f"the schedule {when} is dropped: Maestro has no timers yet, and nothing starts {scope.name} by itself"
    )
    if when == "@reboot":
        told = "it starts with default.target once it is enabled, and not with the host"
    command, *given = _PERCENT.split(command, maxsplit=1)
    if given:
        told += "; its standard input, what follows %, is dropped"
    return Rough(by_shell(command.replace("\\%", "%").strip()), told)


TABLE = {"command": Rule("agent.exec", _job)}


def is_of_the_system(path: str) -> bool:
    """Whether its lines name a user, as those of /etc/crontab and /etc/cron.d do."""
    parts = path.split("/")
    return parts[-2:] == ["etc", "crontab"] or "cron.d" in parts[:-1]


def imported(content: bytes, path: str, around: Collection[str]) -> list[Imported]:
    """A unit for each job. Never raises."""
    found: list[Imported] = []
    taken: set[str] = set()
    variables: dict[str, str] = {}
    for line, raw in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        if (variable := _VARIABLE.fullmatch(text)) is not None:
            found.append(_assigned(Record(path, line, "", variable[1], variable[2]), variables))
        elif (job := _JOB.fullmatch(text)) is not None:
            found.append(_made(path, line, job, variables, taken, around))
        else:
            found.append(
                all_dropped(
                    "", [Record(path, line, text[:40], "", "")], "this is neither a job nor NAME=VALUE"
                )
            )
    return found


def _assigned(record: Record, variables: dict[str, str]) -> Imported:
    """A variable for the jobs after it."""
    if record.key in _UNUSED:
        return all_dropped(
            "", [record], "Maestro sends no mail and has no schedule: a job's output is in its log"
        )
    value = str(record.value)
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    if "\0" in value:
        return all_dropped("", [record], "no variable can contain a NUL character")
    variables[record.key] = value
    words = "agent.environment of the jobs below"
    return Imported("", "", (Remark(record.file, record.line, record.key, "exact", words),))


def _made(
    path: str,
    line: int,
    job: re.Match[str],
    variables: dict[str, str],
    taken: set[str],
    around: Collection[str],
) -> Imported:
    rest, user = job["rest"], ""
    if is_of_the_system(path) and (named := _USER.fullmatch(rest)) is not None:
        user, rest = named["user"], named["command"]
    first = rest.split()[0].rpartition("/")[2]
    name = free(f"cron-{unit_name(first)}", taken)
    when = " ".join(job["when"].split())
    defaults: dict[str, Plain] = {
        "agent.type": "oneshot",
        "agent.restart.policy": "no",
        "agent.start_timeout": "infinity",
        "agent.working_directory": "-~",
        "resources.memory_max": "infinity",
        "resources.tasks_max": "infinity",
    }
    if user:
        defaults["agent.user"] = user
    if variables:
        defaults["agent.environment"] = {key: percents(value) for key, value in variables.items()}
    if when == "@reboot":
        defaults["install.wanted_by"] = ["default.target"]
    return made(Draft(
        file=f"{name}.agent.yaml", what=WHAT, records=[Record(path, line, when, "command", rest)], table=TABLE,
        scope=Scope(name, around), defaults=defaults, needs="agent.exec", heading=f"Imported from a crontab: {when}",
    ))  # fmt: skip
