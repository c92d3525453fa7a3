"""The thread that children are born in."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from maestro.keeper.cradle import Apart, Cradle


class Recipe:
    """Something that a birth holds."""


@pytest.mark.parametrize("kind", [Cradle, Apart])
def test_it_gives_back_what_is_returned_and_what_is_raised(kind: type[Cradle]) -> None:
    cradle = kind()
    assert cradle.do(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        cradle.do(lambda: 1 // 0)
    assert (cradle.do(threading.get_ident) == threading.get_ident()) == (kind is Cradle)


def test_a_birth_that_fails_leaves_nothing_in_memory() -> None:
    """The keeper collects no cycles: a program that is missing, started for ever, would fill it."""
    gone: list[weakref.ref[Recipe]] = []
    cradle = Apart()

    def fail(held: Recipe) -> None:
        raise FileNotFoundError(held)

    def birth() -> None:
        recipe = Recipe()
        gone.append(weakref.ref(recipe))
        try:
            cradle.do(lambda: fail(recipe))
        except OSError:
            return

    gc.disable()
    try:
        birth()
        assert gone[0]() is None
    finally:
        gc.enable()
