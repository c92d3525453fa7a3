"""The life of one unit, as a table.

A row reads: in this state, on this input, if the guard holds, go to that state and act. The first row that
fits wins. `IGNORED` lists the pairs that may happen and need no answer; every other pair is `Impossible`.
The table is proved complete by a test, and drawn into the manual.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from maestro.engine import acts, errands, freezing, guards, memory, reloads, stopping
from maestro.engine.acts import Act
from maestro.engine.guards import Guard
from maestro.engine.state import ALIVE, COMING_UP, GOING_DOWN, UP, State


class Input(StrEnum):
    """What can be put to a unit. The world makes these out of events, and of what units want from each other."""

    START_ASKED = "start asked"
    GO = "nothing holds it back"
    HALT = "it must come down"
    RELOAD_ASKED = "reload asked"
    FREEZE_ASKED = "freeze asked"
    THAW_ASKED = "thaw asked"
    EXHAUSTED = "a budget is used up"
    REFILLED = "its budget is used up no more"
    HELD = "held with all others"
    PRESSED = "the host is short of memory"
    RELIEVED = "the host has memory again"
    RESET_ASKED = "past failures are to be forgotten"
    SPAWNED = "spawned"
    CANNOT_SPAWN = "cannot be spawned"
    SKIPPED = "a condition does not hold"
    REFUSED = "an assert does not hold"
    READY = "ready"
    STOP_SAID = "it says it stops"
    ENDED = "main process ended, others are left"
    GONE = "nothing of it is left"
    FORKED = "its first process ended well"
    RELOAD_SAID = "it says it reloads"
    COMMAND_DONE = "command ended well"
    COMMAND_FAILED = "command failed"
    OUT_OF_MEMORY = "a process of it was killed for want of memory"
    RANG_START = "start time-out"
    RANG_STOP = "stop time-out"
    RANG_COMMAND = "command time-out"
    RANG_RUNTIME = "its time is up"
    RANG_WATCHDOG = "watchdog"
    RANG_RESTART = "pause is over"
    RANG_COOLDOWN = "cool-down is over"
    RANG_FORGIVE = "ready for long enough"


class Row(Struct, frozen=True):
    state: State
    input: Input
    guard: Guard
    to: State
    act: Act


def _left_out() -> tuple[Row, ...]:
    """What follows when a start was left out: no restart, for nothing has ended."""
    return tuple(
        Row(state, moment, guard, to, act)
        for state in (State.START_PRE, State.SPAWNING, State.STOPPING)
        for moment, end, last in (
            (Input.SKIPPED, State.DEAD, acts.skip),
            (Input.REFUSED, State.FAILED, acts.fail),
        )
        for guard, to, act in (
            (guards.is_asked_up_again, State.WAITING, acts.turn_round),
            (guards.is_asked_down, State.DEAD, acts.rest),
            (guards.always, end, last),
        )
    )


S, I = State, Input  # noqa: E741 - short, so that a row stays a line


# What follows when nothing of a unit runs any more: the same from every state in which something ran.
VERDICTS: tuple[tuple[Guard, State, Act], ...] = (
    (guards.has_stop_post, S.STOP_POST, errands.run_stop_post),
    (guards.is_asked_up_again, S.WAITING, acts.turn_round),
    (guards.is_asked_down, S.DEAD, acts.rest),
    (guards.is_left_out, S.DEAD, acts.skip),
    (guards.may_restart, S.BACKOFF, acts.restart_later),
    (guards.cools_down, S.COOLDOWN, acts.cool_down),
    (guards.gives_up, S.FAILED, acts.give_up),
    (guards.ended_badly, S.FAILED, acts.fail),
    (guards.always, S.DEAD, acts.complete),
)


def _over(state: State, moment: Input) -> tuple[Row, ...]:
    """The verdicts; what runs after the end is not run after itself."""
    verdicts = VERDICTS[1:] if state is S.STOP_POST else VERDICTS
    return tuple(Row(state, moment, *verdict) for verdict in verdicts)


def _starved(*states: State) -> tuple[Row, ...]:
    """A process of it was killed for want of memory, and its policy says what becomes of the others."""
    return tuple(
        Row(state, I.OUT_OF_MEMORY, *answer)
        for state in states
        for answer in (
            (guards.goes_on_without, state, memory.go_on),
            (guards.dies_with_it, S.STOPPING, memory.kill_the_rest),
            *(((guards.has_stop, S.STOP_COMMAND, memory.ask_the_rest),) if state in UP else ()),
            (guards.always, S.STOPPING, memory.stop_the_rest),
        )
    )


def _coming_up(state: State) -> tuple[Row, ...]:
    """Its main process was ordered, and is not ready yet."""
    done: tuple[tuple[Guard, State, Act], ...] = (
        (guards.did_its_work_with_post, S.START_POST, errands.run_post),
        (guards.remains, S.EXITED, acts.remain),
        (guards.did_its_work_with_stop, S.STOP_COMMAND, errands.run_stop),
    )
    return (
        Row(state, I.FORKED, guards.always, S.STARTING, acts.find_main),
        Row(state, I.RANG_START, guards.always, S.STOPPING, stopping.time_out),
        Row(state, I.HALT, guards.always, S.STOPPING, stopping.terminate),
        Row(state, I.ENDED, guards.has_next_line, S.NEXT, stopping.clear_the_way),
        *(Row(state, I.ENDED, *one) for one in done),
        Row(state, I.ENDED, guards.always, S.STOPPING, stopping.sweep),
        Row(state, I.GONE, guards.has_next_line, S.SPAWNING, acts.spawn_next),
        *(Row(state, I.GONE, *one) for one in done),
        *_over(state, I.GONE),
    )


def _up(state: State) -> tuple[Row, ...]:
    """Its main process is up, and may be reloading, or stand still."""
    return (
        Row(state, I.HALT, guards.has_stop, S.STOP_COMMAND, errands.ask_to_stop),
        Row(state, I.HALT, guards.always, S.STOPPING, stopping.terminate),
        Row(state, I.STOP_SAID, guards.always, S.STOPPING, stopping.let_stop),
        Row(state, I.RANG_FORGIVE, guards.always, state, acts.forgive),
        Row(state, I.RESET_ASKED, guards.always, state, acts.forgive),
        Row(state, I.RANG_RUNTIME, guards.has_stop, S.STOP_COMMAND, errands.overstay),
        Row(state, I.RANG_RUNTIME, guards.always, S.STOPPING, stopping.overstay),
        Row(state, I.ENDED, guards.remains, S.EXITED, acts.remain),
        Row(state, I.ENDED, guards.has_stop, S.STOP_COMMAND, errands.run_stop),
        Row(state, I.ENDED, guards.always, S.STOPPING, stopping.sweep),
        Row(state, I.GONE, guards.remains, S.EXITED, acts.remain),
        Row(state, I.GONE, guards.has_stop, S.STOP_COMMAND, errands.run_stop),
        *_over(state, I.GONE),
    )


def _going(state: State) -> tuple[Row, ...]:
    """It is up, and can be heard."""
    return (
        Row(state, I.RELOAD_SAID, guards.always, S.RELOADING, reloads.hear),
        Row(state, I.RANG_WATCHDOG, guards.always, S.STOPPING, stopping.abort),
        *_up(state),
    )


def _signalled_next(moment: Input) -> tuple[Row, ...]:
    """The commands that ask it to stop are through: what is still there gets signals."""
    return (
        Row(S.STOP_COMMAND, moment, guards.has_main_running, S.STOPPING, stopping.go_on),
        Row(S.STOP_COMMAND, moment, guards.has_main, S.STOPPING, stopping.sweep),
        *_over(S.STOP_COMMAND, moment),
    )


TABLE: tuple[Row, ...] = (
    # state     input             if                       then go to   and
    Row(S.DEAD, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.FAILED, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.BACKOFF, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.COOLDOWN, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.WAITING, I.START_ASKED, guards.always, S.WAITING, acts.begin_afresh),
    Row(S.WAITING, I.GO, guards.has_checks_alone, S.SPAWNING, acts.ask_conditions),
    Row(S.WAITING, I.GO, guards.has_no_process, S.RUNNING, acts.arrive),
    Row(S.WAITING, I.GO, guards.has_pre, S.START_PRE, errands.run_pre),
    Row(S.WAITING, I.GO, guards.always, S.SPAWNING, acts.spawn),
    Row(S.WAITING, I.HALT, guards.always, S.DEAD, acts.rest),
    Row(S.BACKOFF, I.HALT, guards.always, S.DEAD, acts.rest),
    Row(S.COOLDOWN, I.HALT, guards.always, S.DEAD, acts.rest),
    Row(S.BACKOFF, I.RANG_RESTART, guards.always, S.WAITING, acts.restart_now),
    Row(S.COOLDOWN, I.RANG_COOLDOWN, guards.always, S.WAITING, acts.begin_again),
    Row(S.FAILED, I.RESET_ASKED, guards.always, S.DEAD, acts.forget_failure),
    Row(S.COOLDOWN, I.RESET_ASKED, guards.always, S.DEAD, acts.forget_failure),
    Row(S.START_PRE, I.COMMAND_DONE, guards.has_more_commands, S.START_PRE, errands.run_next),
    Row(S.START_PRE, I.COMMAND_DONE, guards.always, S.SPAWNING, acts.spawn_at_last),
    *_over(S.START_PRE, I.COMMAND_FAILED),
    Row(S.START_PRE, I.RANG_COMMAND, guards.always, S.STOPPING, errands.time_out),
    Row(S.START_PRE, I.HALT, guards.always, S.STOPPING, stopping.terminate),
    Row(S.SPAWNING, I.SPAWNED, guards.has_no_process, S.RUNNING, acts.arrive),
    Row(S.SPAWNING, I.HALT, guards.bounces_without_process, S.WAITING, acts.turn_round),
    Row(S.SPAWNING, I.HALT, guards.has_no_process, S.DEAD, acts.rest),
    Row(S.SPAWNING, I.SPAWNED, guards.is_ready_at_once_with_post, S.START_POST, errands.run_post),
    Row(S.SPAWNING, I.SPAWNED, guards.is_ready_at_once, S.RUNNING, acts.get_ready),
    Row(S.SPAWNING, I.SPAWNED, guards.always, S.STARTING, acts.await_readiness),
    *_coming_up(S.SPAWNING),
    *_over(S.SPAWNING, I.CANNOT_SPAWN),
    Row(S.STARTING, I.READY, guards.awaits_more, S.STARTING, acts.stay),
    Row(S.STARTING, I.READY, guards.has_post, S.START_POST, errands.run_post),
    Row(S.STARTING, I.READY, guards.always, S.RUNNING, acts.get_ready),
    Row(S.STARTING, I.EXHAUSTED, guards.always, S.STARTING, freezing.hold),
    Row(S.STARTING, I.REFILLED, guards.always, S.STARTING, freezing.let_go),
    Row(S.STARTING, I.STOP_SAID, guards.always, S.STOPPING, stopping.let_stop),
    *_coming_up(S.STARTING),
    Row(S.NEXT, I.GONE, guards.has_next_line, S.SPAWNING, acts.spawn_next),
    *_over(S.NEXT, I.GONE),
    Row(S.NEXT, I.RANG_STOP, guards.always, S.NEXT, stopping.clear_the_way),
    Row(S.NEXT, I.HALT, guards.always, S.STOPPING, stopping.terminate),
    Row(S.START_POST, I.COMMAND_DONE, guards.has_more_commands, S.START_POST, errands.run_next),
    Row(S.START_POST, I.COMMAND_DONE, guards.has_main_running, S.RUNNING, acts.get_ready),
    Row(S.START_POST, I.COMMAND_DONE, guards.remains, S.EXITED, acts.remain),
    Row(S.START_POST, I.COMMAND_DONE, guards.has_stop, S.STOP_COMMAND, errands.run_stop),
    Row(S.START_POST, I.COMMAND_DONE, guards.has_main, S.STOPPING, stopping.sweep),
    *_over(S.START_POST, I.COMMAND_DONE),
    Row(S.START_POST, I.COMMAND_FAILED, guards.has_main, S.STOPPING, stopping.give_in),
    *_over(S.START_POST, I.COMMAND_FAILED),
    Row(S.START_POST, I.RANG_COMMAND, guards.always, S.STOPPING, errands.time_out),
    Row(S.START_POST, I.HALT, guards.always, S.STOPPING, stopping.terminate),
    Row(S.START_POST, I.STOP_SAID, guards.always, S.STOPPING, stopping.let_stop),
    Row(S.START_POST, I.ENDED, guards.has_done_its_work, S.START_POST, acts.stay),
    Row(S.START_POST, I.ENDED, guards.always, S.STOPPING, stopping.sweep),
    Row(S.START_POST, I.GONE, guards.has_done_its_work, S.START_POST, acts.stay),
    Row(S.START_POST, I.GONE, guards.always, S.STOPPING, stopping.give_in),
    Row(S.RUNNING, I.HALT, guards.bounces_without_process, S.WAITING, acts.turn_round),
    Row(S.RUNNING, I.HALT, guards.has_no_process, S.DEAD, acts.rest),
    Row(S.RUNNING, I.RELOAD_ASKED, guards.reloads_by_command, S.RELOADING, reloads.run_commands),
    Row(S.RUNNING, I.RELOAD_ASKED, guards.says_when_reloaded, S.RELOADING, reloads.request),
    Row(S.RUNNING, I.RELOAD_ASKED, guards.always, S.RUNNING, reloads.send_signal),
    Row(S.RUNNING, I.FREEZE_ASKED, guards.always, S.FROZEN, freezing.freeze),
    Row(S.RUNNING, I.EXHAUSTED, guards.always, S.FROZEN, freezing.exhaust),
    Row(S.RUNNING, I.HELD, guards.always, S.FROZEN, freezing.hold_with_all),
    Row(S.RUNNING, I.PRESSED, guards.always, S.FROZEN, freezing.press),
    *_going(S.RUNNING),
    Row(S.FROZEN, I.RELIEVED, guards.always, S.RUNNING, freezing.relieve),
    Row(S.FROZEN, I.THAW_ASKED, guards.always, S.RUNNING, freezing.thaw),
    Row(S.FROZEN, I.HALT, guards.bounces_without_process, S.WAITING, acts.turn_round),
    Row(S.FROZEN, I.HALT, guards.has_no_process, S.DEAD, acts.rest),
    Row(S.FROZEN, I.REFILLED, guards.always, S.RUNNING, freezing.refill),
    *_up(S.FROZEN),
    Row(S.RELOADING, I.RELOAD_ASKED, guards.always, S.RELOADING, reloads.ask_again),
    Row(S.RELOADING, I.COMMAND_DONE, guards.has_more_commands, S.RELOADING, errands.run_next),
    Row(S.RELOADING, I.COMMAND_DONE, guards.awaits_more, S.RELOADING, acts.stay),
    Row(S.RELOADING, I.READY, guards.runs_a_command, S.RELOADING, acts.stay),
    *(
        row
        for moment in (I.COMMAND_DONE, I.READY)
        for row in (
            Row(S.RELOADING, moment, guards.was_asked_for_commands_again, S.RELOADING, reloads.run_commands),
            Row(S.RELOADING, moment, guards.was_asked_to_say_it_again, S.RELOADING, reloads.request),
            Row(S.RELOADING, moment, guards.was_asked_again, S.RUNNING, reloads.send_signal),
            Row(S.RELOADING, moment, guards.always, S.RUNNING, reloads.finish),
        )
    ),
    Row(S.RELOADING, I.COMMAND_FAILED, guards.always, S.RUNNING, reloads.fail),
    Row(S.RELOADING, I.RANG_COMMAND, guards.always, S.RUNNING, reloads.time_out),
    *_going(S.RELOADING),
    Row(S.EXITED, I.HALT, guards.has_stop, S.STOP_COMMAND, errands.ask_to_stop),
    Row(S.EXITED, I.HALT, guards.has_main, S.STOPPING, stopping.terminate),
    *_over(S.EXITED, I.HALT),
    Row(S.STOP_COMMAND, I.COMMAND_DONE, guards.has_more_commands, S.STOP_COMMAND, errands.run_next),
    *_signalled_next(I.COMMAND_DONE),
    *_signalled_next(I.COMMAND_FAILED),
    Row(S.STOP_COMMAND, I.RANG_COMMAND, guards.always, S.STOPPING, errands.time_out),
    Row(S.STOP_COMMAND, I.HALT, guards.always, S.STOP_COMMAND, stopping.own_the_stop),
    Row(S.STOPPING, I.SPAWNED, guards.always, S.STOPPING, acts.stay),
    Row(S.STOPPING, I.HALT, guards.always, S.STOPPING, stopping.own_the_stop),
    Row(S.STOPPING, I.ENDED, guards.kills_the_rest, S.STOPPING, stopping.sweep),
    Row(S.STOPPING, I.ENDED, guards.always, S.STOPPING, acts.stay),
    Row(S.STOPPING, I.RANG_STOP, guards.has_more_steps, S.STOPPING, stopping.next_step),
    Row(S.STOPPING, I.RANG_STOP, guards.always, S.STOPPING, stopping.insist),
    *(
        row
        for moment in (I.GONE, I.CANNOT_SPAWN, I.COMMAND_DONE, I.COMMAND_FAILED)
        for row in (
            Row(S.STOPPING, moment, guards.has_something_left, S.STOPPING, acts.stay),
            *_over(S.STOPPING, moment),
        )
    ),
    Row(S.STOP_POST, I.COMMAND_DONE, guards.has_more_commands, S.STOP_POST, errands.run_next),
    *_over(S.STOP_POST, I.COMMAND_DONE),
    *_over(S.STOP_POST, I.COMMAND_FAILED),
    Row(S.STOP_POST, I.RANG_COMMAND, guards.always, S.STOP_POST, errands.kill),
    Row(S.STOP_POST, I.HALT, guards.always, S.STOP_POST, stopping.own_the_stop),
    *_left_out(),
    *_starved(*(state for state in State if state in COMING_UP | UP)),
    *(
        Row(state, I.OUT_OF_MEMORY, guards.always, state, memory.note)
        for state in State
        if state in GOING_DOWN
    ),
)

_WITHOUT_MAIN = (S.START_PRE, S.NEXT, S.EXITED, S.STOP_POST)
IGNORED: frozenset[tuple[State, Input]] = frozenset(
    {
        *((state, I.START_ASKED) for state in ALIVE),  # only the goal changes
        *(
            (state, moment)  # a second word, or one that crossed with what came between
            for state in (S.SPAWNING, S.START_POST, S.STOP_COMMAND, S.STOPPING, *_WITHOUT_MAIN)
            for moment in (I.READY, I.STOP_SAID, I.RELOAD_SAID)
            if (state, moment) != (S.START_POST, I.STOP_SAID)
        ),
        (S.RUNNING, I.READY),
        (S.FROZEN, I.READY),  # what it said before it stood still
        (S.FROZEN, I.RELOAD_SAID),
        *(
            (state, I.RESET_ASKED)
            for state in (*ALIVE - {S.RUNNING, S.RELOADING, S.FROZEN}, S.DEAD, S.WAITING, S.BACKOFF)
        ),
        (S.STARTING, I.RELOAD_SAID),
        *(
            (state, I.SPAWNED)  # a repeated order is answered again
            for state in (
                S.STARTING,
                S.START_POST,
                S.RUNNING,
                S.RELOADING,
                S.FROZEN,
                S.STOP_COMMAND,
                *_WITHOUT_MAIN,
            )
        ),
        (S.STOP_COMMAND, I.ENDED),  # the commands go on, and what is left is seen to after them
        (S.STOP_COMMAND, I.GONE),
        (S.EXITED, I.GONE),  # the last of what it had left
    }
)
