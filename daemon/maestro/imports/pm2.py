"""pm2's ecosystem files, as JSON."""

from __future__ import annotations

import re
from collections.abc import Collection
from posixpath import basename, join, normpath

from maestro.imports.engine import Draft, Piece, Pieces, all_dropped, made
from maestro.imports.record import CannotImport, Imported, Record, Rough
from maestro.imports.shell_words import free, split, unit_name
from maestro.imports.table import Rule, Scope, drop
from maestro.imports.tree import ill, line_of, read, records
from maestro.imports.values import argument, bytes_of, is_true, percents, said, whole
from maestro.model.plain import Mistake, Plain, is_scalar, kind_of, scalar_text
from maestro.model.yaml_events import Parsed

WHAT = "pm2"
_INTERPRETERS = {".js": "node", ".cjs": "node", ".mjs": "node", ".py": "python3", ".sh": "bash", ".rb": "ruby", ".pl": "perl",
                 ".php": "php"}  # fmt: skip


def _name(record: Record, scope: Scope) -> Plain:
    """The unit has it, as far as it can."""
    told = f"the unit is called {scope.name}"
    return None if scope.name == said(record) else Rough(None, told)


def _plain(record: Record, scope: Scope) -> Plain:
    return percents(said(record))


def _arguments(record: Record, scope: Scope) -> Plain:
    if isinstance(record.value, list):
        if not all(map(is_scalar, record.value)):
            raise Mistake("expected a list of words")
        return [argument(one if isinstance(one, str) else scalar_text(one)) for one in record.value] or None
    return split(said(record)) if said(record).strip() else None


def _variable(record: Record, scope: Scope) -> Plain:
    name = record.key.partition(".")[2]
    if not name:
        return None if record.value in (None, {}) else _wrong(record)
    return {name: percents(said(record))}


def _wrong(record: Record) -> Plain:
    raise Mistake(f"expected a mapping, found {kind_of(record.value)}")


def _milliseconds(record: Record, scope: Scope) -> Plain:
    return f"{whole(said(record))}ms"


def _tries(record: Record, scope: Scope) -> Plain:
    count = whole(said(record))
    return Rough(
        [f"{count}/10min"] if count > 0 else [], "pm2 counts restarts in a row, Maestro starts in 10 minutes"
    )


def _policy(record: Record, scope: Scope) -> Plain:
    return "always" if is_true(said(record)) else "no"


def _codes(record: Record, scope: Scope) -> Plain:
    return record.value if isinstance(record.value, list) else [said(record)]


def _instances(record: Record, scope: Scope) -> Plain:
    return (
        None if said(record) == "1" else Rough(None, "one process is made: for several, make it a template")
    )


def _mode(record: Record, scope: Scope) -> Plain:
    value = said(record)
    return (
        None
        if value in ("fork", "fork_mode")
        else Rough(None, "Maestro has no cluster mode: it is one process")
    )


def _output(record: Record, scope: Scope) -> Plain:
    path = said(record)
    if path in ("/dev/null", "NULL"):
        return "null"
    if not path.startswith("/"):
        return Rough(
            None,
            "its output is in Maestro's log: a path that is relative to wherever pm2 began cannot be kept",
        )
    return f"append:{percents(path)}"


def _off(words: str) -> Rule:
    """A switch whose off says nothing."""

    def changed(record: Record, scope: Scope) -> Plain:
        return None if record.value in (False, None, "false", 0, "0") else Rough(None, words)

    return Rule("~nothing", changed)


_ARGS = {key: Rule("~agent.exec#args", _arguments) for key in ("args", "script_args")}
_NODE = {
    key: Rule("~agent.exec#interpreter_args", _arguments)
    for key in ("node_args", "interpreter_args", "nodeArgs", "interpreterArgs")
}
TABLE: dict[str, Rule] = {
    "name": Rule("~nothing", _name),
    "script": Rule("~agent.exec#script", _plain),
    "interpreter": Rule("~agent.exec#interpreter", _plain),
    "exec_interpreter": Rule("~agent.exec#interpreter", _plain),
    **_ARGS,
    **_NODE,
    "cwd": Rule("agent.working_directory", _plain),
    "env": Rule("agent.environment", _variable),
    "env.*": Rule("agent.environment", _variable),
    "env_file": Rule("agent.environment_file", _plain),
    "uid": Rule("agent.user", _plain),
    "user": Rule("agent.user", _plain),
    "gid": Rule("agent.group", _plain),
    "autorestart": Rule("agent.restart.policy", _policy),
    "restart_delay": Rule("agent.restart.delay", _milliseconds),
    "exp_backoff_restart_delay": Rule("agent.restart.delay", _milliseconds, "it grows by a factor of 2, up to 15 s"),
    "max_restarts": Rule("agent.restart.start_limits", _tries),
    "stop_exit_codes": Rule("agent.restart.prevent_exit_status", _codes),
    "kill_timeout": Rule("~agent.stop.sequence#wait", _milliseconds),
    "wait_ready": Rule(words="Maestro hears of readiness by sd_notify or by a probe: see health"),
    "listen_timeout": Rule("agent.start_timeout", _milliseconds),
    "max_memory_restart": Rule("resources.memory_max", bytes_of, "it is killed above this, and then restarted as its policy says"),
    "instances": Rule("~nothing", _instances),
    "exec_mode": Rule("~nothing", _mode),
    "out_file": Rule("agent.stdout", _output),
    "output": Rule("agent.stdout", _output),
    "error_file": Rule("agent.stderr", _output),
    "error": Rule("agent.stderr", _output),
    "watch": _off("Maestro restarts nothing because files change"),
    "cron_restart": _off("Maestro has no timers yet"),
    "cron": _off("Maestro has no timers yet"),
    **drop("Maestro restarts nothing because files change", "ignore_watch watch_delay watch_options"),
    **drop("Maestro keeps the log itself: see logs", "log_file log pid_file pid log_date_format log_type merge_logs combine_logs "
           "time disable_logs append_env_to_name"),
    **drop("Maestro counts an agent as started when its program is executed: see health for probes", "min_uptime"),
    **drop("it is for pm2 and its own machinery", "source_map_support vizion pmx automation treekill port post_update "
           "namespace instance_var increment_var filter_env shutdown_with_message disable_source_map_support "
           "force autostart interpreterArgs trace deep_monitoring windowsHide kill_retry_time"),
}  # fmt: skip
TABLE["interpreterArgs"] = _NODE["interpreterArgs"]
_DEFAULTS: dict[str, Plain] = {  # what pm2 does where nothing is said
    "agent.type": "simple",
    "agent.restart.policy": "always",
    "resources.memory_max": "infinity",
    "resources.tasks_max": "infinity",
}


def imported(content: bytes, path: str, around: Collection[str]) -> list[Imported]:
    """A unit for each app. Raises `CannotImport` for what is not JSON."""
    if path.endswith((".js", ".cjs", ".mjs", ".ts")):
        raise CannotImport(
            f"{path}: it is a program, and only pm2 runs it: print it as JSON, by "
            f"node -p 'JSON.stringify(require(\"./{basename(path)}\"), null, 2)', and import that"
        )
    parsed = read(content, path)
    found = [all_dropped("", [one], str(one.value)[1:]) for one in ill(parsed)]
    places: list[tuple[str | int, ...]]
    if isinstance(parsed.data, list):
        places = [(place,) for place in range(len(parsed.data))]
    elif isinstance(parsed.data.get("apps"), list):
        places = [("apps", place) for place in range(len(parsed.data["apps"]))]
        for key in parsed.data:
            if key != "apps":
                why = "Maestro deploys nothing" if key == "deploy" else "no such section of pm2 is known"
                found.append(all_dropped("", [Record(path, line_of(parsed, (key,)), key, key, None)], why))
    else:
        places = [()] if "script" in parsed.data else []
        if not places:
            found.append(all_dropped("", [Record(path, 1, "apps", "apps", None)], "it has no list of apps"))
    taken: set[str] = set()
    return [*found, *(_app(parsed, at, taken, around) for at in places)]


def _app(parsed: Parsed, at: tuple[str | int, ...], taken: set[str], around: Collection[str]) -> Imported:
    settings = records(parsed, at, "app", TABLE)
    said_of = {one.key: one.value for one in settings if isinstance(one.value, str)}
    script = said_of.get("script", "")
    name = free(
        unit_name(said_of.get("name") or basename(script).rpartition(".")[0] or basename(script) or "app"),
        taken,
    )
    return made(Draft(
        file=f"{name}.agent.yaml", what=WHAT, records=settings, table=_Environments(TABLE),
        scope=Scope(name, around), defaults=_DEFAULTS, compose=_composed, needs="agent.exec",
        heading=f"Imported from {name} of pm2.",
    ))  # fmt: skip


class _Environments(dict[str, Rule]):
    """`env_production` and its like are further environments, of which pm2 takes one when it is told to."""

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (
            isinstance(key, str) and re.fullmatch(r"env_\w+", key) is not None
        )

    def __missing__(self, key: str) -> Rule:
        return Rule(words="one of several environments: write the variables into a drop-in of the unit")


def _composed(pieces: Pieces) -> Pieces:
    """Interpreter, its arguments, script and arguments are one command."""
    last = {piece.option: piece for piece in pieces}
    found = [piece for piece in pieces if not piece.option.startswith("~")]
    if (script := last.get("~agent.exec#script")) is not None:
        found.append(_command(script, last))
    if (wait := last.get("~agent.stop.sequence#wait")) is not None:
        found.append(Piece("agent.stop.sequence", [f"INT {wait.value}", "KILL"], wait.records))
    else:
        found.append(Piece("agent.stop.sequence", ["INT 1600ms", "KILL"]))
    return found


def _command(script: Piece, last: dict[str, Piece]) -> Piece:
    given = [
        last[key]
        for key in ("~agent.exec#interpreter", "~agent.exec#interpreter_args", "~agent.exec#args")
        if key in last
    ]
    interpreter = last["~agent.exec#interpreter"].value if "~agent.exec#interpreter" in last else ""
    path = str(script.value)
    folder = last["agent.working_directory"].value if "agent.working_directory" in last else ""
    ending = path[path.rfind(".") :] if "." in basename(path) else ""
    if not interpreter:
        interpreter = _INTERPRETERS.get(ending, "")
    if folder and (interpreter or "/" in path) and not path.startswith("/"):
        path = normpath(join(str(folder), path))
    words = [] if interpreter in ("", "none") else [interpreter]
    path = path.replace("$", "$$") if words else path
    more = last["~agent.exec#interpreter_args"].value if "~agent.exec#interpreter_args" in last else []
    args = last["~agent.exec#args"].value if "~agent.exec#args" in last else []
    numbers = script.records + tuple(number for piece in given for number in piece.records)
    return Piece("agent.exec", [*words, *(more if words else []), path, *args], numbers)
