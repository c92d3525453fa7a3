from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uvloop

from tests.control.fake import Served


@pytest.fixture
def root() -> Iterator[Path]:
    """Short, because a socket's path may have 107 bytes."""
    with TemporaryDirectory(prefix="m") as name:
        yield Path(name)


@pytest.fixture(params=["asyncio", "uvloop"])
def served(root: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop
    served = Served(root, factory)
    try:
        yield served
    finally:
        served.close()
