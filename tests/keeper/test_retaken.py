"""What becomes of an agent whose tape could not be played to its end: a child that takes the steps, unless it was to end meanwhile."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from maestro.keeper.births import Births
from maestro.keeper.table import Entry, Table

RECIPE = {"argv": ("/bin/true",), "env": {}, "stream": "a"}


class Scene:
    """Births with one agent that is not known to have been executed."""

    def __init__(self, said: bytes) -> None:
        self.told: list[tuple[object, ...]] = []
        self.forked: list[Any] = []
        self.table = Table("k")
        self.births = births = Births.__new__(Births)
        births._table = self.table
        births._around = SimpleNamespace(watch=SimpleNamespace(on=None, off=lambda fd: None))  # type: ignore[assignment]
        births._tell = lambda *news: self.told.append(news)
        births._forget = self.table.drop
        births._played = {"a#1": RECIPE}
        births._fork = lambda *given: self.forked.append(given)  # type: ignore[method-assign]
        self.table.streams["a"] = 77
        self.entry = Entry("a#1", 4000000, 1, "")
        self.entry.unconfirmed, end = os.pipe2(os.O_NONBLOCK)
        os.close(end)
        self.entry.slate = os.memfd_create("tape")
        os.write(self.entry.slate, said.ljust(4096, b"\0") + b"what is on it")
        self.table.add(self.entry)


def test_the_steps_are_taken_in_its_stead() -> None:
    scene = Scene(b"013")
    scene.births.confirm(scene.entry)
    assert scene.forked == [("a#1", RECIPE, 77, [], {})]
    assert (scene.told, scene.table.entries, scene.births._played) == ([], {}, {})


@pytest.mark.parametrize("why", ["signalled", "killed", "nothing known of its recipe"])
def test_what_was_to_end_meanwhile_is_not_begun_again(why: str) -> None:
    scene = Scene(b"013")
    if why == "signalled":
        scene.entry.order = 1
    elif why == "killed":
        scene.entry.doomed = True
    else:
        scene.births._played.clear()  # after a re-exec
    scene.births.confirm(scene.entry)
    assert scene.forked == []
    assert scene.told == [("cannot_spawn", "a#1", "be started as it is confined", 13)]
    assert (scene.table.entries, scene.births._played) == ({}, {})


def test_what_was_executed_is_told() -> None:
    scene = Scene(b"")
    scene.births.confirm(scene.entry)
    assert (scene.forked, scene.told) == ([], [("spawned", "a#1", 4000000, 1)])
    assert (list(scene.table.entries), scene.births._played) == (["a#1"], {})
    assert (scene.entry.unconfirmed, scene.entry.slate) == (-1, -1)
