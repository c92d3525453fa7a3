"""The options of scheduling, as the kernel has them."""

from __future__ import annotations

import os
import resource

from msgspec.structs import replace

from maestro.manager.cannot import CannotPrepare
from maestro.model.agent import AgentSection
from maestro.model.amounts import NumberSet
from maestro.model.conditions import ARCHITECTURES
from maestro.model.limits import UNLIMITED, Limit
from maestro.model.option import describe
from maestro.model.scheduling import CORE_FILTER, IO_CLASSES
from maestro.ports import Recipe

_LOCKS = 10  # RLIMIT_LOCKS, which the standard library leaves out
_MOST = 1 << 63  # what reaches this is no limit to the kernel's own arithmetic
_BEST_EFFORT, _MIDDLE = 2, 4
_POLICIES = {
    "other": os.SCHED_OTHER,
    "batch": os.SCHED_BATCH,
    "idle": os.SCHED_IDLE,
    "fifo": os.SCHED_FIFO,
    "rr": os.SCHED_RR,
}
_NUMA = {"default": 0, "preferred": 1, "bind": 2, "interleave": 3, "local": 4}
_LINUX, _LINUX32 = 0, 8
_SIBLINGS = {  # machine -> the 32-bit one that it can be
    "x86-64": "x86",
    "arm64": "arm",
    "ppc64": "ppc",
    "ppc64-le": "ppc-le",
    "s390x": "s390",
}


def applied(recipe: Recipe, agent: AgentSection) -> Recipe:
    """The recipe with what the unit says about scheduling and limits. Raises `CannotPrepare`."""
    return replace(
        recipe,
        nice=agent.nice,
        io_priority=_io_priority(agent),
        cpu_scheduling=_cpu_scheduling(agent),
        cpu_affinity=_union(agent.cpu_affinity),
        numa=None if agent.numa_policy is None else (_NUMA[agent.numa_policy], _union(agent.numa_mask)),
        oom_score_adjust=agent.oom_score_adjust,
        timer_slack=None if agent.timer_slack is None else int(agent.timer_slack),
        personality=_personality(agent, os.uname().machine),
        coredump_filter=sum(1 << CORE_FILTER.index(one) for one in agent.coredump_filter) or None,
        keyring=None if agent.keyring_mode == "inherit" else agent.keyring_mode,
        ignore_sigpipe=agent.ignore_sigpipe,
        search_path=":".join(agent.exec_search_path),
        rlimits=_limits(agent),
    )


def _io_priority(agent: AgentSection) -> tuple[int, int] | None:
    wanted, level = agent.io_scheduling_class, agent.io_scheduling_priority
    if wanted is None and level is None:
        return None
    number = _BEST_EFFORT if wanted is None else IO_CLASSES.index(wanted)
    if wanted in ("none", "idle"):
        return number, 0
    return number, _MIDDLE if level is None else level


def _cpu_scheduling(agent: AgentSection) -> tuple[int, int] | None:
    policy = agent.cpu_scheduling_policy
    if policy is None and not agent.cpu_scheduling_reset_on_fork:
        return None
    flag = os.SCHED_RESET_ON_FORK if agent.cpu_scheduling_reset_on_fork else 0
    lowest = 1 if policy in ("fifo", "rr") else 0
    return _POLICIES[policy or "other"] | flag, agent.cpu_scheduling_priority or lowest


def _union(sets: tuple[NumberSet, ...]) -> tuple[int, ...]:
    return tuple(sorted({number for one in sets for number in one.numbers}))


def _personality(agent: AgentSection, machine: str) -> int | None:
    wanted = agent.personality
    if wanted is None:
        return None
    own = ARCHITECTURES.get(machine, machine)
    if wanted == own:
        return _LINUX
    if wanted == _SIBLINGS.get(own):
        return _LINUX32
    raise CannotPrepare(f"cannot have personality {wanted}: this machine is {own}")


def _limits(agent: AgentSection) -> tuple[tuple[int, int, int], ...]:
    found = []
    for option in describe(type(agent.limits)):
        limit: Limit | None = getattr(agent.limits, option.field)
        if limit is not None:
            number = getattr(resource, f"RLIMIT_{option.name.upper()}", _LOCKS)
            found.append((number, _number(limit.soft), _number(limit.hard)))
    return tuple(found)


def _number(amount: int) -> int:
    return resource.RLIM_INFINITY if amount == UNLIMITED or amount >= _MOST else amount
