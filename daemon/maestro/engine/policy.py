"""Whether an end was clean, whether a restart follows, after which pause, and when to give up."""

from __future__ import annotations

from maestro.engine.events import Ended
from maestro.engine.state import Life, Result, State
from maestro.model.unit import AgentSection, RestartSection
from maestro.model.values import Command

CLEAN_SIGNALS = frozenset({1, 2, 13, 15})  # HUP, INT, PIPE, TERM

_FAULTS = frozenset(Result) - {Result.SUCCESS}

# systemd.service(5), table of Restart=; a lost status counts as abnormal, since nobody can say that it was not
RESTARTS: dict[str, frozenset[Result]] = {
    "no": frozenset(),
    "always": frozenset(Result),
    "on-success": frozenset({Result.SUCCESS}),
    "on-failure": _FAULTS,
    "on-abnormal": _FAULTS - {Result.EXIT_CODE},
    "on-abort": frozenset({Result.SIGNAL}),
    "on-watchdog": frozenset({Result.WATCHDOG}),
}


def judge(agent: AgentSection, life: Life, ended: Ended) -> Result:
    """What an end means. A fault that was noted before, when it happened, stays: a time-out, a missed watchdog, a command."""
    if life.result is not Result.SUCCESS:
        return life.result
    if ended.code is None and ended.signal is None:
        return Result.LOST
    if not is_clean(agent, ended) and not command(agent, life).is_forgiven:
        return Result.EXIT_CODE if ended.signal is None else Result.SIGNAL
    if life.awaits and life.awaits != ("end",) and not life.halted:
        return Result.PROTOCOL
    return Result.SUCCESS


def command(agent: AgentSection, life: Life) -> Command:
    """What the main process is, or was: one of several where its unit says so."""
    return agent.lines[min(life.line, len(agent.exec_more))]


def goes_on(agent: AgentSection, life: Life) -> bool:
    """Whether what has ended is the first process of one that forks, and another goes on for it."""
    ended = life.ended
    return (
        "fork" in life.awaits
        and life.state in (State.SPAWNING, State.STARTING)
        and ended is not None
        and is_clean(agent, ended)
    )


def is_lost_in_forking(life: Life) -> bool:
    """Its first process has ended, none is left that is known, and the pid file names none."""
    return "pid" in life.awaits and life.ended is not None and not life.left and not life.bare


def can_reload(agent: AgentSection) -> bool:
    return agent.reload_signal is not None or bool(agent.exec_reload) or agent.type == "notify-reload"


def is_clean(agent: AgentSection, ended: Ended) -> bool:
    if agent.success_exit_status.matches(ended.code, ended.signal):
        return True
    if ended.signal is not None:
        return agent.type != "oneshot" and ended.signal in CLEAN_SIGNALS
    return ended.code == 0


def restarts(agent: AgentSection, result: Result, ended: Ended | None) -> bool:
    """Whether the policy starts this agent again after that result."""
    rule = agent.restart
    code, signal = (ended.code, ended.signal) if ended else (None, None)
    if rule.prevent_exit_status.matches(code, signal):
        return False
    if agent.type == "oneshot" and result is Result.SUCCESS:
        return False
    return rule.force_exit_status.matches(code, signal) or result in RESTARTS[rule.policy]


def base_pause(rule: RestartSection, tries: int) -> float:
    """Seconds before restart number `tries` (1 is the first), without jitter."""
    if rule.delay <= 0:
        return 0.0
    if rule.steps and rule.delay < rule.max_delay < float("inf"):  # service.c, service_restart_usec_next
        share = min(tries - 1, rule.steps) / rule.steps
        return float(rule.delay * (rule.max_delay / rule.delay) ** share)
    grown = rule.delay * rule.factor ** min(tries - 1, 64)
    return float(min(grown, max(rule.max_delay, rule.delay)))


def pause(rule: RestartSection, tries: int, chance: float) -> float:
    """The same with jitter: `chance` in [0, 1) is drawn once per restart and kept."""
    return base_pause(rule, tries) * (1 + rule.jitter / 100 * chance)


def forgiveness(rule: RestartSection, life: Life) -> float:
    """Seconds an agent must have been ready for its next failure to count as the first."""
    if rule.reset_after is not None:
        return float(rule.reset_after)
    return max(60.0, life.delay)


def watchdog(agent: AgentSection, life: Life) -> float:
    """Seconds within which a sign of life must come: as it said itself, or as its unit says; 0 for never."""
    return life.watchdog or float(agent.watchdog or 0)


def exceeds_limits(rule: RestartSection, starts: tuple[float, ...], at: float) -> str:
    """The start limit that one more automatic start at time `at` would break, or an empty string."""
    for limit in rule.start_limits:
        if sum(1 for start in starts if start > at - limit.window) >= limit.count:
            return str(limit)
    return ""


def remember_start(rule: RestartSection, starts: tuple[float, ...], at: float) -> tuple[float, ...]:
    """The automatic starts that still matter, with this one."""
    if not rule.start_limits:
        return ()
    window = max(limit.window for limit in rule.start_limits)
    most = max(limit.count for limit in rule.start_limits)
    return (*(start for start in starts if start > at - window), at)[-most:]
