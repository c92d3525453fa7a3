"""What a verb changes: a plan is made of it, and each job of the plan sets a goal, which the machine follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from maestro.engine import admission, budgets, policy, pressure, slices, treasury
from maestro.engine.events import Asked
from maestro.engine.freezing import EMERGENCY
from maestro.engine.jobs import MERGE, JobState, Merge
from maestro.engine.plan import Kind, Mode, Plan, Planned, Planner, Unplannable
from maestro.engine.relations import Atom
from maestro.engine.state import ALIVE, GOING_DOWN, Goal, Life, State, Trigger
from maestro.engine.step import Refusal
from maestro.engine.table import Input

if TYPE_CHECKING:
    from maestro.engine.world import World

Wish = tuple[str, Kind]  # a unit that was named, and what is asked of it


def take(world: World, asked: Asked) -> None:
    """Carry one request out on all its units; those that can't be are refused one by one, each with its reason."""
    if asked.verb in _AT_ONCE:
        if asked.verb in ("hold", "release"):
            admission.hold_all(world, asked.verb == "hold")
        for name in asked.units:
            _AT_ONCE[asked.verb](world, name) if _is_known(world, name) else None
        world.settle()
        return
    made = plan(world, asked)
    jobs = made.jobs
    for name, why in made.left_out.items():
        world.note(name, "left-out", f"not started: {why.words}")
    circular = _circular(world, [job.unit for job in jobs if job.kind is Kind.STOP])
    for job in jobs:
        _open(world, job, asked.request)
        _note_why(world, job.unit, job.why)
        unordered = asked.mode == Mode.IGNORE_DEPENDENCIES or job.unit in circular
        if world.life(job.unit).unordered != unordered:
            world.change(job.unit, unordered=unordered)
    for job in jobs:
        _GOALS[job.kind](world, job.unit, job.asked)
    world.settle()
    for job in jobs:
        world.book.conclude(job.unit)


def plan(world: World, asked: Asked) -> Plan:
    """The jobs that a request comes to; whom it is refused for is noted in the step."""
    wishes = [(name, kind) for name in asked.units if (kind := _wish(world, name, asked.verb)) is not None]
    if asked.mode == Mode.ISOLATE and len(wishes) < len(asked.units):
        return Plan()  # what was meant to stay may be the one that was refused
    made = _plan(world, wishes, Mode(asked.mode))
    return _isolated(world, wishes, made) if asked.mode == Mode.ISOLATE and made.jobs else made


def _plan(world: World, wishes: list[Wish], mode: Mode) -> Plan:
    while wishes:
        try:
            return Planner(world.scope, mode).make(wishes)
        except Unplannable as why:
            world.refuse(why.anchor, why.refusal)
            wishes = [wish for wish in wishes if wish[0] != why.anchor]
    return Plan()


def _circular(world: World, names: list[str]) -> set[str]:
    """Those of the units to be stopped that would wait for each other for ever: their files were changed while they ran."""
    left, found = set(names), set[str]()
    while cycle := world.graph.cycle(left):
        members = {edge.first for edge in cycle}
        found |= members
        left -= members
    return found


def _isolated(world: World, wishes: list[Wish], made: Plan) -> Plan:
    """The same, and a stop of everything else that is up or on its way."""
    kept = {job.unit for job in made.jobs} | {name for name, _ in wishes}
    kept |= {name for name in world.units if world.units[name].unit.ignore_on_isolate}
    kept |= _needed_by(world, kept)
    others = [name for name, life in world.lives.items() if name in world.units and life.goal is Goal.UP]
    stops = [(name, Kind.STOP) for name in others if name not in kept]
    return _plan(world, [*wishes, *stops], Mode.REPLACE)


def _needed_by(world: World, names: Iterable[str]) -> set[str]:
    """What these need to be up, at any distance: it is up, or it would be in the plan."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        for atom in (Atom.START, Atom.TRY_START, Atom.VERIFY):
            new = [other for other in world.graph.of(name, atom) if other not in found]
            found.update(new)
            todo.extend(new)
    return found


# ------------------------------------------------------------------------------------------- wishes


def _wish(world: World, name: str, verb: str) -> Kind | None:
    """What a verb asks of one unit; None where that is nothing, or it was refused."""
    if verb == "stop" and world.know(name) is None:  # masked, or it does not load; what runs of such is known
        world.refuse(name, Refusal("not-running", f"{name} is not running", done=True))
        return None
    return _WISHES[verb](world, name) if _is_known(world, name) else None


def _is_known(world: World, name: str) -> bool:
    if world.know(name) is not None:
        return True
    hint = "maestroctl list shows the units; maestroctl daemon-reload looks for new files"
    world.refuse(name, world.mask(name) or Refusal("no-such-unit", f"no unit {name}", hint))
    return False


def _try_restart(world: World, name: str) -> Kind | None:
    if world.life(name).goal is Goal.UP:
        return Kind.RESTART
    world.refuse(name, Refusal("not-running", f"{name} is not running: nothing to restart", "", done=True))
    return None


def _reload(world: World, name: str) -> Kind | None:
    trouble = _cannot_reload(world, name)
    if trouble is None:
        return Kind.RELOAD
    world.refuse(name, trouble)
    return None


def _cannot_reload(world: World, name: str) -> Refusal | None:
    if not world.can_reload(name):
        hint = f"set agent.reload_signal or agent.exec_reload, or use: maestroctl restart {name}"
        return Refusal("no-reload", f"cannot reload {name}: its unit names no way to reload it", hint)
    if world.life(name).state not in RELOADABLE or world.life(name).must_come_down:
        words = f"cannot reload {name}: it is {_how(world.life(name))}"
        frozen = world.life(name).state is State.FROZEN
        return Refusal("not-running", words, f"maestroctl {'thaw' if frozen else 'start'} {name}")
    return None


def _how(life: Life) -> str:
    return str(life.state if life.state is State.FROZEN else life.coarse)


def _reload_or_restart(world: World, name: str) -> Kind | None:
    return Kind.RELOAD if _cannot_reload(world, name) is None else Kind.RESTART


def _isolate(world: World, name: str) -> Kind | None:
    if world.units[name].unit.allow_isolate:
        return Kind.START
    hint = "set unit.allow_isolate: true where that is meant"
    world.refuse(name, Refusal("no-isolate", f"{name} does not allow to be isolated", hint))
    return None


_WISHES: dict[str, Callable[[World, str], Kind | None]] = {
    "start": lambda world, name: Kind.START,
    "stop": lambda world, name: Kind.STOP,
    "restart": lambda world, name: Kind.RESTART,
    "try-restart": _try_restart,
    "reload": _reload,
    "reload-or-restart": _reload_or_restart,
    "isolate": _isolate,
}
RELOADABLE = (State.RUNNING, State.RELOADING)


# ------------------------------------------------------------------------------------------- goals


def _raise(world: World, name: str, by_hand: bool) -> None:
    """Make a unit's goal up. A start by hand also ends a pause or a cool-down, and forgets what went wrong before."""
    life = world.life(name)
    if life.state in GOING_DOWN and not life.halted:
        world.set_goal(
            name, Goal.UP, bounce=True
        )  # going down by a fault: come up again whatever the policy says
        return
    world.set_goal(name, Goal.UP, bounce=life.bounce and life.goal is Goal.UP)
    if life.state in (State.DEAD, State.FAILED, State.COOLDOWN) or (
        by_hand and life.state in (State.BACKOFF, State.WAITING)
    ):
        world.apply(name, Input.START_ASKED)


def _note_why(world: World, name: str, why: str) -> None:
    if world.life(name).pulled != why:
        world.change(name, pulled=why)


def take_down(world: World, name: str, why: str) -> None:
    """Stop a unit because of what became of another."""
    if name in world.units and world.life(name).goal is Goal.UP:
        _note_why(world, name, why)
        world.set_goal(name, Goal.DOWN)


def start_for(world: World, name: str, why: str, trigger: Trigger | None = None) -> bool:
    """Start a unit because of what became of another; returns whether that could be done, and tells where it could not.

    It counts as an automatic start: what starts each other in a circle comes to rest at its start limits.
    """
    try:
        made = Planner(world.scope).make([(name, Kind.START)])
    except Unplannable as refused:
        world.note(name, "not-started", f"{why}: {refused.refusal.words}")
        return False
    counted: dict[str, tuple[float, ...]] = {}
    for job in made.jobs:
        agent, life = world.units[job.unit].agent, world.life(job.unit)
        if agent is None or job.kind is not Kind.START or life.state not in (State.DEAD, State.FAILED):
            continue
        if limit := policy.exceeds_limits(agent.restart, life.starts, world.now):
            world.note(name, "not-started", f"{why}: {job.unit} was started too often: {limit}")
            return False
        counted[job.unit] = policy.remember_start(agent.restart, life.starts, world.now)
    for job in made.jobs:
        _open(world, replace(job, asked=False), "")
        _note_why(world, job.unit, job.why or why)
        _GOALS[job.kind](world, job.unit, False)
    for unit, starts in counted.items():
        world.change(unit, starts=starts)
    if trigger is not None and world.life(name).state is State.WAITING:  # otherwise it ran already
        world.change(name, trigger=trigger)
    return True


def _lower(world: World, name: str, _by_hand: bool = True) -> None:
    if name in world.units and world.life(name).goal is Goal.UP:
        world.set_goal(name, Goal.DOWN)


def _bounce(world: World, name: str, _by_hand: bool = True) -> None:
    if world.life(name).state in ALIVE:
        world.set_goal(name, Goal.UP, bounce=True)
    else:
        _raise(world, name, by_hand=True)


def _send_reload(world: World, name: str, _by_hand: bool = True) -> None:
    if world.units[name].agent is not None and world.life(name).state in RELOADABLE:
        world.apply(name, Input.RELOAD_ASKED)


def _reload_or_start(world: World, name: str, by_hand: bool) -> None:
    act = _send_reload if world.life(name).state in RELOADABLE else _raise
    act(world, name, by_hand)


_GOALS: dict[Kind, Callable[[World, str, bool], None]] = {
    Kind.START: _raise,
    Kind.STOP: _lower,
    Kind.RESTART: _bounce,
    Kind.RELOAD: _send_reload,
    Kind.RELOAD_OR_START: _reload_or_start,
    Kind.VERIFY: lambda world, name, by_hand: None,
}


# ------------------------------------------------------------------------------------------- at once


def _cancel(world: World, name: str) -> None:
    """Take back what a pending job asked for, as far as it has not been done."""
    job, life = world.book.of(name), world.life(name)
    if job is None:
        world.refuse(name, Refusal("no-job", f"{name} has no pending job", "maestroctl jobs"))
        return
    if job.verb == Kind.STOP and not life.must_be_halted:
        hint = f"start it again: maestroctl start {name}"
        world.refuse(name, Refusal("too-late", f"the stop of {name} has begun and is not taken back", hint))
        return
    world.book.close(job, JobState.CANCELED, "canceled on request")
    if job.verb == Kind.RELOAD:
        return  # the unit runs on, and so does what was asked of it
    undone = job.verb == Kind.STOP or (job.verb == Kind.RESTART and life.must_be_halted)
    if not undone:
        _note_why(world, name, f"its {job.verb} was canceled")
    world.set_goal(name, Goal.UP if undone else Goal.DOWN)


def _reset_failed(world: World, name: str) -> None:
    world.apply(name, Input.RESET_ASKED)


def _freeze(world: World, name: str) -> None:
    life = world.life(name)
    if life.state is State.FROZEN and life.stilled:  # from now on it is not its budget that ends it
        world.change(name, stilled=False, stilled_by=(), cause="frozen on request")
        world.note(name, "frozen", "frozen on request, where it stood still for its budget")
    elif life.state is State.FROZEN and life.frozen_for:
        slices.keep_still(world, name, "frozen on request")
    elif life.state is State.FROZEN:
        world.refuse(name, Refusal("frozen", f"{name} is frozen already", "", done=True))
    elif world.units[name].kind == "target":
        hint = "freeze its agents, or the slice that they are in"
        world.refuse(name, Refusal("bad-request", f"cannot freeze {name}: it has no processes", hint))
    elif life.state is State.RUNNING and not life.must_come_down:
        world.apply(name, Input.FREEZE_ASKED)
    else:
        hint = "only what is up and does not reload or stop can be frozen"
        world.refuse(name, Refusal("not-running", f"cannot freeze {name}: it is {_how(life)}", hint))


def _thaw(world: World, name: str) -> None:
    held = treasury.freezes(world, name) if world.life(name).stands_still else ()
    if world.life(name).state is State.FROZEN and (above := slices.frozen_above(world, name)):
        words = f"cannot thaw {name}: {above}, which it is in, is frozen"
        world.refuse(name, Refusal("frozen", words, f"maestroctl thaw {above}"))
    elif held:
        said = budgets.tell(name, held, world.wall)
        hint = "grant more, or have what was used forgotten: maestroctl budget reset"
        holders = " ".join(one.holder for one in held)
        world.refuse(name, Refusal("exhausted", f"cannot thaw {name}: {said}", f"{hint} {holders}"))
    elif world.life(name).state is State.FROZEN:
        world.apply(name, Input.THAW_ASKED)
    else:
        words = f"{name} is not frozen: nothing to thaw"
        world.refuse(name, Refusal("not-frozen", words, "", done=True))


def _hold(world: World, name: str) -> None:
    if world.life(name).state is State.RUNNING and world.units[name].agent is not None:
        world.apply(name, Input.HELD)
    elif pressure.is_frozen(world.life(name)):  # it is an operator now who says when it goes on
        world.change(name, frozen_for=EMERGENCY, cause=f"held with all agents, by {EMERGENCY}")


def _release(world: World, name: str) -> None:
    """All are let go; what was frozen by name stays so."""
    life = world.life(name)
    if life.state is not State.FROZEN or life.frozen_for != EMERGENCY:
        return
    if held := treasury.freezes(world, name):  # used up by others of its slice meanwhile
        treasury.keep_still(world, name, held, frozen_for="")
    else:
        world.apply(name, Input.THAW_ASKED)


_AT_ONCE: dict[str, Callable[[World, str], None]] = {
    "cancel": _cancel,
    "reset-failed": _reset_failed,
    "freeze": _freeze,
    "thaw": _thaw,
    "hold": _hold,
    "release": _release,
}
VERBS = (*_WISHES, *_AT_ONCE)


# ------------------------------------------------------------------------------------------- jobs


def _open(world: World, job: Planned, request: str) -> None:
    """A job for each unit that was named; and a pending one that the plan contradicts is canceled."""
    pending = world.book.of(job.unit)
    verb = Kind.START if job.kind is Kind.RELOAD_OR_START else job.kind
    if pending is not None:
        if MERGE.get((pending.verb, verb)) is Merge.REPLACE:
            said = verb.value if job.asked else f"{verb.value} of it, for {job.why}"
            world.book.close(pending, JobState.CANCELED, f"superseded by {said}")
        elif job.asked:
            if MERGE.get((pending.verb, verb)) is Merge.JOIN:
                world.book.join(pending, request)
            return
    if job.asked:
        world.book.open(job.unit, verb, request, world.now)
