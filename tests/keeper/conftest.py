from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.keeper.rig import Manager, Rig, rig_in


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket's path may have 107 bytes; open to all, because agents change their user."""
    with TemporaryDirectory(prefix="maestro-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    with rig_in(folder) as one:
        yield one


@pytest.fixture
def manager(rig: Rig) -> Manager:
    """The manager of a running keeper; it has said hello."""
    first = rig.start()
    first.hello()
    return first
