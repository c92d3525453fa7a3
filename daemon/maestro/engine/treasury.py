"""What budgets do to units: who is to stand still, to wait or to come down because something is used up, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from maestro.engine import budgets
from maestro.engine.budgets import Account, Spent, Terms
from maestro.engine.events import Ended, Granted, Reset, Throttle, Used
from maestro.engine.state import COMING_UP, UP, Goal, Life, State
from maestro.engine.step import Refusal
from maestro.engine.table import Input
from maestro.model.budget import INVOCATION, RESOURCES, Limit

if TYPE_CHECKING:
    from maestro.engine.world import World

_LOOK_AGAIN = 60.0  # seconds after which the clock is looked at again: it may have been set
_SOONEST = 0.001  # seconds between two looks
_HOLDS_STARTS = (
    "freeze",
    "drain",
    "stop",
)  # of what is used by running; what is used by starting, throttle holds too
_CAN_STAND_STILL = (State.RUNNING, State.STARTING)


def has_budget(world: World, name: str) -> bool:
    return name in world.ledger.terms


def take(world: World, event: Used | Granted | Reset) -> None:
    match event:
        case Used():
            used(world, event)
        case Granted():
            grant(world, event)
        case Reset():
            reset(world, event)


# ------------------------------------------------------------------------------------------- what is used


def used(world: World, event: Used) -> None:
    """Counters of several agents were read."""
    for agent, counters in event.counters.items():
        name = world.owner(agent)
        if name is not None and has_budget(world, name) and world.life(name).agents:
            look(world, name, agent, counters, keep=event.keep)
    if event.keep:
        world.ledger.keep()


def ended(world: World, name: str, event: Ended) -> None:
    """The end of a main process says what it has used in all, and when that was."""
    if not has_budget(world, name):
        return
    at = event.at if 0 < event.at < world.now and not event.left else world.now
    look(world, name, event.agent, {"cpu_seconds": event.cpu}, at=at)
    if at < world.now:  # nothing ran of it since
        account = world.ledger.of(name)
        world.ledger.set(name, budgets.measured_until(account, world.now))


def followed(world: World, name: str, before: Life, moment: Input) -> None:
    """A life has changed: a run may have begun, and what runs may have come to a stand."""
    if moment is Input.GO and world.life(name).agent != before.agent:
        account, deltas = budgets.begun(world.ledger.of(name), automatic=before.again)
        _take(world, name, account, deltas, 0.0)
    life = world.life(name)
    if _runs(life) != world.ledger.of(name).running:
        attend(world, name)


def attend(world: World, name: str) -> None:
    """Take in the time that has passed, and count on from now if something runs and does not stand still."""
    look(world, name)
    account = world.ledger.of(name)
    world.ledger.set(name, budgets.running(account, _runs(world.life(name)), world.now))
    _wind(world, name)


def attend_all(world: World) -> None:
    for name in sorted(world.ledger.terms):
        attend(world, name)


def _runs(life: Life) -> bool:
    return bool(life.agents) and not life.stands_still


def look(
    world: World,
    name: str,
    agent: str = "",
    counters: Mapping[str, float] = {},
    *,
    at: float | None = None,
    keep: bool = True,
) -> None:
    """Take in what was used by now, and have the unit asked what that means for it."""
    before = world.ledger.of(name)
    now = world.now if at is None else at
    account, deltas = budgets.measure(before, agent or before.agent, counters, now)
    _take(world, name, account, deltas, now - before.at, keep=keep)


def _take(
    world: World,
    name: str,
    account: Account,
    deltas: Mapping[str, float],
    elapsed: float,
    *,
    keep: bool = True,
) -> None:
    terms, past = world.ledger.terms[name], world.ledger.of(name)
    account = budgets.charge(terms, account, deltas, world.wall, elapsed)
    account, news = budgets.notice(terms, account)
    if account != past:
        world.ledger.set(name, account, keep=keep or bool(news))
    for one in news:
        follows = _follows(terms, one.limit) if one.kind == "budget-exhausted" else ""
        world.note(name, one.kind, one.words + follows)
    life = world.life(name)
    if _wind(world, name) or life.stilled or life.throttled or life.state is State.WAITING:
        world.ask_anew((name,))


def _follows(terms: Terms, limit: Limit) -> str:
    """What comes of that: of what is used by starting, nothing until the next start."""
    if RESOURCES[limit.resource].counts_starts and terms.on_exhausted != "notify":
        return (
            f"; the next {'automatic ' if RESOURCES[limit.resource].starts == 'automatic' else ''}start waits"
        )
    return f"; on_exhausted: {terms.on_exhausted}"


def as_of_now(world: World, name: str, now: float, wall: float) -> Account:
    """What a unit with a budget has used by this moment, as far as that can be said without reading counters. Changes nothing."""
    before = world.ledger.of(name)
    account, deltas = budgets.measure(before, before.agent, {}, now)
    return budgets.charge(world.ledger.terms[name], account, deltas, wall, now - before.at)


def nearest_to_its_end(world: World, name: str, now: float, wall: float) -> str:
    """Of what budget most is used, in words; empty where there is none."""
    if not has_budget(world, name):
        return ""
    account = as_of_now(world, name, now, wall)
    shares = [
        (budgets.percent(limit, entry), budgets.share(limit, entry))
        for limit in world.ledger.terms[name].limits
        if (entry := account.entries.get(limit.key)) is not None
    ]
    return max(shares, key=lambda one: one[0])[1] if shares else ""


def _wind(world: World, name: str) -> bool:
    """Wind when to look next: when a window is over that something waits for, or when time itself will be used up.

    Says whether something is used up now.
    """
    terms, account = world.ledger.terms[name], world.ledger.of(name)
    found = budgets.exhausted(terms, account, world.wall)
    waits = [one.entry.ends - world.wall for one in found]
    for limit in terms.limits if account.running else ():
        entry = account.entries.get(limit.key)
        if limit.resource == "wall_time" and entry is not None:
            ahead = (budgets.until_warning(terms, limit, entry), budgets.left(limit, entry))
            waits.extend(wait for wait in ahead if wait > 0)
    wait = min(waits, default=None)
    world.ledger.wind(name, None if wait is None else world.now + min(max(wait, _SOONEST), _LOOK_AGAIN))
    return bool(found)


# ------------------------------------------------------------------------------------------- what follows


def spent(world: World, name: str) -> tuple[Spent, ...]:
    """What is used up of what a unit uses while it runs."""
    return tuple(one for one in _all_spent(world, name) if not RESOURCES[one.limit.resource].counts_starts)


def _all_spent(world: World, name: str) -> tuple[Spent, ...]:
    if not has_budget(world, name):
        return ()
    return budgets.exhausted(world.ledger.terms[name], world.ledger.of(name), world.wall)


def words(world: World, name: str) -> str:
    """What is used up of a unit that runs, and what ends that; empty where nothing is."""
    found = spent(world, name)
    return budgets.tell(world.ledger.terms[name], name, found, world.wall) if found else ""


def holds(world: World, name: str, life: Life) -> str:
    """What is used up and holds a start back, in words; an empty string where nothing is."""
    if not has_budget(world, name):
        return ""
    terms = world.ledger.terms[name]
    found = tuple(one for one in _all_spent(world, name) if _holds(terms, one.limit, life))
    if not found:
        return ""
    return f"waits for its budget: {budgets.tell(terms, name, found, world.wall, 'starts')}"


def _holds(terms: Terms, limit: Limit, life: Life) -> bool:
    resource = RESOURCES[limit.resource]
    if limit.window == INVOCATION:
        return False  # a start begins another
    if resource.counts_starts:
        return terms.on_exhausted != "notify" and (life.again or resource.starts == "every")
    return terms.on_exhausted in _HOLDS_STARTS


def urge(world: World, name: str, life: Life) -> bool:
    """Have a unit do what its budget wants of it; says whether there was something to do."""
    if not (has_budget(world, name) or life.stilled or life.throttled):
        return False
    found = spent(world, name)
    action = _action(world, name) if found else ""
    _throttle(world, name, life, wanted=action == "throttle")
    if (
        action == "freeze"
        and life.state in _CAN_STAND_STILL
        and not (life.stands_still or life.must_come_down)
    ):
        world.apply(name, Input.EXHAUSTED, words(world, name))
        return True
    if action != "freeze" and life.stilled:
        world.apply(name, Input.REFILLED)
        return True
    if (
        action in ("stop", "drain")
        and life.state in COMING_UP | UP
        and life.agents
        and not life.must_come_down
    ):
        _stop(world, name, found)
        return True
    return False


def _throttle(world: World, name: str, life: Life, *, wanted: bool) -> None:
    if life.throttled != wanted and life.agents and life.pid:
        world.do(Throttle(life.agent, wanted))
        world.change(name, throttled=wanted)


def _stop(world: World, name: str, found: tuple[Spent, ...]) -> None:
    """Down, to wait for the window to be over; one that no clock ends is over when somebody starts it again."""
    if any(one.limit.window == INVOCATION for one in found):
        world.change(name, pulled=f"its budget: {' and '.join(map(budgets.used_up, found))}")
        world.set_goal(name, Goal.DOWN)
    else:
        world.set_goal(name, Goal.UP, bounce=True)


def freezes(world: World, name: str) -> str:
    """What is used up and has a unit stand still, in words."""
    return words(world, name) if _action(world, name) == "freeze" else ""


def why_down(world: World, name: str, life: Life) -> str:
    """Why a unit that is to come up again must come down, where that is for its budget's sake."""
    stops = life.goal is Goal.UP and _action(world, name) in ("stop", "drain")
    return words(world, name) if stops else ""


def _action(world: World, name: str) -> str:
    return world.ledger.terms[name].on_exhausted if has_budget(world, name) else ""


# ------------------------------------------------------------------------------------------- what operators do


def grant(world: World, event: Granted) -> None:
    keys = _meant(world, event.holder, event.resource, event.window)
    if keys:
        world.ledger.set(event.holder, budgets.granted(world.ledger.of(event.holder), keys, event.amount))
        look(world, event.holder)


def reset(world: World, event: Reset) -> None:
    keys = _meant(world, event.holder, event.resource, "")
    if keys:
        world.ledger.set(event.holder, budgets.reset(world.ledger.of(event.holder), keys))
        look(world, event.holder)


def _meant(world: World, name: str, resource: str, window: str) -> tuple[str, ...]:
    """The entries that are meant; a refusal is noted where there are none."""
    if world.know(name) is None or not has_budget(world, name):
        hint = "its unit says what it may use, in the section budget"
        world.refuse(name, Refusal("no-budget", f"{name} has no budget", hint))
        return ()
    look(world, name)  # the window of now, with what was used in it
    known = world.ledger.terms[name].limits
    found = tuple(
        one.key
        for one in known
        if one.resource == (resource or one.resource) and one.window == (window or one.window)
    )
    if not found:
        what = f"{resource} in a window {window}" if window else resource
        listed = ", ".join(f"{one.resource} ({one.window})" for one in known)
        world.refuse(name, Refusal("no-budget", f"{name} has no budget of {what}", f"it has: {listed}"))
    return found
