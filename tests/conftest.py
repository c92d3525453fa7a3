from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

_MOST = 300  # beyond 1,024 select(2) fails, and an agent's own limit is met, in whatever test comes then


@pytest.fixture(scope="session", autouse=True)
def descriptors_are_closed() -> Iterator[None]:
    yield
    left = os.listdir("/proc/self/fd")
    assert len(left) < _MOST, f"the tests of this process have left {len(left)} descriptors open"
