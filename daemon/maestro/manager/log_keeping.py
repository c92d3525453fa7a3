"""What slices say of the logs of agents in them: who may read their files, and how much they take together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from maestro.engine.events import Happening
from maestro.manager import given, tasks
from maestro.manager.accounts import gid_of, uid_of
from maestro.manager.catalogue import Changes
from maestro.manager.loop import Manager
from maestro.manager.transients import Transients
from maestro.model import slices
from maestro.model.amounts import bytes_in_words
from maestro.model.unit import Unit
from maestro.ports import LogLimits, Logs

_log = logging.getLogger("maestro")
PERIOD = 5.0  # seconds between two looks at what logs take
_FILES_OF_A_QUOTA = 8  # at least
_TOLD = 3  # of the agents whose output was removed


def log_limits(name: str, units: Mapping[str, Unit]) -> LogLimits:
    unit = units.get(name)
    if unit is None:
        return LogLimits()
    limits = _in_small_files(given.log_limits(unit.logs), unit, units)
    readers = _readers(unit, units)
    return replace(limits, readers=readers) if readers else limits


def _in_small_files(limits: LogLimits, unit: Unit, units: Mapping[str, Unit]) -> LogLimits:
    """Under a quota whole files are removed, and one as large as that would take what was written last along."""
    quotas = [units[one].slice.log_quota for one in slices.chain(unit) if one in units]
    quota = min((int(one) for one in quotas if one is not None), default=0)
    if not quota or limits.max_size <= quota // _FILES_OF_A_QUOTA:
        return limits
    size = quota // _FILES_OF_A_QUOTA
    kept = min(limits.max_size * limits.max_files, quota)
    return replace(limits, max_size=size, max_files=-(-kept // size))


def _readers(unit: Unit, units: Mapping[str, Unit]) -> tuple[tuple[str, int], ...]:
    """The owners of the slices that a unit is in, as far as there are any of that name; root reads everything."""
    found: list[tuple[str, int | None]] = []
    for name in slices.chain(unit):
        above = units[name].slice if name in units else None
        if above is not None and above.owner is not None:
            found.append(("user", uid_of(above.owner)))
        if above is not None and above.owner_group is not None:
            found.append(("group", gid_of(above.owner_group)))
    return tuple(sorted({(kind, number) for kind, number in found if number}))


def relimit(logs: Logs, changes: Changes, units: Mapping[str, Unit]) -> None:
    """Have logs kept as files say that have changed: the units' own, or those of their slices."""
    for name in _kept_otherwise(changes, units):
        logs.relimit(name, log_limits(name, units))


def _kept_otherwise(changes: Changes, units: Mapping[str, Unit]) -> Iterable[str]:
    told = {*changes.added, *changes.changed}
    yield from told
    changed = {name for name in (*told, *changes.removed) if name.endswith(slices.SUFFIX)}
    for name, unit in units.items() if changed else ():
        if name not in told and changed.intersection(slices.chain(unit)):
            yield name


class LogQuotas:
    """Looks every few seconds whether slices are over their quota, and has the oldest output of those removed."""

    def __init__(self, manager: Manager, logs: Logs, transients: Transients) -> None:
        self._manager, self._logs, self._transients = manager, logs, transients
        self._units = manager.world.units
        self._removed: dict[str, int] = {}  # slice -> bytes, since this manager began

    def wind(self) -> None:
        asyncio.get_running_loop().call_later(PERIOD, self._begin)

    def _begin(self) -> None:
        found = [(name, unit.slice.log_quota) for name, unit in self._units.items() if unit.slice.log_quota]
        if found:
            tasks.spawn(
                self._look_at_all([(name, int(most)) for name, most in found if most is not None]),
                "log quotas",
            )
        else:
            self.wind()

    async def _look_at_all(self, found: Sequence[tuple[str, int]]) -> None:
        try:
            for name, most in found:
                await self._look(name, most)
        finally:
            self.wind()

    async def _look(self, slice_: str, most: int) -> None:
        try:
            removed = await self._logs.trim(self._members(slice_), most)
        except OSError as error:
            _log.warning("%s: its logs cannot be looked at: %s", slice_, error)
            return
        if removed:
            self._removed[slice_] = self._removed.get(slice_, 0) + sum(removed.values())
            words = _words(removed, most, self._removed[slice_])
            self._manager.tell(Happening(unit=slice_, kind="log-quota", words=words))

    def _members(self, slice_: str) -> list[str]:
        """The agents in a slice, at any depth, and those that were and have left a log."""
        inside = [
            name
            for name, unit in self._units.items()
            if unit.agent is not None and slice_ in slices.chain(unit)
        ]
        gone = [
            name
            for name, was_in in self._transients.gone().items()
            if was_in and name not in self._units and slices.is_within(was_in, slice_)
        ]
        return [*inside, *gone]


def _words(removed: Mapping[str, int], most: int, ever: int) -> str:
    names = sorted(removed, key=lambda name: -removed[name])
    of = ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
    sizes = f"{bytes_in_words(sum(removed.values()))} of the oldest output of {of}"
    return f"removed {sizes}: its agents' logs took more than log_quota, {bytes_in_words(most)}; {bytes_in_words(ever)} so far"
