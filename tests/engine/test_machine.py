"""The table answers every input that can come in a state, and no row is dead."""

from __future__ import annotations

from collections.abc import Container

import pytest

from maestro.engine import guards, machine, verbs
from maestro.engine.machine import ROWS, TIMERS
from maestro.engine.phases import PHASES
from maestro.engine.state import COARSE, State
from maestro.engine.table import IGNORED, TABLE, VERDICTS, Input

ASLEEP = {State.DEAD, State.FAILED, State.WAITING, State.BACKOFF, State.COOLDOWN}
OF_PROCESSES = {  # the world drops them for a unit without a process
    Input.SPAWNED,
    Input.CANNOT_SPAWN,
    Input.SKIPPED,
    Input.REFUSED,
    Input.READY,
    Input.STOP_SAID,
    Input.ENDED,
    Input.GONE,
    Input.FORKED,
    Input.RELOAD_SAID,
    Input.COMMAND_DONE,
    Input.COMMAND_FAILED,
    Input.OUT_OF_MEMORY,
}
ORDERED = {State.SPAWNING, State.STOPPING}  # elsewhere it was spawned, or it is not there at all
CAN_COME_IN: dict[Input, Container[State]] = {
    Input.GO: {State.WAITING},  # only `_urge` says GO
    Input.HALT: {*State} - {State.DEAD, State.FAILED},  # and HALT
    Input.RELOAD_ASKED: verbs.RELOADABLE,  # the verb refuses
    Input.FREEZE_ASKED: {State.RUNNING},
    Input.HELD: {State.RUNNING},
    Input.THAW_ASKED: {State.FROZEN},
    # Only what can stand still is told of its budget, and only what does stand still for it that this is over.
    Input.EXHAUSTED: {State.RUNNING, State.STARTING},
    Input.REFILLED: {State.FROZEN, State.STARTING},
    # The world freezes for want of memory only what runs, and lets go on only what it has frozen.
    Input.PRESSED: {State.RUNNING},
    Input.RELIEVED: {State.FROZEN},
    Input.CANNOT_SPAWN: ORDERED,
    Input.SKIPPED: {*ORDERED, State.START_PRE},
    Input.REFUSED: {*ORDERED, State.START_PRE},
    Input.FORKED: {State.SPAWNING, State.STARTING},
    Input.COMMAND_DONE: {*PHASES, State.STOPPING},
    Input.COMMAND_FAILED: {*PHASES, State.STOPPING},
    Input.ENDED: {*State} - {State.START_PRE, State.STOP_POST, State.NEXT, State.EXITED},  # there is no main
    Input.GONE: {*State} - {State.START_PRE, State.STOP_POST},
}


def cannot_come() -> set[tuple[State, Input]]:
    """What cannot come, with the reason. Every pair is answered, ignored, or listed here."""
    pairs = {(state, moment) for state in ASLEEP for moment in OF_PROCESSES}
    for name, moment in machine.RINGS.items():  # a timer is unwound by leaving its states
        pairs |= {(state, moment) for state in State if name not in TIMERS[state]}
    for moment, states in CAN_COME_IN.items():
        pairs |= {(state, moment) for state in State if state not in states}
    return pairs


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("moment", list(Input))
def test_every_pair_is_answered_ignored_or_cannot_come(state: State, moment: Input) -> None:
    places = [(state, moment) in ROWS, (state, moment) in IGNORED, (state, moment) in cannot_come()]
    assert sum(places) == 1, f"{moment!r} while {state}: answered, ignored, impossible = {places}"


def test_the_last_row_of_a_pair_always_applies() -> None:
    for (state, moment), rows in ROWS.items():
        assert rows[-1].guard is guards.always, f"{moment!r} while {state}"
        assert all(row.guard is not guards.always for row in rows[:-1]), (
            f"dead rows: {moment!r} while {state}"
        )


def test_every_state_has_a_coarse_one_and_timers() -> None:
    assert set(COARSE) == set(State) == set(TIMERS)


def test_every_state_can_be_reached_and_left() -> None:
    assert {row.to for row in TABLE} == set(State)
    assert {row.state for row in TABLE} == set(State)


def test_the_diagram_has_every_transition() -> None:
    drawn = machine.diagram()
    verdicts = {verdict[1] for verdict in VERDICTS}
    for row in TABLE:
        behind_over = f"{row.state.name} --> OVER" in drawn and row.to in verdicts
        assert behind_over or f"{row.state.name} --> {row.to.name}" in drawn
    assert all(f"OVER --> {to.name}" in drawn for to in verdicts)
