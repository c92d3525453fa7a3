"""A host without control groups: what `Groups` is there."""

from __future__ import annotations

from maestro.model.unit import Unit
from maestro.ports import Gauge, Place, Process, Usage


class NoGroups:
    """Where there are no control groups."""

    def place(self, unit: Unit, agent: str) -> Place:
        return Place()

    def where(self, unit: Unit, agent: str) -> str:
        return ""

    def limit(self, unit: Unit) -> tuple[str, ...]:
        return ()

    def throttle(self, unit: Unit, on: bool) -> None: ...

    def unmet(self, unit: Unit) -> tuple[str, ...]:
        return ()

    def usage(self, unit: Unit) -> Usage | None:
        return None

    def largest(self, unit: Unit) -> Process | None:
        return None

    def gauge(self, unit: Unit) -> Gauge | None:
        return None

    def clear(self, unit: Unit) -> None: ...
