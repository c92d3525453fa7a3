"""A theatre on a host with memory that runs out, for tests of admission and pressure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from maestro.engine.events import Event, Filling, Measured
from maestro.engine.room import low
from maestro.engine.step import Step
from maestro.model import slices
from maestro.model.amounts import MemoryAmount, TaskAmount
from maestro.model.slices import SliceRef
from maestro.model.unit import LimitsSection, ResourcesSection, Unit
from maestro.testing.theatre import Script, Theatre, unit

M = 1 << 20
TOTAL = 2048 * M  # of which 64 M are never given to a start, and with less than 128 M it is short


def agent(
    name: str, low: str | None = None, priority: int = 0, *, slice: str | None = None, **options: Any
) -> Unit:
    """One that reserves `low`."""
    section = ResourcesSection(
        memory_low=MemoryAmount(low) if low else None,
        memory_max=MemoryAmount("infinity"),
        priority=priority,
        slice=SliceRef(slice) if slice else None,
        on_pressure=options.pop("on_pressure", "freeze"),
    )
    return replace(unit(name, **options), resources=section)


def limited(name: str, memory: str | None = None, tasks: str | None = None) -> Unit:
    section = LimitsSection(
        memory_max=MemoryAmount(memory) if memory else None, tasks_max=TaskAmount(tasks) if tasks else None
    )
    return replace(unit(name), resources=section)


class Host(Theatre):
    """`free` is what is available while no agent uses anything; `uses` what each unit does while it runs. In MiB."""

    def __init__(self, units: Iterable[Unit], script: Script | None = None, free: int = 2048) -> None:
        super().__init__(units, script)
        self.free = free
        self.uses: dict[str, int] = {}
        self.looks = 0  # how often it was asked what there is

    def feed(self, event: Event, *, carry: bool = True) -> Step:
        self.world.room.is_measured = True
        step = super().feed(event, carry=carry)
        if step.measure:
            self.looks += 1
            self.feed(self.facts(), carry=carry)
        return step

    def facts(self, *, rang: bool = False) -> Measured:
        running = {name: self._used(name) for name in self.declared if self.life(name).alive}
        return Measured(
            total=TOTAL,
            available=self.available,
            tasks=1000,
            used={self.life(name).agent: used for name, used in running.items()},
            slices={
                one.name: Filling(
                    sum(used for name, used in running.items() if one.name in self._above(name)),
                    sum(one.name in self._above(name) for name in running),
                )
                for one in self.declared.values()
                if one.kind == "slice"
            },
            rang=rang,
        )

    @property
    def available(self) -> int:
        used = sum(self._used(name) for name in self.declared if self.life(name).alive)
        return max(0, self.free * M - used)

    def _used(self, name: str) -> int:
        return self.uses.get(name, 0) * M

    def _above(self, name: str) -> tuple[str, ...]:
        return slices.chain(self.declared[name])

    def ring(self) -> None:
        """The kernel says that work stands still: the manager passes it on where there is little memory."""
        if self.available < low(TOTAL):
            self.feed(self.facts(rang=True))

    def press(self, seconds: int) -> None:
        """So long, once a second."""
        for _ in range(seconds):
            self.ring()
            self.run(until=self.now + 1)
