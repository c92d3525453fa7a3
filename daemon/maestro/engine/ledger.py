"""The accounts of all holders, which of them are to be committed, and when each is to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from maestro.engine.budgets import Account, Terms, terms_of
from maestro.engine.step import Step
from maestro.model.budget import limits
from maestro.model.unit import Unit


class Ledger:
    """A holder is a unit, by its name; what sums over several units is to be one as well."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.terms: dict[str, Terms] = {}  # of units that have a budget
        self.step = Step()
        self._unkept: set[str] = set()  # holders whose account has changed since it was last committed
        self._due: dict[str, float] = {}
        self._rings: list[tuple[float, str]] = []  # heap; a stale one is dropped when it comes up

    def put(self, unit: Unit) -> None:
        """Note whether a unit has a budget. What it has used is kept in any case: the budget may come back."""
        self.terms.pop(unit.name, None)
        if limits(unit.budget):
            self.terms[unit.name] = terms_of(unit.budget)

    def remove(self, name: str) -> None:
        self.terms.pop(name, None)
        self._unkept.discard(name)
        if self.accounts.pop(name, None) is not None:
            self.step.accounts.add(name)

    def restore(self, accounts: Mapping[str, Account]) -> None:
        self.accounts = dict(accounts)

    def of(self, holder: str) -> Account:
        return self.accounts.get(holder, Account())

    def set(self, holder: str, account: Account, *, keep: bool = True) -> None:
        """Change an account. Without `keep` it is committed with a later change."""
        if account == self.of(holder):
            return
        self.accounts[holder] = account
        self._unkept.add(holder)
        if keep:
            self._unkept.discard(holder)
            self.step.accounts.add(holder)

    def keep(self) -> None:
        """Have all that has changed committed."""
        self.step.accounts |= self._unkept
        self._unkept.clear()

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
