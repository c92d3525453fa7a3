"""Generations of the configuration, as the store keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro.drivers import sqlite_store
from maestro.ports import Batch
from tests.drivers.test_sqlite_store import opened, run


def test_the_newest_generations_are_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "KEPT_GENERATIONS", 3)

    async def go() -> None:
        async with opened(tmp_path) as store:
            assert (await store.load()).generation == (0, b"")
            for number in range(1, 6):
                batch = Batch(generations={number: (b"head %d" % number, b"x" * 100_000)})
                assert await store.commit(batch) is None
        assert (tmp_path / "state/store.db").stat().st_size < 100_000
        async with opened(tmp_path) as store:
            assert (await store.load()).generation == (5, b"head 5")
            assert await store.generations(2) == [(5, b"head 5"), (4, b"head 4")]
            assert [number for number, _ in await store.generations(10)] == [5, 4, 3]
            assert await store.generation(3) == b"x" * 100_000
            assert await store.generation(2) is None

    run(go())
