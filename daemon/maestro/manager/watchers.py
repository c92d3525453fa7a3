"""Those who look after the control groups of units of which something runs."""

from __future__ import annotations

import os
from typing import Protocol

from maestro.engine.events import Ended
from maestro.model.unit import Unit


class Watcher(Protocol):
    """Looks after the control groups of units of which something runs."""

    def attend(
        self, unit: Unit
    ) -> None: ...  # a process is about to be in its group, which may not be there yet
    def begun(self, unit: Unit) -> None: ...  # one is
    def ended(self, name: str, ended: Ended) -> None: ...  # a process of it, which the engine is told next
    def leave(self, name: str) -> None: ...  # its group is about to go


class Watchers:
    """All of them. A unit whose group is in another slice than before is one that they have not seen yet."""

    def __init__(self) -> None:
        self._all: list[Watcher] = []
        self._groups: dict[str, str] = {}  # unit -> where its group is

    def append(self, watcher: Watcher) -> None:
        self._all.append(watcher)

    def attend(self, unit: Unit, agents_group: str) -> None:
        group = os.path.dirname(agents_group)
        if self._groups.get(unit.name) != group:
            self.leave(unit.name)
            self._groups[unit.name] = group
        for watcher in self._all:
            watcher.attend(unit)

    def begun(self, unit: Unit) -> None:
        for watcher in self._all:
            watcher.begun(unit)

    def ended(self, name: str, ended: Ended) -> None:
        for watcher in self._all:
            watcher.ended(name, ended)

    def leave(self, name: str) -> None:
        self._groups.pop(name, None)
        for watcher in self._all:
            watcher.leave(name)
