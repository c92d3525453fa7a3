from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from maestro.cli import parse
from maestro.cli.context import Context
from maestro.cli.entry import carry_out
from tests.control.fake import Served


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def served() -> Iterator[Served]:
    """Short names, because a socket's path may have 107 bytes. Verbs end at once."""
    with TemporaryDirectory(prefix="m") as name:
        served = Served(Path(name))
        served.hold(False)
        yield served.start()
        served.close()


class Said:
    """What a run of maestroctl left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


Ctl = Callable[..., Said]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def ctl(served: Served) -> Ctl:
    """Runs maestroctl in this process, with the daemon of `served`."""

    def run(*argv: str, tty: bool = False, **environ: str) -> Said:
        read = parse.read(["--root", str(served.root), *argv])
        assert read is not None, "the fast path does not read this"
        out, err = (Terminal(), Terminal()) if tty else (io.StringIO(), io.StringIO())
        given: dict[str, Any] = read[1]
        code = carry_out(read[0], given, Context(given, environ, out, err))
        return Said(code, out.getvalue(), err.getvalue())

    return run
