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
        self._places: dict[str, str] = {}  # unit -> where its group is: that of its slice
        self._known: dict[str, str] = {}  # those, each once

    def append(self, watcher: Watcher) -> None:
        self._all.append(watcher)

    def attend(self, unit: Unit, agents_group: str) -> None:
        place = os.path.dirname(os.path.dirname(agents_group))
        if self._places.get(unit.name) != place:
            self.leave(unit.name)
            self._places[unit.name] = self._known.setdefault(place, place)
        for watcher in self._all:
            watcher.attend(unit)

    def begun(self, unit: Unit) -> None:
        for watcher in self._all:
            watcher.begun(unit)

    def ended(self, name: str, ended: Ended) -> None:
        for watcher in self._all:
            watcher.ended(name, ended)

    def leave(self, name: str) -> None:
        self._places.pop(name, None)
        for watcher in self._all:
            watcher.leave(name)
