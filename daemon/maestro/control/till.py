"""The part of the desk where budgets are shown, granted and reset."""

from __future__ import annotations

from collections.abc import Callable
from math import isinf

from maestro.control import protocol as p
from maestro.control import views
from maestro.control.budgeting import Budget, BudgetView, Grant, HolderView, LimitView, ResetBudget
from maestro.control.clerk import Clerk, result
from maestro.control.roles import Caller
from maestro.control.service import refused
from maestro.engine import budgets, calendar
from maestro.engine.budgets import Account, Entry, Terms
from maestro.engine.events import Event, Granted, Reset
from maestro.engine.treasury import as_of_now
from maestro.model import guess
from maestro.model.budget import RESOURCES, Counts, Durations, Limit, Sizes, amount_of, say
from maestro.model.plain import Mistake

_Making = Callable[[str], Event]
_UNITS = {Durations: "seconds", Sizes: "bytes", Counts: "count"}


class Till(Clerk):
    """Methods of `control.service.Service`."""

    async def budget(self, caller: Caller, request: Budget) -> BudgetView:
        terms = self._world.ledger.terms
        find = self._find.of(caller)
        names, errors = find.match(request.units) if request.units else (find.everything(), {})
        return BudgetView(
            budgets=tuple(self._holder(name, terms[name]) for name in names if name in terms),
            errors=errors,
            now=self._o.manager.clock.wall(),
        )

    def _holder(self, name: str, terms: Terms) -> HolderView:
        clock = self._o.manager.clock
        account, wall = as_of_now(self._world, name, clock.now(), clock.wall()), clock.wall()
        return HolderView(
            unit=name,
            on_exhausted=terms.on_exhausted,
            warn_at=round(terms.warn_at * 100),
            time_zone=terms.zone_name,
            limits=tuple(_limit(terms, one, account, wall) for one in terms.limits),
            totals=account.totals,
        )

    async def change_budget(self, caller: Caller, request: Grant | ResetBudget) -> p.VerbView:
        """An operator adds to budgets, or has what was used forgotten. Done once, however often it comes."""
        event, action, done = _meant(request)
        names, errors = self._find.match(request.units)
        before = self._recall(caller)
        changes: list[str] = []
        if before is None:
            for name in names:
                refusal = self._o.manager.feed(event(name)).refusals.get(name)
                if refusal is None:
                    changes.append(f"{name}: {done}")
                else:
                    errors[name] = views.error_view(refusal)
            self._audit(caller, f"{action} of {' '.join(names)}", result([], errors))
            self._remember(caller, errors)
        await self._o.manager.settle()
        return p.VerbView(errors=errors if before is None else before, changes=tuple(changes))


def _meant(request: Grant | ResetBudget) -> tuple[_Making, str, str]:
    """What makes the event for a unit; the action for the audit log; and what was done, in words."""
    resource = request.resource
    if resource and resource not in RESOURCES:
        near = guess.nearest(resource, tuple(RESOURCES))
        hint = f"did you mean {near}?" if near else f"there are {', '.join(RESOURCES)}"
        raise refused("bad-request", f"there is no resource {resource!r}", hint)
    if isinstance(request, ResetBudget):
        return (
            lambda name: Reset(holder=name, resource=resource),
            f"budget reset {resource or 'all'}",
            f"what was used of its budget{f' of {resource}' if resource else ''} is forgotten",
        )
    try:
        amount = amount_of(resource, request.amount)
    except Mistake as mistake:
        fault = mistake.faults[0]
        raise refused("bad-request", fault.message, fault.hint) from None
    words = f"{say(resource, amount)} of {resource}"
    until = f"until the {request.window} is over" if request.window else "in each window that limits it"
    return (
        lambda name: Granted(holder=name, resource=resource, amount=amount, window=request.window),
        f"budget grant {words}{f' this {request.window}' if request.window else ''}",
        f"{words} more, {until}",
    )


def _limit(terms: Terms, limit: Limit, account: Account, wall: float) -> LimitView:
    entry = account.entries.get(limit.key, Entry())
    timeless = isinf(entry.ends)
    left = budgets.left(limit, entry)
    return LimitView(
        resource=limit.resource,
        unit=_UNITS[RESOURCES[limit.resource].kind],
        window=limit.window,
        used=round(entry.used, 6),
        limit=limit.amount,
        granted=entry.granted,
        left=round(left, 6),
        percent=budgets.percent(limit, entry),
        began=None if timeless else entry.started,
        ends=None if timeless else entry.ends,
        ends_at="" if timeless else calendar.stamp(entry.ends, wall, terms.zone, terms.zone_name),
        exhausted=left <= 0,
    )
