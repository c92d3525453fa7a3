"""The store: nothing that was committed is lost, whatever the disk does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers import sqlite_store
from maestro.drivers.sqlite_store import SqliteStore
from maestro.ports import Batch, Saved


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(str(folder / "state/store.db"))
    assert await store.open() is None
    try:
        yield store
    finally:
        await store.close()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "state/store.db")


def events(first: int, last: int) -> Batch:
    return Batch(events=[(number, float(number), b"%d" % number) for number in range(first, last + 1)])


class Refusing:
    """A connection that raises on every statement that writes, as a full disk makes it."""

    def __init__(self, connection: Any, error: Exception) -> None:
        self.connection, self.error = connection, error

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "executemany", "commit"):

            def refuse(*_: object) -> None:
                raise self.error

            return refuse
        return getattr(self.connection, name)


def test_what_is_committed_is_found_again(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            batch = Batch(
                lives={"web": b"1", "old": b"2"},
                jobs={1: b"a", 2: b"b"},
                definitions={"web": b"d"},
                facts={"boot": "x"},
                events=[(1, 0.5, b"e1"), (2, 1.5, b"e2")],
            )
            assert await store.commit(batch) is None
            assert await store.commit(Batch(lives={"old": None, "web": b"3"}, jobs={1: None})) is None
            assert await store.commit(Batch()) is None
        async with opened(tmp_path) as store:
            saved = await store.load()
            assert (saved.lives, saved.jobs, saved.definitions) == ({"web": b"3"}, {2: b"b"}, {"web": b"d"})
            assert (saved.facts, saved.last_event) == ({"boot": "x"}, 2)
            assert [(row.seq, row.time, row.body) for row in await store.events(1, 10)] == [(2, 1.5, b"e2")]

    run(go())


def test_what_open_has_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read it is most of a new manager's start, when there is much."""
    read, reads = sqlite_store._read, []

    def counted(db: sqlite3.Connection) -> Saved:
        reads.append(db)
        return read(db)

    async def go() -> None:
        async with opened(tmp_path) as store:
            await store.commit(Batch(lives={"web": b"1"}))
        monkeypatch.setattr(sqlite_store, "_read", counted)
        async with opened(tmp_path) as store:
            assert (await store.load()).lives == {"web": b"1"}
            assert len(reads) == 1
            await store.commit(Batch(lives={"web": b"2"}))
            assert (await store.load()).lives == {"web": b"2"}, "what was read first is not remembered"

    run(go())


def test_one_thing_asked_of_the_store_is_one_turn_of_its_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            submit, turns = store._thread.submit, []

            def counted(*what: Any) -> Any:
                turns.append(what)
                return submit(*what)

            monkeypatch.setattr(store._thread, "submit", counted)
            await store.commit(Batch(lives={"web": b"1"}, audit=[(1.0, b"a")], events=events(1, 9).events))
            await store.events(0, 10)
            assert len(turns) == 2

    run(go())


def test_a_new_store_is_empty_and_belongs_to_its_owner(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            saved = await store.load()
            assert (saved.lives, saved.last_event) == ({}, 0)
            assert await store.check_audit() is None
        assert (tmp_path / "state").stat().st_mode & 0o007 == 0

    run(go())


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("database or disk is full"), OSError(28, "no space")]
)
def test_what_the_disk_refuses_is_written_later(tmp_path: Path, error: Exception) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            await store.commit(Batch(lives={"web": b"0"}))
            good = store._db
            store._db = Refusing(good, error)  # type: ignore[assignment]
            assert await store.commit(Batch(lives={"web": b"1", "a": b"1"}, events=[(1, 1.0, b"x")])) == str(
                error
            )
            assert await store.commit(
                Batch(lives={"web": b"2"}, audit=[(1.0, b"did")], definitions={"web": b"d"})
            )
            assert await store.commit(Batch(facts={"n": "1"}, events=[(2, 2.0, b"y")], jobs={1: b"j"}))
            assert store.backlog
            store._db = good
            assert dict((await store.load()).lives) == {"web": b"0"}, "nothing of it is half there"
            assert await store.commit(Batch(lives={"a": None})) is None
            assert not store.backlog
            saved = await store.load()
            assert (saved.lives, saved.facts, saved.last_event) == ({"web": b"2"}, {"n": "1"}, 2)
            assert len(await store.audit(10)) == 1

    run(go())


def test_a_statement_that_fails_half_way_leaves_nothing_of_its_batch(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            bad = Batch(lives={"web": b"1"}, events=[(1, 1.0, object())], audit=[(1.0, b"a")])  # type: ignore[list-item]
            assert "object" in str(await store.commit(bad))
            assert (await store.load()).lives == {}
            store._backlog = Batch()
            assert await store.commit(Batch(lives={"web": b"2"}, audit=[(2.0, b"b")])) is None
            assert [row.body for row in await store.audit(9)] == [b"b"]

    run(go())


def test_a_real_full_database_is_a_refusal_and_recovers(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            [[pages]] = await store._turn(store._rows, "PRAGMA page_count")
            await store._turn(store._rows, f"PRAGMA max_page_count={pages}")
            assert "full" in str(
                await store.commit(Batch(lives={"big": b"x" * 200_000}, events=[(1, 1.0, b"e")]))
            )
            assert "full" in str(await store.commit(Batch(lives={"more": b"y"}, audit=[(1.0, b"did")])))
            await store._turn(store._rows, "PRAGMA max_page_count=100000")
            assert await store.commit(Batch()) is None
            assert set((await store.load()).lives) == {"big", "more"}
            assert len(await store.audit(9)) == 1
            assert await store.check_audit() is None

    run(go())


def test_the_backlog_keeps_the_newest_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_BACKLOG", 100)

    async def go() -> None:
        async with opened(tmp_path) as store:
            good = store._db
            store._db = Refusing(good, OSError("no"))  # type: ignore[assignment]
            for first in range(1, 1001, 10):
                await store.commit(events(first, first + 9))
            store._db = good
            assert await store.commit(Batch()) is None
            assert [row.seq for row in await store.events(0, 5000)] == list(range(901, 1001))

    run(go())


def test_old_events_are_pruned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "KEPT_EVENTS", 500)

    async def go() -> None:
        async with opened(tmp_path) as store:
            for first in range(1, 2001, 20):
                assert await store.commit(events(first, first + 19)) is None
            kept = [row.seq for row in await store.events(0, 5000)]
            assert kept[-1] == 2000
            assert 500 <= len(kept) <= 520
            assert kept == list(range(kept[0], 2001))

    run(go())


def test_events_come_in_order_and_in_pages(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            await store.commit(events(1, 50))
            await store.commit(events(40, 60))  # a batch that is written again does no harm
            assert [row.seq for row in await store.events(5, 10)] == list(range(6, 16))
            assert [row.seq for row in await store.events(55, 10)] == list(range(56, 61))
            assert await store.events(60, 10) == []

    run(go())


# ------------------------------------------------------------------------------------------- audit


TAMPERING = [
    "UPDATE audit SET body = 'another' WHERE seq = 3",
    "UPDATE audit SET time = 99 WHERE seq = 3",
    "UPDATE audit SET hash = '0' WHERE seq = 3",
    "DELETE FROM audit WHERE seq = 2",
    "UPDATE audit SET seq = 100 - seq",
]


@pytest.mark.parametrize("statement", TAMPERING)
def test_the_audit_chain_shows_tampering(tmp_path: Path, statement: str) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            for number in range(1, 6):
                assert await store.commit(Batch(audit=[(number / 3, b"did %d" % number)])) is None
            assert await store.check_audit() is None
            assert [row.body for row in await store.audit(2)] == [b"did 4", b"did 5"]
        other = database(tmp_path)
        other.execute(statement)
        other.commit()
        other.close()
        async with opened(tmp_path) as store:
            assert await store.check_audit() is not None

    run(go())


def test_the_oldest_of_the_audit_log_goes_and_the_rest_is_still_a_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "KEPT_AUDIT", 200)

    async def go() -> None:
        for _ in range(3):
            async with opened(tmp_path) as store:
                for number in range(300):
                    assert await store.commit(Batch(audit=[(float(number), b"did %d" % number)])) is None
                    assert number % 50 or await store.check_audit() is None
                kept = await store.audit(1000)
                assert 200 <= len(kept) <= 203
                assert kept[-1].body == b"did 299"
                assert await store.check_audit() is None
        other = database(tmp_path)
        other.execute("DELETE FROM audit WHERE seq = (SELECT min(seq) FROM audit)")
        other.commit()
        other.close()
        async with opened(tmp_path) as store:
            assert await store.check_audit() == kept[1].seq, "but not by another's hand"

    run(go())


def test_the_audit_chain_goes_on_in_the_next_manager(tmp_path: Path) -> None:
    async def go() -> None:
        for number in range(4):
            async with opened(tmp_path) as store:
                await store.commit(Batch(audit=[(0.1 * number, b"a"), (0.2, b"b")]))
        async with opened(tmp_path) as store:
            assert len(await store.audit(100)) == 8
            assert await store.check_audit() is None

    run(go())


# ------------------------------------------------------------------------------------------- damage


def _content(path: str) -> bytes:
    return Path(path).read_bytes()


def damage_header(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def damage_pages(path: Path) -> None:
    """All but the first page, so that it looks like a database until its tables are read."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xee" * (len(content) - 4096))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("damage", [damage_header, damage_pages, cut_short])
def test_a_damaged_store_is_put_aside(tmp_path: Path, damage: Any) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            await store.commit(
                Batch(lives={f"unit{n}": b"x" * 500 for n in range(100)}, events=events(1, 100).events)
            )
        path = tmp_path / "state/store.db"
        for number in (1, 2):
            damage(path)
            before = path.read_bytes()
            store = SqliteStore(str(path))
            said = await store.open()
            assert said is not None
            assert said.startswith("the store was damaged (")
            assert f"{path}.damaged-{number}" in said
            assert _content(f"{path}.damaged-{number}") == before
            assert (await store.load()).lives == {}
            assert await store.commit(Batch(lives={"web": b"x" * 9000})) is None
            await store.close()

    run(go())


def test_a_store_of_a_newer_version_is_refused_in_words_and_left_alone(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            await store.commit(Batch(facts={"a": "1"}))
            await store._turn(store._rows, "PRAGMA user_version=999")
        store = SqliteStore(str(tmp_path / "state/store.db"))
        with pytest.raises(
            sqlite3.OperationalError, match=r"written by a newer Maestro \(its version is 999"
        ):
            await store.open()
        await store.close()
        assert [path.name for path in (tmp_path / "state").glob("*damaged*")] == []
        other = database(tmp_path)
        assert other.execute("SELECT value FROM fact").fetchall() == [("1",)]
        other.close()

    run(go())


def test_a_store_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            await store.commit(Batch(lives={"web": b"life"}))
            await store._turn(store._rows, "DROP TABLE ledger")
            await store._turn(store._rows, "DROP TABLE generation")
            await store._turn(store._rows, "PRAGMA user_version=1")
        async with opened(tmp_path) as store:
            assert (await store.load()).lives == {"web": b"life"}
            assert await store.commit(Batch(accounts={"web": b"sum", "db": b"sum"})) is None
            assert await store.commit(Batch(accounts={"db": None})) is None
            assert (await store.load()).accounts == {"web": b"sum"}
            assert await store.commit(Batch(generations={1: (b"head", b"body")})) is None

    run(go())


def test_a_closed_store_refuses_in_words(tmp_path: Path) -> None:
    async def go() -> None:
        async with opened(tmp_path) as store:
            pass
        assert await store.commit(Batch(facts={"a": "1"})) == "the store is closed"
        await store.close()

    run(go())
