"""When a manager is given up, beat by beat."""

from __future__ import annotations

from maestro.keeper.pulse import Pulse


def beats(pulse: Pulse, count: int, begin: float = 0.0, asks: bool = True) -> list[bool]:
    return [pulse.beat(begin + n * pulse.every, asks) for n in range(1, count + 1)]


def begun() -> Pulse:
    pulse = Pulse(10.0)
    pulse.begin(0.0)
    return pulse


def test_three_pings_without_an_answer_are_enough() -> None:
    pulse = begun()
    assert not pulse.is_due(9.9)
    assert pulse.is_due(10.0)
    assert beats(pulse, 4) == [False, False, False, True]


def test_an_answer_begins_the_count_anew() -> None:
    pulse = begun()
    assert not any(beats(pulse, 3))
    pulse.answered()
    assert beats(pulse, 4, begin=30.0) == [False, False, False, True]


def test_who_was_held_up_itself_gives_all_the_time_again() -> None:
    pulse = begun()
    assert not any(beats(pulse, 3))
    assert not pulse.beat(400.0, asks=True), "the keeper was stopped as well, or the whole host"
    assert beats(pulse, 3, begin=400.0) == [False, False, True]


def test_a_manager_that_is_not_asked_owes_no_answer() -> None:
    pulse = begun()
    assert not any(beats(pulse, 20, asks=False))
    pulse.end()
    assert not pulse.is_due(1e9)
