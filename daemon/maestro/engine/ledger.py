"""The accounts of all holders, which of them are to be committed, and when each is to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from maestro.engine.budgets import Account, Terms, terms_of
from maestro.engine.step import Step
from maestro.model import slices
from maestro.model.budget import limits
from maestro.model.unit import Unit

_NO_TERMS = Terms()


class Ledger:
    """A holder is an agent or a slice, by its name. What an agent uses is charged to it and to all slices that it is in.

    An agent in a slice that has a budget has an account, too, where it has no budget itself: of what was read of its counters.
    Sums and the readings that they are the sums of are committed together, for all that share a slice with a budget.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.terms: dict[str, Terms] = {}  # of units that have a budget
        self.short: dict[str, frozenset[str]] = {}  # slice -> what is used up, as those in it know
        self.step = Step()
        self._chains: dict[str, tuple[str, ...]] = {}  # agent, slice -> the slices that it is, or is in
        self._agents: set[str] = set()
        self._above: dict[str, tuple[str, ...]] = {}  # of those, the ones with a budget; made when asked for
        self._active: dict[str, set[str]] | None = None  # slice -> agents in it for which time is counted
        self._unkept: dict[
            str, set[str]
        ] = {}  # holders whose account has changed since it was last committed
        self._due: dict[str, float] = {}
        self._rings: list[tuple[float, str]] = []  # heap; a stale one is dropped when it comes up

    # ------------------------------------------------------------------------------ who has one

    def put(self, unit: Unit) -> None:
        """Note whether a unit has a budget. What it has used is kept in any case: the budget may come back."""
        self._forget(unit.name)
        if limits(unit.budget):
            self.terms[unit.name] = terms_of(unit.budget)
        if unit.agent is not None:
            self._agents.add(unit.name)
        if unit.kind == "slice":
            self._chains[unit.name] = (*slices.chain(unit), unit.name)
        elif chain := slices.chain(unit):
            self._chains[unit.name] = chain

    def remove(self, name: str) -> None:
        self._forget(name)
        for unkept in self._unkept.values():
            unkept.discard(name)
        if self.accounts.pop(name, None) is not None:
            self.step.accounts.add(name)

    def _forget(self, name: str) -> None:
        self._active = None
        if name.endswith(slices.SUFFIX):
            self._above.clear()
            self.short.pop(name, None)
        self._above.pop(name, None)
        self._agents.discard(name)
        self._chains.pop(name, None)
        self.terms.pop(name, None)

    def terms_for(self, holder: str) -> Terms:
        return self.terms.get(holder, _NO_TERMS)

    def above(self, name: str) -> tuple[str, ...]:
        """The slices with a budget that an agent is in, the innermost first; of a slice, with itself."""
        found = self._above.get(name)
        if found is None:
            chain = reversed(self._chains.get(name, ()))
            found = self._above[name] = tuple(one for one in chain if one in self.terms)
        return found

    def payers(self, name: str) -> tuple[str, ...]:
        """Whose budgets an agent uses: its own, and those of its slices. Nobody else uses any."""
        if not self.terms or name not in self._agents:
            return ()
        return (name, *self.above(name)) if name in self.terms else self.above(name)

    def metered(self) -> list[str]:
        """The agents that use budgets."""
        return [name for name in self._agents if self.payers(name)]

    def left(self) -> list[str]:
        """Agents for which time is counted though they use no budget any more."""
        return [name for name, account in self.accounts.items() if account.running and not self.payers(name)]

    def active(self, holder: str) -> set[str]:
        """The agents for which time is counted, of which this is a payer."""
        if holder in self._agents:
            return {holder} if self.of(holder).running else set()
        if self._active is None:
            self._active = {}
            for name in self._agents:
                self._note_active(name, self.of(name))
        return self._active.get(holder, set())

    def _note_active(self, name: str, account: Account) -> None:
        if self._active is None:
            return
        for slice_ in self.above(name) if name in self._agents else ():
            found = self._active.setdefault(slice_, set())
            found.add(name) if account.running else found.discard(name)

    # ------------------------------------------------------------------------------ accounts

    def restore(self, accounts: Mapping[str, Account]) -> None:
        self.accounts, self._active = dict(accounts), None

    def of(self, holder: str) -> Account:
        return self.accounts.get(holder, Account())

    def set(self, holder: str, account: Account, *, keep: bool = True) -> None:
        """Change an account. Without `keep` it is committed with a later change of those it shares a slice with."""
        if account == self.of(holder):
            return
        self.accounts[holder] = account
        self._note_active(holder, account)
        above = self.above(holder)
        group = above[-1] if above else holder
        self._unkept.setdefault(group, set()).add(holder)
        if keep:
            self.step.accounts |= self._unkept.pop(group)

    def keep(self) -> None:
        """Have all that has changed committed."""
        for unkept in self._unkept.values():
            self.step.accounts |= unkept
        self._unkept.clear()

    # ------------------------------------------------------------------------------ when to look

    def wind(self, holder: str, at: float | None) -> None:
        """Have a holder looked at then, and not before."""
        if at is None:
            self._due.pop(holder, None)
        elif self._due.get(holder) != at:
            self._due[holder] = at
            heappush(self._rings, (at, holder))

    def next_ring(self) -> float | None:
        while self._rings and self._is_stale(*self._rings[0]):
            heappop(self._rings)
        return self._rings[0][0] if self._rings else None

    def take_due(self, now: float) -> str | None:
        """A holder that is to be looked at by now."""
        at = self.next_ring()
        if at is None or at > now:
            return None
        holder = heappop(self._rings)[1]
        del self._due[holder]
        return holder

    def _is_stale(self, at: float, holder: str) -> bool:
        return holder not in self.terms or self._due.get(holder) != at
