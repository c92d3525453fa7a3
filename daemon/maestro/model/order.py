"""What a unit waits for: another unit, and how far that has to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, get_args

from maestro.model import guess
from maestro.model.plain import Given, Mistake, shorten
from maestro.model.values import UnitRef, Word

Phase = Literal["started", "ready"]
STARTED: Phase = "started"  # its program has been executed
READY: Phase = "ready"  # it is up, or has ended well where that is its purpose
PHASES: tuple[Phase, ...] = get_args(Phase)


class Predecessor(Word):
    """A unit and one of its phases: "db started". Without a phase it is `ready`, and that is not shown.

    A blank stands between the two, for a unit's name may have any other mark, and never that one.
    """

    __slots__ = ("phase", "unit")
    unit: UnitRef
    phase: Phase
    expected: ClassVar[str] = (
        "a unit such as vectordb, with a phase where it need not be ready: vectordb started"
    )
    examples: ClassVar[tuple[str, ...]] = ("vectordb", "vectordb started", "default.target")

    def __new__(cls, text: str) -> Predecessor:
        name, *words = text.split() or [""]
        unit, phase = UnitRef(name), _phase(name, words)
        self = super().__new__(cls, unit if phase == READY else f"{unit} {phase}")
        self.unit, self.phase = unit, phase
        return self

    @classmethod
    def read(cls, given: Given) -> Predecessor:
        if isinstance(given.plain, dict):
            name, phase = next(iter(given.plain.items()), ("vectordb", STARTED))
            raise Mistake("expected a unit and a phase, found a mapping", f"write {name} {phase}")
        return super().read(given)

    def renamed(self, real: Callable[[str], str]) -> Predecessor:
        return Predecessor(f"{real(self.unit)} {self.phase}")


def _phase(name: str, words: list[str]) -> Phase:
    said = " ".join(words)
    for phase in PHASES:
        if said == phase or not said:
            return phase if said else READY
    near = guess.nearest(said, PHASES)
    raise Mistake(
        f"{shorten(said)} is no phase of a unit: it is {' or '.join(PHASES)}",
        f"did you mean {name} {near}?" if near else f"write {name}, or {name} {STARTED}",
    )
