"""The table answers every input that can come in a state, and no row is dead."""

from __future__ import annotations

import pytest

from maestro.engine import guards, machine, verbs
from maestro.engine.machine import ROWS, TIMERS
from maestro.engine.phases import PHASES
from maestro.engine.state import COARSE, State
from maestro.engine.table import IGNORED, TABLE, VERDICTS, Input


def cannot_come() -> set[tuple[State, Input]]:
    """What cannot come, with the reason. Every pair is answered, ignored, or listed here."""
    asleep = {State.DEAD, State.FAILED, State.WAITING, State.BACKOFF, State.COOLDOWN}
    of_processes = {
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
    }  # the world drops them for a unit without a process
    pairs = {(state, moment) for state in asleep for moment in of_processes}
    for name, moment in machine.RINGS.items():  # a timer is unwound by leaving its states
        pairs |= {(state, moment) for state in State if name not in TIMERS[state]}
    pairs |= {(state, Input.GO) for state in State if state is not State.WAITING}  # only `_urge` says GO
    pairs |= {(state, Input.HALT) for state in (State.DEAD, State.FAILED)}  # and HALT
    pairs |= {
        (state, Input.RELOAD_ASKED) for state in State if state not in verbs.RELOADABLE
    }  # the verb refuses
    pairs |= {(state, Input.FREEZE_ASKED) for state in State if state is not State.RUNNING}
    pairs |= {(state, Input.HELD) for state in State if state is not State.RUNNING}
    pairs |= {(state, Input.THAW_ASKED) for state in State if state is not State.FROZEN}
    # Only what can stand still is told of its budget, and only what does stand still for it that this is over.
    pairs |= {(state, Input.EXHAUSTED) for state in State if state not in (State.RUNNING, State.STARTING)}
    pairs |= {(state, Input.REFILLED) for state in State if state not in (State.FROZEN, State.STARTING)}
    # The world freezes for want of memory only what runs, and lets go on only what it has frozen.
    pairs |= {(state, Input.PRESSED) for state in State if state is not State.RUNNING}
    pairs |= {(state, Input.RELIEVED) for state in State if state is not State.FROZEN}
    not_ordered = {State.SPAWNING, State.STOPPING}  # elsewhere it was spawned, or it is not there at all
    pairs |= {(state, Input.CANNOT_SPAWN) for state in State if state not in not_ordered}
    coming_up = {State.SPAWNING, State.STARTING}
    pairs |= {(state, Input.FORKED) for state in State if state not in coming_up}
    runs_commands = {*PHASES, State.STOPPING}
    pairs |= {
        (state, moment)
        for state in State
        if state not in runs_commands
        for moment in (Input.COMMAND_DONE, Input.COMMAND_FAILED)
    }
    without_main = {State.START_PRE, State.STOP_POST}
    pairs |= {(state, moment) for state in without_main for moment in (Input.ENDED, Input.GONE)}
    pairs |= {(state, Input.ENDED) for state in (State.NEXT, State.EXITED)}
    not_ordered.add(State.START_PRE)
    for moment in (Input.SKIPPED, Input.REFUSED):
        pairs |= {(state, moment) for state in State if state not in not_ordered}
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
