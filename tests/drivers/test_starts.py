"""Which way starts take, as `maestroctl doctor` says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.drivers import starts
from maestro.keeper import vfork


def test_with_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vfork, "load", lambda: None)
    assert [(one.part, one.state, one.advice) for one in starts.findings()] == [("starts", "ok", "")]


@pytest.mark.parametrize("there", [False, True])
def test_without_one_that_can_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: bool) -> None:
    library = tmp_path / "_spawn.so"
    if there:
        library.touch()  # as bin/.bootstrap leaves it where it cannot be built
    load = vfork.load
    monkeypatch.setattr(vfork, "load", lambda: load(str(library)))
    [found] = starts.findings()
    assert found.state == "limited"
    assert "compiler" in found.advice
