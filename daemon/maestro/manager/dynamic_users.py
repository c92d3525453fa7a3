"""Users that exist for one agent alone: a number from a reserved range, the same at every start, and no entry in passwd."""

from __future__ import annotations

import grp
import hashlib
import json
import pwd
from collections.abc import Callable, Mapping

from maestro.model import slices
from maestro.model.unit import Unit

RANGE = range(61184, 65520)  # systemd's own for this: nothing else gives these numbers away
FACT = "dynamic_users"


def range_of(unit: Unit, units: Mapping[str, Unit]) -> range:
    """The numbers that the innermost slice has set aside which has any."""
    for name in reversed(slices.chain(unit)):
        above = units.get(name)
        if above is not None and above.slice.uid_range is not None:
            return range(above.slice.uid_range.first, above.slice.uid_range.last + 1)
    return RANGE


class NoneLeft(Exception):
    """A sentence that says why there is no number."""


class DynamicUsers:
    """Who has which number. `keep` is told what a later manager is to be given as `kept`."""

    def __init__(self, kept: str = "", keep: Callable[[str], None] = lambda fact: None) -> None:
        self._uids: dict[str, int] = {}
        self._keep = keep
        self.range_of: Callable[[Unit], range] = lambda unit: RANGE  # from which its number is taken
        self.is_wanted: Callable[[str], bool] = lambda user: True  # by a unit that is there
        self.take_up(kept)

    def take_up(self, kept: str) -> None:
        """Go on from what an earlier manager has kept. What cannot be read is forgotten: the numbers follow from the names."""
        try:
            found = json.loads(kept or "{}")
        except ValueError:
            return
        pairs = found.items() if isinstance(found, dict) else ()
        self._uids = {user: uid for user, uid in pairs if isinstance(uid, int) and not isinstance(uid, bool)}

    def on_change(self, keep: Callable[[str], None]) -> None:
        self._keep = keep

    def find(self, user: str, within: range = RANGE) -> int:
        """The number of a user, uid and gid alike; the first time one is chosen. Raises `NoneLeft`.

        One that has become somebody else's since, by an entry in passwd, is given up: better another owner for
        its files than a stranger who owns them.
        """
        known = self._uids.get(user)
        if known is not None and known in within and not _is_taken(known):
            return known
        uid = self._choose(user, within) or self._choose(user, within, make_room=True)
        if not uid:
            raise NoneLeft(
                f"all numbers from {within[0]} to {within[-1]} are taken" if within else "there are none"
            )
        self._uids = {name: one for name, one in self._uids.items() if one != uid} | {user: uid}
        self._keep(json.dumps(self._uids))
        return uid

    def _choose(self, user: str, within: range, *, make_room: bool = False) -> int:
        """The first free number from where the name falls; 0: there is none. To make room, those go whose units are gone."""
        taken = {
            uid
            for name, uid in self._uids.items()
            if name != user and (not make_room or self.is_wanted(name))
        }
        digest = hashlib.sha256(user.encode()).digest()
        first = int.from_bytes(digest[:8], "big") % max(len(within), 1)
        for step in range(len(within)):
            uid = within[(first + step) % len(within)]
            if uid not in taken and not _is_taken(uid):
                return uid
        return 0


def _is_taken(number: int) -> bool:
    """Whether an account or a group of this host has the number."""
    for look in (pwd.getpwuid, grp.getgrgid):
        try:
            look(number)
        except KeyError:
            continue
        return True
    return False
