"""The kinds of dependency: what each means for the unit that says it, and for the one it names.

Each option of `unit:` that names other units is a set of atoms, as in systemd; planner, holds and world ask for
atoms and know no options. `A requires B` reads: START and NEED from A to B, PASS_STOP and PASS_RESTART from B to A.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Atom(StrEnum):
    """What one unit is to another: the first of the pair does, needs or suffers it.

    A string, for that hashes in C: atoms are looked up at each change of a life.
    """

    START = "a start of it starts the other, and fails without"
    TRY_START = "a start of it starts the other, if that can be done"
    VERIFY = "a start of it is refused unless the other is up"
    STOP = "a start of it stops the other, and fails without"
    TRY_STOP = "a start of it stops the other, if that can be done"
    PASS_STOP = "a stop of it stops the other"
    PASS_RESTART = "a restart of it restarts the other, where that runs"
    PASS_RELOAD = "a reload of it reloads the other, where that runs"
    NEED = "it starts only while the other is up"
    BOUND = "it comes down when the other does, and comes back with it"
    APART = "it starts only when nothing of the other runs"
    TAKE_DOWN = "its end, however it comes, stops the other"
    UPHOLD = "while it is up, the other is started again whenever it is down"


class Relation(Struct, frozen=True):
    there: frozenset[Atom]  # from the unit that says it to the one it names
    back: frozenset[Atom] = frozenset()


def _relation(*there: Atom, back: tuple[Atom, ...] = ()) -> Relation:
    return Relation(frozenset(there), frozenset(back))


_DOWN_WITH = (Atom.PASS_STOP, Atom.PASS_RESTART)

RELATIONS: dict[str, Relation] = {
    "requires": _relation(Atom.START, Atom.NEED, back=_DOWN_WITH),
    "requisite": _relation(Atom.VERIFY, Atom.NEED, back=_DOWN_WITH),
    "wants": _relation(Atom.TRY_START),
    "binds_to": _relation(Atom.START, Atom.NEED, Atom.BOUND, back=_DOWN_WITH),
    "part_of": _relation(back=_DOWN_WITH),
    "upholds": _relation(Atom.TRY_START, Atom.UPHOLD),
    "milestone": _relation(Atom.START, Atom.NEED),
    "conflicts": _relation(Atom.STOP, Atom.APART, back=(Atom.TRY_STOP, Atom.APART)),
    "propagates_stop_to": _relation(Atom.PASS_STOP, Atom.TAKE_DOWN),
    "propagates_reload_to": _relation(Atom.PASS_RELOAD),
}
IN_SLICE = RELATIONS["requires"]  # what a unit is to the slice that it is in
