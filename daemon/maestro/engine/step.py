"""What follows from one event."""

from __future__ import annotations

from msgspec import Struct

from maestro.engine.events import Deed, Happening
from maestro.engine.jobs import Job


class Refusal(Struct, frozen=True):
    """Why a verb was not taken: a code for programs, a sentence, and what could be done."""

    code: str
    words: str
    hint: str = ""
    done: bool = False  # there is nothing to do, and that is no failure


class Step(Struct):
    deeds: list[Deed] = []
    news: list[Happening] = []
    lives: set[str] = set()  # units whose life changed
    accounts: set[str] = set()  # holders whose account changed, and is to be committed with all else
    jobs: list[Job] = []  # created, joined or ended
    measure: bool = False  # what the host has left is to be looked at, and fed as `Measured`
    refusals: dict[str, Refusal] = {}  # by unit, for Asked
