"""Lives, units and jobs as the client sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from maestro.control.protocol import (
    ErrorView,
    EventView,
    JobView,
    LineView,
    PlannedView,
    ProblemView,
    ProcessView,
    ShowView,
    UnitView,
    UsageView,
    VerbView,
)
from maestro.engine.jobs import Job
from maestro.engine.plan import Plan
from maestro.engine.state import Life
from maestro.engine.step import Refusal
from maestro.manager.happened import Told
from maestro.manager.sampler import Reading
from maestro.model import names
from maestro.model.load import Loaded, shown
from maestro.model.problem import Problem
from maestro.model.unit import Unit
from maestro.ports import LogLine, Usage

# What comes by itself: timer -> how it is announced. A watchdog and a forgiveness are no news.
_COMES = {
    "restart": "restart",
    "cooldown": "start after the cool-down",
    "uphold": "start, since it is upheld",
    "start": "start time-out",
    "stop": "next stop signal",
    "command": "time-out of the command",
    "runtime": "end of its time",
}


def unit_view(
    name: str, unit: Unit | None, life: Life, loaded: Loaded | None, now: float, wall: float
) -> UnitView:
    """One unit without what has to be fetched: log, processes, enablement."""
    next_timer = min(((at, timer) for timer, at in life.timers.items() if timer in _COMES), default=None)
    problems = tuple(map(problem_view, loaded.problems)) if loaded else ()
    return UnitView(
        name=name,
        kind=unit.kind if unit else names.split(name).kind,
        description=unit.unit.description if unit else "",
        path=(loaded.path if loaded else "") or (unit.path if unit else ""),
        documentation=unit.unit.documentation if unit else (),
        load=_load(loaded),
        problems=problems,
        state=life.coarse.value,
        fine=life.state.value,
        goal=life.goal.value,
        since=wall - (now - life.since) if life.since else 0.0,
        cause=life.cause,
        result=life.result.value if unit else "",
        pid=life.pid if life.alive and not life.bare and life.ended is None else 0,
        agent=life.agent,
        restarts=life.restarts,
        next=_COMES[next_timer[1]] if next_timer else "",
        next_in=max(0.0, next_timer[0] - now) if next_timer else None,
        blocked_by=life.blocked_by,
        status=life.status,
        requires=tuple(map(str, unit.unit.requires)) if unit else (),
        wants=tuple(map(str, unit.unit.wants)) if unit else (),
    )


def _load(loaded: Loaded | None) -> str:
    if loaded is None:
        return "missing"
    return "masked" if loaded.masked else "bad" if loaded.problems else "loaded"


def problem_view(problem: Problem) -> ProblemView:
    return ProblemView(
        path=problem.path,
        line=problem.line,
        column=problem.column,
        option=problem.option,
        message=problem.message,
        hint=problem.hint,
    )


def job_view(job: Job, waits_for: str = "") -> JobView:
    return JobView(
        id=job.id, unit=job.unit, verb=job.verb, state=job.state.value, words=job.words or waits_for
    )


def error_view(refusal: Refusal) -> ErrorView:
    return ErrorView(code=refusal.code, message=refusal.words, hint=refusal.hint)


def rehearsed(
    plan: Plan, refusals: dict[str, Refusal], errors: dict[str, ErrorView], sees: Callable[[str], bool]
) -> VerbView:
    """A dry run's answer, as far as the caller sees."""
    refused = {name: error_view(why) for name, why in refusals.items() if not why.done}
    return VerbView(
        errors=errors | refused,
        changes=tuple(why.words for why in refusals.values() if why.done),
        plan=tuple(
            PlannedView(unit=job.unit, verb=job.kind.value, asked=job.asked, why=job.why)
            for job in plan.jobs
            if sees(job.unit)
        ),
        left_out={name: error_view(why) for name, why in plan.left_out.items() if sees(name)},
    )


def usage_view(name: str, life: Life, reading: Reading | None) -> UsageView:
    view = UsageView(
        name=name, state=life.coarse.value, fine=life.state.value, pid=life.pid if life.alive else 0
    )
    if reading is None:
        return view
    return replace(
        view,
        cpu=reading.cpu,
        cpu_share=reading.cpu_share,
        memory=reading.memory,
        tasks=reading.tasks,
        read=reading.read,
        written=reading.written,
        read_rate=reading.read_rate,
        write_rate=reading.write_rate,
    )


def with_limits(view: UsageView, whole: Usage) -> UsageView:
    """With what is not sampled: limits and the peak, and of a slice all."""
    return replace(
        view,
        cpu=whole.cpu if view.cpu is None else view.cpu,
        memory=whole.memory if view.memory is None else view.memory,
        tasks=whole.tasks if view.tasks is None else view.tasks,
        read=whole.read if view.read is None else view.read,
        written=whole.written if view.written is None else view.written,
        memory_peak=whole.memory_peak,
        memory_max=whole.memory_max,
        tasks_max=whole.tasks_max,
        oom_kills=whole.oom_kills,
        forks_refused=whole.forks_refused,
        held_back=whole.held_back,
        crowded=whole.crowded,
    )


def event_view(told: Told) -> EventView:
    return EventView(**told.facts())


def line_view(unit: str, line: LogLine) -> LineView:
    return LineView(unit=unit, time=line.time_ns / 1e9, text=line.text, cursor=line.end)


def show_view(name: str, unit: Unit | None, loaded: Loaded | None, tiers: tuple[str, ...] = ()) -> ShowView:
    options = shown(unit) if unit is not None else ()
    return ShowView(
        name=name,
        problems=tuple(map(problem_view, loaded.problems)) if loaded else (),
        options={one.option: one.value for one in options},
        origins={
            one.option: ", ".join(f"{o.path}:{o.line}:{o.column}" for o in (one.origin, *one.origin.also))
            for one in options
            if one.origin
        },
        tiers=tiers,
    )


def process_views(rows: Iterable[tuple[int, int, str]]) -> tuple[ProcessView, ...]:
    return tuple(ProcessView(pid=pid, parent=parent, command=command) for pid, parent, command in rows)
