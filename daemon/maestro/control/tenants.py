"""Tenants: whose a slice is, and what of the units its owner may see and touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from maestro.control.roles import Accounts, Caller, Peer, Role, is_member, is_user
from maestro.model import slices
from maestro.model.unit import Unit


class Reach(Struct, frozen=True):
    """How far a caller gets. None: everywhere. An owner sees its slices and acts within them, but not on them:

    who gave them to it may have stopped or frozen them.
    """

    units: Mapping[str, Unit]
    sees_in: tuple[str, ...] | None
    acts_in: tuple[str, ...] | None
    gone: Callable[[str], str] = lambda name: ""  # the slice that a transient unit was in which is gone

    def sees(self, name: str) -> bool:
        if self.sees_in is None:
            return True
        return name in self.sees_in or self._is_inside(name, self.sees_in) or self._was_inside(name)

    def acts(self, name: str) -> bool:
        return self.acts_in is None or self._is_inside(name, self.acts_in)

    def _is_inside(self, name: str, within: tuple[str, ...]) -> bool:
        unit = self.units.get(name)
        return unit is not None and any(one in within for one in slices.chain(unit))

    def _was_inside(self, name: str) -> bool:
        """Its log and its events are still there."""
        was_in = self.gone(name) if name not in self.units else ""
        return bool(was_in) and any(slices.is_within(was_in, one) for one in self.sees_in or ())


def reach(caller: Caller, units: Mapping[str, Unit], gone: Callable[[str], str] = lambda name: "") -> Reach:
    """What an agent may ask about was checked with its request."""
    if caller.role in (Role.ADMIN, Role.AGENT):
        return Reach(units, None, None)
    return Reach(units, None if caller.role is Role.READ else caller.owns, caller.owns, gone)


def owned(units: Mapping[str, Unit], peer: Peer, accounts: Accounts) -> tuple[str, ...]:
    """The slices of which the peer is the owner, or in the group that is."""
    return tuple(sorted(name for name, unit in units.items() if _owns(peer, unit, accounts)))


def _owns(peer: Peer, unit: Unit, accounts: Accounts) -> bool:
    owner, group = unit.slice.owner, unit.slice.owner_group
    if owner is not None and is_user(peer, owner, accounts):
        return True
    return group is not None and is_member(peer, group, accounts)
