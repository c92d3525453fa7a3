"""Compose files of Docker: services that name a command."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from maestro.imports import compose_values as of
from maestro.imports.engine import Draft, Piece, Pieces, all_dropped, made
from maestro.imports.record import Imported, Record
from maestro.imports.shell_words import unit_name
from maestro.imports.table import Rule, Scope, drop
from maestro.imports.tree import ill, line_of, read, records
from maestro.imports.values import number
from maestro.model.plain import Plain
from maestro.model.yaml_events import Parsed

WHAT = "compose files"

_IMAGES = "Maestro runs programs, not images"
_NETWORK = "an agent has the host's network or none: it listens on its own ports"
TABLE: dict[str, Rule] = {
    "command": Rule("~agent.exec#command", of.command),
    "entrypoint": Rule("~agent.exec#entrypoint", of.command),
    "environment": Rule("agent.environment", of.variable),
    "environment.*": Rule("agent.environment", of.variable),
    "env_file": Rule("agent.environment_file", of.files),
    "env_file.*": Rule("agent.environment_file", of.files),
    "depends_on": Rule("unit.after", of.dependency),
    "depends_on.*": Rule("~unit.after#", of.dependency),
    "restart": Rule("agent.restart.policy", of.restart),
    "deploy.restart_policy.condition": Rule("agent.restart.policy", of.restart),
    "deploy.restart_policy.delay": Rule("agent.restart.delay", of.span),
    "deploy.resources.limits.memory": Rule("resources.memory_max", of.memory),
    "deploy.resources.limits.cpus": Rule("resources.cpu_max", of.processors),
    "deploy.resources.limits.pids": Rule("resources.tasks_max", of.tasks),
    "deploy.resources.reservations.memory": Rule("resources.memory_low", of.memory, "Maestro reserves it, and waits until the host has it"),
    "mem_limit": Rule("resources.memory_max", of.memory),
    "mem_reservation": Rule("resources.memory_low", of.memory, "Maestro reserves it, and waits until the host has it"),
    "cpus": Rule("resources.cpu_max", of.processors),
    "cpuset": Rule("resources.allowed_cpus", of.plain),
    "cpu_shares": Rule("resources.cpu_weight", of.shares),
    "pids_limit": Rule("resources.tasks_max", of.tasks),
    "oom_score_adj": Rule("agent.oom_score_adjust", number),
    "user": Rule("~agent.user#", of.user),
    "group_add": Rule("agent.supplementary_groups", of.texts),
    "group_add.*": Rule("agent.supplementary_groups", of.texts),
    "working_dir": Rule("agent.working_directory", of.plain, "a path of the image: it has to be there on the host"),
    "read_only": Rule("sandbox.protect_system", of.read_only),
    "network_mode": Rule("sandbox.network", of.network_mode),
    "healthcheck.test": Rule("health.readiness.exec", of.health, "Maestro asks until the answer is yes, and then no more"),
    "healthcheck.interval": Rule("health.readiness.interval", of.span),
    "healthcheck.timeout": Rule("health.readiness.timeout", of.span),
    "healthcheck.start_period": Rule("health.readiness.initial_delay", of.span, "no question is asked before"),
    "healthcheck.disable": Rule("~nothing", of.no_health),
    **drop("Maestro asks until start_timeout is over", "healthcheck.retries healthcheck.start_interval"),
    "stop_signal": Rule("~agent.stop.sequence#signal", of.signal),
    "stop_grace_period": Rule("~agent.stop.sequence#wait", of.span),
    "ulimits.*": Rule("~agent.limits#", of.limit),
    "container_name": Rule("unit.description", of.plain, "units are called by the name of the service"),
    "labels": Rule(words="Maestro has no labels"),
    "init": Rule("~nothing", of.nothing("an agent's processes are always reaped")),
    "tty": Rule(words="an agent has no terminal"),
    "stdin_open": Rule(words="an agent has no terminal"),
    "privileged": Rule("~nothing", of.nothing("an agent is confined only as its sandbox says")),
    "cap_add": Rule(words="an agent has the capabilities of its user: write sandbox.ambient_capabilities"),
    "cap_drop": Rule(words="write sandbox.capability_bounding_set: what an image may lack, a program of the host may need"),
    "security_opt": Rule(words="write no_new_privileges and such under sandbox"),
    "scale": Rule(words="a service is one unit: for several, make it a template"),
    "deploy.replicas": Rule(words="a service is one unit: for several, make it a template"),
    "restart_policy": Rule(words="it stands under deploy"),
    **drop(_IMAGES, "image build platform pull_policy volumes volumes_from tmpfs devices device_cgroup_rules shm_size "
           "storage_opt runtime isolation userns_mode pid ipc uts cgroup cgroup_parent gpus develop attach post_start "
        "pre_stop models provider"),
    **drop(_NETWORK, "ports expose networks links external_links dns dns_opt dns_search extra_hosts hostname domainname "
           "mac_address sysctls"),
    **drop("Maestro keeps the log itself: see logs", "logging log_driver log_opt"),
    **drop("Maestro has credentials for that: write load_credential", "secrets configs credential_spec"),
    **drop("profiles are targets in Maestro", "profiles"),
    **drop("write what it takes over into this service", "extends"),
    **drop("Maestro has no such setting for single agents", "blkio_config mem_swappiness memswap_limit kernel_memory "
           "oom_kill_disable cpu_period cpu_quota cpu_rt_runtime cpu_rt_period cpu_count cpu_percent annotations "
        "label_file use_api_socket"),
    **drop("Maestro runs on one host, and changes one unit after the other", "deploy.mode deploy.placement "
           "deploy.update_config deploy.rollback_config deploy.labels deploy.endpoint_mode"),
    **drop("write what is meant as start_limits", "deploy.restart_policy.max_attempts deploy.restart_policy.window"),
    **drop("Maestro reserves memory only", "deploy.resources.reservations.cpus deploy.resources.reservations.devices "
           "deploy.resources.reservations.generic_resources"),
}  # fmt: skip
_TOP = {
    "services": "it is no mapping of names to services",
    "version": "it says nothing any more, to Docker either",
    "name": "units have the names of the services",
    "volumes": _IMAGES,
    "networks": _NETWORK,
    "secrets": "Maestro has credentials for that: write load_credential",
    "configs": "Maestro has credentials for that: write load_credential",
    "include": "files that it includes are imported where they are named, too",
    "models": _IMAGES,
}
_DEFAULTS: dict[str, Plain] = {  # what Docker does where nothing is said
    "agent.type": "exec",
    "agent.restart.policy": "no",
    "agent.restart.profile": "docker",
    "agent.stop.kill_mode": "mixed",
    "resources.memory_max": "infinity",
    "resources.tasks_max": "infinity",
}


def imported(content: bytes, path: str, around: Collection[str]) -> list[Imported]:
    """A unit for each service. Raises `CannotImport` for what is not YAML."""
    parsed = read(content, path)
    found = [all_dropped("", [one], str(one.value)[1:]) for one in ill(parsed)]
    data = parsed.data if isinstance(parsed.data, dict) else {}
    if not isinstance(parsed.data, dict):
        return [
            *found,
            all_dropped("", [Record(path, 1, "", "document", None)], "it is a list, and no compose file"),
        ]
    services = data.get("services")
    services = services if isinstance(services, dict) else {}
    found += [_outside(parsed, key) for key in data if key != "services" or not isinstance(data[key], dict)]
    found += _together(parsed, services, around)
    if not services:
        found.append(all_dropped("", [Record(path, 0, "services", "services", None)], "it names no services"))
    return found


def _together(parsed: Parsed, services: Mapping[str, Plain], around: Collection[str]) -> list[Imported]:
    """Services that may depend on each other, and on none that is not written in the end."""
    asked = {name for name, one in services.items() if isinstance(one, dict) and "healthcheck" in one}
    healthy = {unit_name(name): "healthy" for name in asked}
    once = _once(services.values())
    wanted = list(services)
    while True:
        known = {*around, *(unit_name(name) for name in wanted)}
        made = {
            name: _service(parsed, name, Scope(unit_name(name), known, healthy), once) for name in services
        }
        left = [name for name in wanted if made[name].text]
        if left == wanted:
            return list(made.values())
        wanted = left


def _outside(parsed: Parsed, key: str) -> Imported:
    why = _TOP.get(key, "no such section of compose files is known")
    if key.startswith("x-"):
        why = "an extension says nothing by itself: what services take over from it is told there"
    return all_dropped("", [Record(parsed.path, line_of(parsed, (key,)), key, key, None)], why)


def _once(services: Iterable[Plain]) -> set[str]:
    """Services that others wait for until they are done."""
    waiting = [one.get("depends_on") for one in services if isinstance(one, dict)]
    return {
        unit_name(name)
        for one in waiting
        if isinstance(one, dict)
        for name, how in one.items()
        if isinstance(how, dict) and how.get("condition") == "service_completed_successfully"
    }


def _service(parsed: Parsed, name: str, scope: Scope, once: Collection[str]) -> Imported:
    unit = scope.name
    settings = [
        Record(one.file, one.line, name, f"{name}.{one.key}" if one.key == "document" else one.key, one.value)
        for one in records(parsed, ("services", name), name, TABLE)
    ]
    heading = Record(parsed.path, line_of(parsed, ("services", name)), f"services.{name}", "", "a service")
    said_keys = {one.key for one in settings}
    if not said_keys & {"command", "entrypoint"}:
        why = f"{name} names no command, and what its image would run is not known: {_IMAGES}"
        return all_dropped("", [heading, *settings], why)
    return made(Draft(
        file=f"{unit}.agent.yaml", what=WHAT, records=[heading, *settings], table=_Extended(TABLE), scope=scope,
        defaults={**_DEFAULTS, "agent.type": "oneshot" if unit in once else "exec"}, compose=_composed,
        needs="agent.exec", heading=f"Imported from {name} of a compose file.",
    ))  # fmt: skip


class _Extended(dict[str, Rule]):
    """Keys that begin with x- are for others."""

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (isinstance(key, str) and key.startswith("x-"))

    def __missing__(self, key: str) -> Rule:
        return Rule("~nothing", of.nothing("an extension says nothing by itself"))


def _composed(pieces: Pieces) -> Pieces:
    """The command behind the entry point; user and group; dependencies; the stop."""
    last: Mapping[str, Piece] = {piece.option: piece for piece in pieces}
    found = [piece for piece in pieces if not piece.option.startswith("~")]
    line = [last[one] for one in ("~agent.exec#entrypoint", "~agent.exec#command") if one in last]
    if line:
        words = [word for piece in line for word in piece.value]
        found.append(Piece("agent.exec", words, tuple(number for piece in line for number in piece.records)))
    if (user := last.get("~agent.user#")) is not None:
        name, colon, group = str(user.value).partition(":")
        found.append(Piece("agent.user", name, user.records))
        found += [Piece("agent.group", group, user.records)] if colon else []
    for piece in pieces:
        if piece.option in ("~unit.after#", "~agent.limits#"):
            found += [Piece(option, value, piece.records) for option, value in piece.value.items()]
    signal, wait = last.get("~agent.stop.sequence#signal"), last.get("~agent.stop.sequence#wait")
    numbers = tuple(number for one in (signal, wait) if one for number in one.records)
    first = f"{signal.value if signal else 'TERM'} {wait.value if wait else '10s'}"
    found.append(
        Piece("agent.stop.sequence", [first] if first.startswith("KILL") else [first, "KILL"], numbers)
    )
    return found
