"""What a guard and an act get to see, and what an act gives back."""

from __future__ import annotations

from msgspec import Struct

from maestro.engine.events import Deed, Happening
from maestro.engine.state import Life
from maestro.model.unit import AgentSection, Unit


class Scene(Struct, frozen=True):
    """One unit at the moment of an input."""

    unit: Unit
    life: Life
    now: float
    chance: float  # drawn once per event, in [0, 1)
    words: str = ""  # what the input says: why it cannot be spawned, who asked

    @property
    def name(self) -> str:
        return self.unit.name

    @property
    def agent(self) -> AgentSection:
        """The process section; only units with a process have one, and only they get past the guard `has_no_process`."""
        assert self.unit.agent is not None, self.unit.name
        return self.unit.agent


class Outcome(Struct, frozen=True):
    life: Life
    deeds: tuple[Deed, ...] = ()
    news: tuple[Happening, ...] = ()
