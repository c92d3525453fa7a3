"""Looks at what the host has left, for the engine: when a start needs to know, and when the kernel says that memory is short.

Nothing is looked at while nobody waits and nothing presses: the engine asks by `Step.measure`, and the kernel rings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from maestro.engine.events import Filling, Measured
from maestro.engine.room import low
from maestro.manager.loop import Manager
from maestro.model import slices
from maestro.model.unit import Unit


class Pressure(Protocol):
    """The memory of this host, and the kernel's word that work stands still for want of it."""

    def begin(self, ring: Callable[[], None]) -> None: ...
    def memory(self) -> tuple[int, int]: ...  # bytes in all, and available; -1: not known


class Fillings(Protocol):
    """What is in the groups of units. -1: this host does not say."""

    def memory(self, unit: Unit) -> int: ...  # bytes that cannot be dropped at once
    def tasks(self, unit: Unit) -> int: ...
    def most_tasks(self) -> int: ...  # of the host


class Headroom:
    """Answers `Step.measure`."""

    def __init__(self, manager: Manager, pressure: Pressure, fillings: Fillings) -> None:
        self._manager, self._world = manager, manager.world
        self._pressure, self._fillings = pressure, fillings
        self._world.room.is_measured = True
        manager.measure = self._look

    def begin(self) -> None:
        self._pressure.begin(self._rang)

    def _look(self) -> None:
        self._tell(*self._pressure.memory())

    def _rang(self) -> None:
        """An agent that runs into a limit of its own rings as well: then there is enough available, and nothing is told."""
        total, available = self._pressure.memory()
        if 0 <= available < low(total):
            self._tell(total, available, rang=True)

    def _tell(self, total: int, available: int, *, rang: bool = False) -> None:
        units, room = self._world.units, self._world.room
        meant = units.values() if rang else room.asking.values()  # somebody may have to be chosen
        alive = [unit for unit in meant if unit.agent is not None and self._world.life(unit.name).alive]
        wanted = {name for one in room.line if one in units for name in slices.chain(units[one])}
        self._manager.feed(
            Measured(
                total=total,
                available=available,
                tasks=self._fillings.most_tasks(),
                used={self._world.life(unit.name).agent: self._fillings.memory(unit) for unit in alive},
                slices={name: self._filling(unit) for name, unit in room.limited.items() if name in wanted},
                rang=rang,
            )
        )

    def _filling(self, unit: Unit) -> Filling:
        return Filling(self._fillings.memory(unit), self._fillings.tasks(unit))
