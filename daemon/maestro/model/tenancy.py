"""What the owner of a slice may write into a unit that it runs itself: every option is decided here, and one that is not is refused.

A tenant's unit is carried out by a daemon that is root. So nothing may be in it that root would open, read or do for it: paths that
are looked at before the process has become its user, sockets that the daemon would ask, other people's units, priorities and limits
beyond those of a login. What only the process itself does, with its own rights, is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from maestro.model.checks import COMMANDS
from maestro.model.command import Command
from maestro.model.directories import KINDS
from maestro.model.scheduling import REALTIME
from maestro.model.unit import LogsSection, Unit

_READ = "the daemon would read it, and may read more than you"
_OPENED = "the daemon would open it, with more rights than yours"
_LAID = "the daemon would lay it, and gets past directories that you cannot enter"
_ASKED = "the daemon would ask it, from where you may not reach it"
_ALL = "it concerns units that are not yours"
_BEYOND = "it could allow more than your login does"
_SHARED = "it takes of what the daemon has for all"
_KEPT = "what it keeps for itself, agents that are not yours could not start in"
_WHOSE = "who it runs as is its user's matter: name that one, within your slice's uid_range"

REFUSED: Mapping[str, str] = {
    "condition": _READ,
    "assert": _READ,
    "install": "only administrators enable units",
    "unit.exclusive": _ALL,
    "unit.essential": "its failure would end the daemon",
    "unit.allow_isolate": _ALL,
    "unit.ignore_on_isolate": _ALL,
    "agent.root_directory": _LAID,
    "agent.environment_file": _READ,
    "agent.pass_environment": "the daemon's own variables may be secrets",
    "agent.pid_file": "the daemon would read it and remove it, with more rights than yours",
    "agent.supplementary_groups": "it is in the groups of its user, and in no others",
    "agent.file_descriptor_store_max": _SHARED,
    "agent.gateway_ports": "a gateway hears of the agents of all",
    "agent.configuration_directory": "configuration is the administrators'",
    "agent.configuration_directory_mode": "configuration is the administrators'",
    "agent.dynamic_user": _WHOSE,
    "agent.load_credential": _READ,
    "agent.limits.memlock": _BEYOND,
    "agent.limits.msgqueue": _BEYOND,
    "agent.limits.nice": _BEYOND,
    "agent.limits.nofile": _BEYOND,
    "agent.limits.nproc": _BEYOND,
    "agent.limits.rtprio": _BEYOND,
    "agent.limits.rttime": _BEYOND,
    "agent.limits.sigpending": _BEYOND,
    "resources.memory_min": _KEPT,
    "resources.memory_low": _KEPT,
    "resources.priority": "it would go before agents that are not yours",
    "resources.on_pressure": "others would stand still in its stead",
    "resources.io_device_weight": _OPENED,
    "resources.io_read_bandwidth_max": _OPENED,
    "resources.io_write_bandwidth_max": _OPENED,
    "resources.io_read_iops_max": _OPENED,
    "resources.io_write_iops_max": _OPENED,
    "sandbox.ambient_capabilities": "it would have privileges that you have not",
    "sandbox.read_only_paths": _LAID,
    "sandbox.read_write_paths": _LAID,
    "sandbox.inaccessible_paths": _LAID,
    "sandbox.exec_paths": _LAID,
    "sandbox.no_exec_paths": _LAID,
    "sandbox.bind_paths": _LAID,
    "sandbox.bind_read_only_paths": _LAID,
    "sandbox.temporary_file_system": _LAID,
    "sandbox.mount_flags": "only administrators share what is mounted",
    "sandbox.listeners": "only administrators give access to gateways",
    "sandbox.system_call_log": "it would write to the host's audit log",
    "health.readiness.http": _ASKED,
    "health.readiness.tcp": _ASKED,
    "health.readiness.unix": _ASKED,
    "health.readiness.log": "the daemon would search with your pattern, and one can take it for ever",
}

FREE = frozenset(
    [
        *("unit.description", "unit.documentation", "unit.default_dependencies", "unit.collect_mode"),
        *("agent.type", "agent.working_directory", "agent.user", "agent.group", "agent.umask"),
        *("agent.environment", "agent.unset_environment", "agent.notify_fd", "agent.start_timeout"),
        *("agent.watchdog", "agent.notify_access", "agent.success_exit_status", "agent.reload_signal"),
        *("agent.remain_after_exit", "agent.runtime_max", "agent.runtime_randomized_extra"),
        *("agent.restart.policy", "agent.restart.max_delay", "agent.restart.factor", "agent.restart.jitter"),
        *("agent.restart.reset_after", "agent.restart.start_limits", "agent.restart.on_give_up"),
        *("agent.restart.cooldown", "agent.restart.prevent_exit_status", "agent.restart.force_exit_status"),
        *("agent.restart.steps", "agent.restart.profile"),
        *("agent.stop.kill_mode", "agent.runtime_directory_preserve"),
        *("agent.exec_search_path", "agent.cpu_scheduling_reset_on_fork", "agent.cpu_affinity"),
        *("agent.numa_policy", "agent.numa_mask", "agent.io_scheduling_priority", "agent.timer_slack"),
        *("agent.personality", "agent.ignore_sigpipe", "agent.coredump_filter"),
        *(f"agent.limits.{name}" for name in ("as", "core", "cpu", "data", "fsize", "locks", "rss", "stack")),
        *(f"agent.{kind}_directory_mode" for kind in KINDS if kind != "configuration"),
        *("agent.set_credential", "agent.credentials_in_environment"),
        "agent.credentials_on_disk",
        *("resources.memory_high", "resources.memory_max", "resources.memory_swap_max"),
        *("resources.cpu_weight", "resources.cpu_max", "resources.cpu_period"),
        *("resources.allowed_cpus", "resources.allowed_memory_nodes", "resources.io_weight"),
        *("resources.tasks_max", "resources.oom_policy", "resources.slice"),
        *("sandbox.level", "sandbox.required", "sandbox.capability_bounding_set"),
        *("sandbox.private_tmp", "sandbox.private_devices", "sandbox.private_pids", "sandbox.private_ipc"),
        *("sandbox.private_users", "sandbox.protect_system", "sandbox.protect_home", "sandbox.protect_proc"),
        *("sandbox.protect_kernel_tunables", "sandbox.protect_control_groups", "sandbox.proc_subset"),
        *("sandbox.system_call_filter", "sandbox.system_call_error_number"),
        *("sandbox.system_call_architectures", "sandbox.restrict_address_families"),
        *("sandbox.memory_deny_write_execute", "sandbox.restrict_realtime", "sandbox.restrict_suid_sgid"),
        *("sandbox.lock_personality", "sandbox.restrict_namespaces", "sandbox.protect_hostname"),
        *("sandbox.protect_clock", "sandbox.protect_kernel_modules", "sandbox.protect_kernel_logs"),
        *("health.readiness.timeout", "health.readiness.successes", "health.readiness.initial_delay"),
        *("budget.cpu_seconds", "budget.wall_time", "budget.bytes_written", "budget.restarts", "budget.runs"),
        *("budget.time_zone", "budget.warn_at", "budget.on_exhausted"),
    ]
)
_REFERENCES = (
    *("requires", "requisite", "wants", "binds_to", "part_of", "upholds", "milestone", "conflicts"),
    *(
        "before",
        "after",
        "propagates_stop_to",
        "propagates_reload_to",
        "on_failure",
        "on_success",
        "on_give_up",
    ),
)
_SOONEST_RESTART = 0.1  # seconds
_SOONEST_PROBE = 1.0
_LONGEST_STOP = 600.0


class Grounds(Struct, frozen=True):
    """Where a tenant's unit is to be."""

    slice: str
    acts: Callable[[str], bool]  # whether a unit is one that the tenant acts on


def is_decided(option: str) -> bool:
    return option in FREE or option in _CHECKED or bool(_refused(option))


def objections(unit: Unit, grounds: Grounds) -> Iterator[str]:
    """What a tenant may not have in its unit, each with its reason. `unit` is made of the tenant's own words alone."""
    for option in unit.origins:
        if why := _refused(option):
            yield f"{option}: {why}"
        elif check := _CHECKED.get(option):
            value: Any = unit
            for name in option.split("."):
                value = getattr(value, name)
            yield from (f"{option}: {why}" for why in check(value, grounds))
        elif option not in FREE:
            yield f"{option}: it is not for tenants"


def _refused(option: str) -> str:
    return REFUSED.get(option) or REFUSED.get(option.partition(".")[0], "")


# ------------------------------------------------------------------------------------------- those that depend on what is said

_Check = Callable[[Any, Grounds], Iterable[str]]


def _of_its_own(references: Iterable[Any], grounds: Grounds) -> Iterator[str]:
    for reference in references:
        name = str(getattr(reference, "unit", reference))
        if not grounds.acts(name):
            yield f"there is no unit {name} in your slices"


def _unprivileged(command: Any, _: Grounds) -> Iterator[str]:
    if command and Command(command).is_privileged:
        yield "by + or ! in front of the program it would run as the daemon's own user"


def _all_unprivileged(commands: Iterable[Any], grounds: Grounds) -> Iterator[str]:
    for command in commands:
        yield from _unprivileged(command, grounds)


def _unopened(stream: Any, _: Grounds) -> Iterator[str]:
    if stream.kind not in ("null", "log", "inherit"):
        yield _OPENED


def _below_its_slice(directories: Iterable[Any], grounds: Grounds) -> Iterator[str]:
    for one in directories:
        for path in filter(None, (one.path, one.link)):
            if not path.startswith(f"{grounds.slice}/"):
                yield f"your directories are below your slice's: write {grounds.slice}/{path}"


def _at_least(least: float, words: str) -> _Check:
    return lambda value, _: () if value is None or value >= least else (words,)


def _at_most(option: str) -> _Check:
    most = getattr(LogsSection(), option)
    return lambda value, _: () if value <= most else (f"your agents may have {most} at most",)


def _none_of(*values: Any, why: str) -> _Check:
    return lambda value, _: (why,) if value in values else ()


_LONG = ("its stop may take 10 minutes at most: the end of the daemon waits for it",)
_GETS_MORE = "it would get more than others: write 0 or above"
_CHECKED: Mapping[str, _Check] = {
    **{f"unit.{name}": _of_its_own for name in _REFERENCES},
    "agent.exec": _unprivileged,
    **{f"agent.{name}": _all_unprivileged for name in COMMANDS},
    **{f"agent.{name}": _unopened for name in ("stdin", "stdout", "stderr")},
    **{f"agent.{kind}_directory": _below_its_slice for kind in KINDS if kind != "configuration"},
    "agent.nice": _at_least(0, _GETS_MORE),
    "agent.oom_score_adjust": _at_least(0, _GETS_MORE),
    "agent.cpu_scheduling_policy": _none_of(*REALTIME, why="it would come before all else"),
    "agent.cpu_scheduling_priority": _at_least(100, "only real-time policies have one"),
    "agent.io_scheduling_class": _none_of("realtime", why="it would come before all else"),
    "agent.keyring_mode": _none_of(
        "inherit", why="it would possess the daemon's keys: write private or shared"
    ),
    "agent.stop.sequence": lambda steps, _: _LONG if sum(step.wait for step in steps) > _LONGEST_STOP else (),
    "agent.stop.drain_max": lambda value, _: _LONG if value > _LONGEST_STOP else (),
    "agent.restart.delay": _at_least(
        _SOONEST_RESTART, "it would be restarted without a pause: write 100ms or more"
    ),
    "health.readiness.exec": _unprivileged,
    "health.readiness.interval": _at_least(
        _SOONEST_PROBE, "it would be asked without a pause: write 1s or more"
    ),
    "sandbox.no_new_privileges": _none_of(False, why="a tenant's agent gains no privileges"),
    "sandbox.network": _none_of("gateway", why="only administrators give access to gateways"),
    **{f"logs.{name}": _at_most(name) for name in ("max_size", "max_files", "rate_limit_burst")},
    "logs.rate_limit_interval": _at_least(1.0, "more would be kept than for others: write 1s or more"),
}
