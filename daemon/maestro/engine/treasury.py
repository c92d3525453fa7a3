"""What budgets do to units: who is to stand still, to wait or to come down because something is used up, and until when.

An agent uses its own budget, and those of all slices that it is in; it goes on when none of them is used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from maestro.engine import budgets
from maestro.engine.budgets import Account, Lack, Terms
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
_GENTLEST_FIRST = ("notify", "throttle", "freeze", "drain", "stop")


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
    read = []
    for agent, counters in event.counters.items():
        name = world.owner(agent)
        if name is not None and world.ledger.payers(name) and world.life(name).agents:
            _read(world, name, agent, counters, keep=event.keep)
            read.append(name)
    _heed(world, read)
    if event.keep:
        world.ledger.keep()


def ended(world: World, name: str, event: Ended) -> None:
    """The end of a main process says what it has used in all, and when that was."""
    if not world.ledger.payers(name):
        return
    at = event.at if 0 < event.at < world.now and not event.left else world.now
    look(world, name, event.agent, {"cpu_seconds": event.cpu}, at=at)
    if at < world.now:  # nothing ran of it since
        account = world.ledger.of(name)
        world.ledger.set(name, budgets.measured_until(account, world.now))


def followed(world: World, name: str, before: Life, moment: Input) -> None:
    """A life has changed: a run may have begun, and what runs may have come to a stand."""
    if not world.ledger.payers(name):
        return
    if moment is Input.GO and world.life(name).agent != before.agent:
        account, deltas = budgets.begun(world.ledger.of(name), automatic=before.again)
        _charge(world, name, account, deltas, 0.0, keep=True)
        _heed(world, (name,))
    life = world.life(name)
    if _runs(life) != world.ledger.of(name).running:
        attend(world, name)


def attend(world: World, name: str) -> None:
    """Take in the time that has passed, and count on from now if something runs and does not stand still."""
    look(world, name)
    if world.ledger.payers(name):
        account = world.ledger.of(name)
        world.ledger.set(name, budgets.running(account, _runs(world.life(name)), world.now))
    for holder in (name, *world.ledger.above(name)):
        _wind(world, holder)


def attend_all(world: World) -> None:
    """Units may have come and gone, and moved to other slices: from now on, others pay."""
    world.ledger.keep()
    for name in world.ledger.left():  # what passes until it comes back is nobody's
        world.ledger.set(name, budgets.running(world.ledger.of(name), False, world.now))
    for name in sorted({*world.ledger.metered(), *world.ledger.terms}):
        attend(world, name)


def _runs(life: Life) -> bool:
    return bool(life.agents) and not life.stands_still


def look(
    world: World, name: str, agent: str = "", counters: Mapping[str, float] = {}, at: float | None = None
) -> None:
    """Take in what was used by now, and have the unit asked what that means for it. Of a slice, what all in it have used."""
    if not world.ledger.payers(name):
        active = sorted(world.ledger.active(name))
        for one in active:
            _read(world, one, "", {}, keep=True)
        _heed(world, active)
        _enter(world, name, world.ledger.of(name), {}, 0.0, keep=True)  # a window may be over
        _tell_members(world, name)
        return
    _read(world, name, agent, counters, at, keep=True)
    _heed(world, (name,))


def _read(
    world: World, name: str, agent: str, counters: Mapping[str, float], at: float | None = None, *, keep: bool
) -> None:
    before = world.ledger.of(name)
    now = world.now if at is None else at
    account, deltas = budgets.measure(before, agent or before.agent, counters, now)
    _charge(world, name, account, deltas, now - before.at, keep=keep)


def _charge(
    world: World, name: str, account: Account, deltas: Mapping[str, float], elapsed: float, *, keep: bool
) -> None:
    """Charge an agent and its slices, in one commit."""
    keep = _enter(world, name, account, deltas, elapsed, keep)
    for above in world.ledger.above(name):
        keep = _enter(world, above, world.ledger.of(above), deltas, elapsed, keep)


def _heed(world: World, names: Sequence[str]) -> None:
    """Have those asked that have used something where that means something for them. A slice of all of them is looked at once."""
    short: dict[str, bool] = {}
    for name in names:
        life, is_short = world.life(name), _wind(world, name)
        for above in world.ledger.above(name):
            if above not in short:
                short[above] = _tell_members(world, above)
            is_short |= short[above]
        if is_short or life.stilled or life.throttled or life.state is State.WAITING:
            world.ask_anew((name,))


def _enter(
    world: World, holder: str, account: Account, deltas: Mapping[str, float], elapsed: float, keep: bool
) -> bool:
    """Charge one account. Returns whether it had to be committed: then so must those that are charged with it."""
    terms, past = world.ledger.terms_for(holder), world.ledger.of(holder)
    account = budgets.charge(terms, account, deltas, world.wall, elapsed)
    account, news = budgets.notice(terms, account)
    keep = keep or bool(news)
    if account != past:
        world.ledger.set(holder, account, keep=keep)
    for one in news:
        follows = _follows(terms, one.limit) if one.kind == "budget-exhausted" else ""
        world.note(holder, one.kind, one.words + follows)
    return keep


def _tell_members(world: World, slice_: str) -> bool:
    """Have all in a slice asked where something of its budget is used up that was not, or is no more. Says whether something is."""
    is_short = _wind(world, slice_)
    ledger = world.ledger
    found = budgets.exhausted(ledger.terms_for(slice_), ledger.of(slice_), world.wall)
    keys = frozenset(one.limit.key for one in found)
    if keys != ledger.short.get(slice_, frozenset()):
        ledger.short[slice_] = keys
        world.ask_anew(list(_inside(world, slice_)))
    return is_short


def _inside(world: World, slice_: str) -> Iterator[str]:
    """All units in a slice, at any depth."""
    for name in world.graph.inside(slice_):
        yield name
        yield from _inside(world, name)


def _follows(terms: Terms, limit: Limit) -> str:
    """What comes of that: of what is used by starting, nothing until the next start."""
    if RESOURCES[limit.resource].counts_starts and terms.on_exhausted != "notify":
        return (
            f"; the next {'automatic ' if RESOURCES[limit.resource].starts == 'automatic' else ''}start waits"
        )
    return f"; on_exhausted: {terms.on_exhausted}"


def as_of_now(world: World, holder: str, now: float, wall: float) -> Account:
    """What a unit with a budget has used by this moment, as far as that can be said without reading counters. Changes nothing."""
    ledger = world.ledger
    account = budgets.turned(ledger.terms[holder], ledger.of(holder), wall)
    for name in sorted(ledger.active(holder)):
        before = ledger.of(name)
        _, deltas = budgets.measure(before, before.agent, {}, now)
        account = budgets.charge(ledger.terms[holder], account, deltas, wall, now - before.at)
    return account


def nearest_to_its_end(world: World, name: str, now: float, wall: float) -> str:
    """Of what budget most is used, in words; of an agent, those of its slices count. Empty where there is none."""
    shares = []
    for holder in world.ledger.payers(name) or filter(world.ledger.terms.get, (name,)):
        account = as_of_now(world, holder, now, wall)
        of = f"slice {holder}: " if holder != name else ""
        shares += [
            (budgets.percent(limit, entry), of + budgets.share(limit, entry))
            for limit in world.ledger.terms[holder].limits
            if (entry := account.entries.get(limit.key)) is not None
        ]
    return max(shares, key=lambda one: one[0])[1] if shares else ""


def _wind(world: World, holder: str) -> bool:
    """Wind when to look next: when a window is over that something waits for, or when time itself will be used up.

    Says whether something is used up now.
    """
    terms, account = world.ledger.terms_for(holder), world.ledger.of(holder)
    found = budgets.exhausted(terms, account, world.wall)
    waits = [one.entry.ends - world.wall for one in found]
    pace = len(world.ledger.active(holder))  # of a slice, the time of each agent in it counts
    for limit in terms.limits if pace else ():
        entry = account.entries.get(limit.key)
        if limit.resource == "wall_time" and entry is not None:
            ahead = (budgets.until_warning(terms, limit, entry), budgets.left(limit, entry))
            waits.extend(wait / pace for wait in ahead if wait > 0)
    wait = min(waits, default=None)
    world.ledger.wind(holder, None if wait is None else world.now + min(max(wait, _SOONEST), _LOOK_AGAIN))
    return bool(found)


# ------------------------------------------------------------------------------------------- what follows


def lacks(world: World, name: str) -> tuple[Lack, ...]:
    """What is used up of what an agent uses while it runs, of its own budget and of those of its slices."""
    return _lacks(world, name, lambda terms, limit: not RESOURCES[limit.resource].counts_starts)


def _lacks(world: World, name: str, counts: Callable[[Terms, Limit], bool]) -> tuple[Lack, ...]:
    found = []
    for holder in world.ledger.payers(name):
        terms = world.ledger.terms[holder]
        spent = budgets.exhausted(terms, world.ledger.of(holder), world.wall)
        if spent := tuple(one for one in spent if counts(terms, one.limit)):
            found.append(Lack(holder, terms, spent))
    return tuple(found)


def holds(world: World, name: str, life: Life) -> str:
    """What is used up and holds a start back, in words; an empty string where nothing is."""
    found = _lacks(world, name, lambda terms, limit: _holds(terms, limit, life))
    if not found:
        return ""
    waits = "waits for its budget" if found[0].holder == name else "waits"
    return f"{waits}: {budgets.tell(name, found, world.wall, 'starts')}"


def _holds(terms: Terms, limit: Limit, life: Life) -> bool:
    resource = RESOURCES[limit.resource]
    if limit.window == INVOCATION:
        return False  # a start begins another
    if resource.counts_starts:
        return terms.on_exhausted != "notify" and (life.again or resource.starts == "every")
    return terms.on_exhausted in _HOLDS_STARTS


def urge(world: World, name: str, life: Life) -> bool:
    """Have a unit do what budgets want of it; says whether there was something to do."""
    if not (world.ledger.payers(name) or life.stilled or life.throttled):
        return False
    found = lacks(world, name)
    action = _action(found)
    _throttle(world, name, life, wanted=any(one.terms.on_exhausted == "throttle" for one in found))
    if action == "freeze" and not life.must_come_down:
        return _still(world, name, life, _freezing(found))
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


def _freezing(found: tuple[Lack, ...]) -> tuple[Lack, ...]:
    return tuple(one for one in found if one.terms.on_exhausted == "freeze")


def _still(world: World, name: str, life: Life, found: tuple[Lack, ...]) -> bool:
    """Have it stand still; where it does, know for whose sake."""
    if life.stilled:
        if life.stilled_by != _holders(found):
            keep_still(world, name, found)
        return False
    if life.state not in _CAN_STAND_STILL or life.stands_still:
        return False
    world.apply(name, Input.EXHAUSTED, budgets.tell(name, found, world.wall))
    world.change(name, stilled_by=_holders(found))
    return True


def keep_still(world: World, name: str, found: tuple[Lack, ...], **facts: object) -> None:
    """What stands still already does so for the sake of these budgets from now on. `facts` are what it stood still for before."""
    cause = f"frozen: {budgets.tell(name, found, world.wall)}"
    world.change(name, stilled=True, stilled_by=_holders(found), cause=cause, **facts)


def _holders(found: tuple[Lack, ...]) -> tuple[str, ...]:
    return tuple(one.holder for one in found)


def _throttle(world: World, name: str, life: Life, *, wanted: bool) -> None:
    if life.throttled != wanted and life.agents and life.pid:
        world.do(Throttle(life.agent, wanted))
        world.change(name, throttled=wanted)


def _stop(world: World, name: str, found: tuple[Lack, ...]) -> None:
    """Down, to wait for the window to be over; one that no clock ends is over when somebody starts it again."""
    if any(one.limit.window == INVOCATION for lack in found for one in lack.spent):
        used_up = " and ".join(budgets.said(one, name) for one in found)
        world.change(name, pulled=f"its budget: {used_up}")
        world.set_goal(name, Goal.DOWN)
    else:
        world.set_goal(name, Goal.UP, bounce=True)


def freezes(world: World, name: str) -> tuple[Lack, ...]:
    """What is used up and has a unit stand still."""
    found = lacks(world, name)
    return _freezing(found) if _action(found) == "freeze" else ()


def why_down(world: World, name: str, life: Life) -> str:
    """Why a unit that is to come up again must come down, where that is for a budget's sake."""
    found = lacks(world, name) if life.goal is Goal.UP else ()
    return budgets.tell(name, found, world.wall) if _action(found) in ("stop", "drain") else ""


def _action(found: tuple[Lack, ...]) -> str:
    """The sternest of what several budgets want of it."""
    return max((one.terms.on_exhausted for one in found), key=_GENTLEST_FIRST.index, default="")


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
