from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.unit_disk import Disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    before = os.umask(0o022)
    yield Disk(tmp_path / "units")
    os.umask(before)
