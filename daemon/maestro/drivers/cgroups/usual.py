"""Which units have no limits but those that every agent has: the keeper makes their groups, on its way to the process.

That is most of them, and to make the groups takes the manager a quarter of the start of a thousand agents, while the keeper waits
for its orders. Any other limit may be refused, or depends on the order in which it is set: the manager sees to these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from maestro.drivers.cgroups.limits import Setting
from maestro.model import slices
from maestro.model.unit import LimitsSection, Unit

Lines = tuple[tuple[str, str], ...]  # file of a group, and what is written to it
_USUAL = (("memory_max",), ("tasks_max",))


class Usual:
    """What is written in fresh groups: one thousand units ask in a row, mostly with the same section."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        self._settings = tuple(settings)
        self._last: tuple[LimitsSection | None, Mapping[str, Lines] | None] = (None, None)

    def __call__(self, unit: Unit) -> Mapping[str, Lines] | None:
        """By controller; None of a unit with other limits, or in a slice."""
        if any(slices.chain(unit)):
            return None
        if unit.resources != self._last[0]:
            self._last = unit.resources, self._of(unit)
        return self._last[1]

    def _of(self, unit: Unit) -> Mapping[str, Lines] | None:
        asked = [setting for setting in self._settings if setting.is_asked_by(unit)]
        if any(setting.options not in _USUAL for setting in asked):
            return None
        found: dict[str, Lines] = {one.controller: () for one in asked}
        for one in asked:
            found[one.controller] += tuple((one.file, line) for line in one.wanted(unit.resources))
        return found
