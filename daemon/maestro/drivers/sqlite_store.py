"""The store: one sqlite database, one writer, everything that belongs together in one commit.

What the disk refuses is kept in memory and written with the next batch that it takes: by key, so the backlog of states cannot grow; of
events the newest are kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import struct
from collections.abc import Sequence
from importlib import resources
from typing import Any

import aiosqlite

from maestro.ports import Batch, Row, Saved

KEPT_EVENTS = 100_000
_BACKLOG = 10_000  # events kept in memory while the disk refuses
_PATIENCE = 2.0  # seconds for another process to be done with the database
_FLOCK = struct.Struct("hhqqi0q")  # struct flock: kind, whence, start, length (0: all of it), pid
_GENESIS = "0" * 64

_UPSERTS = {
    "lives": ("life", "unit"),
    "jobs": ("job", "id"),
    "definitions": ("definition", "unit"),
}


class StoreLocked(Exception):
    """Another process has the database; `holder` is its pid, 0 where the kernel does not say."""

    def __init__(self, path: str, holder: int) -> None:
        super().__init__(f"{path} is locked by {f'process {holder}' if holder else 'another process'}")
        self.holder = holder


class SqliteStore:
    """Implements `ports.Store`. `open` makes or migrates the database; a damaged one is put aside, never overwritten."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._db: aiosqlite.Connection | None = None
        self._backlog = Batch()
        self._since_pruning = 0
        self._later = False  # there is no database yet, since the disk refused: each commit tries again

    async def open(self) -> str | None:
        """Open, check and migrate. Returns what an operator should know, if anything."""
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o750, exist_ok=True)
            await self._connect()
            await self.load()  # damage behind the first page is met here
            return None
        except (sqlite3.DatabaseError, OSError) as error:
            await self.close()
            if _is_busy(error):
                raise StoreLocked(self._path, _holder(self._path)) from None
            if isinstance(error, sqlite3.OperationalError | OSError):
                if _has_content(self._path):  # what it knows must not be overlooked
                    raise
                self._later = True
                return None
            aside = _put_aside(self._path)
            await self._connect()
            return f"the store was damaged ({error}); it was put aside as {aside}, and a new one begun"

    async def _connect(self) -> None:
        self._db = await aiosqlite.connect(self._path, timeout=_PATIENCE)
        # Nobody else writes here; and without this a full disk has no room for the file that readers would share.
        await self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        await self._db.execute("PRAGMA journal_mode=WAL")
        await self._db.execute("PRAGMA synchronous=NORMAL")
        await _migrate(self._db)

    @property
    def _open(self) -> aiosqlite.Connection:
        if self._db is None:
            raise sqlite3.OperationalError("the store is closed")
        return self._db

    async def load(self) -> Saved:
        if self._later:
            return Saved()
        db = self._open
        last = await _all(db, "SELECT coalesce(max(seq), 0) FROM event")
        return Saved(
            lives=dict(await _all(db, "SELECT unit, body FROM life")),
            jobs=dict(await _all(db, "SELECT id, body FROM job")),
            definitions=dict(await _all(db, "SELECT unit, body FROM definition")),
            facts=dict(await _all(db, "SELECT name, value FROM fact")),
            last_event=last[0][0],
        )

    async def commit(self, batch: Batch) -> str | None:
        """Write a batch, and what an earlier one left behind. Returns why the disk refused, or None."""
        whole = _merge(self._backlog, batch)
        try:
            if self._later:
                await self._begin()
            await self._write(whole)
        except (sqlite3.Error, OSError) as error:
            self._backlog = whole
            await self._rollback()
            return str(error)
        self._backlog = Batch()
        return None

    async def _begin(self) -> None:
        """Make the database that the disk had no room for."""
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o750, exist_ok=True)
            await self._connect()
        except BaseException:
            await self.close()
            raise
        self._later = False

    @property
    def backlog(self) -> bool:
        """Whether something waits for the disk."""
        pending = self._backlog
        return any(getattr(pending, field) for field in pending.__struct_fields__)

    async def _write(self, batch: Batch) -> None:
        self._since_pruning += len(batch.events)
        prune = self._since_pruning >= KEPT_EVENTS // 100
        db = self._open
        # Its only way to have several statements in one turn of its thread: each turn costs two changes of thread.
        await db._execute(_write, db._conn, batch, prune)  # type: ignore[no-untyped-call]
        if prune:
            self._since_pruning = 0

    async def _rollback(self) -> None:
        with contextlib.suppress(
            sqlite3.Error, OSError
        ):  # the next batch will say what is wrong, if it still is
            await self._open.rollback()

    async def events(self, after: int, limit: int) -> Sequence[Row]:
        """Events after a sequence number, the oldest first."""
        if self._later:
            return []
        rows = await _all(
            self._open, "SELECT seq, time, body FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return [Row(seq=seq, time=time, body=body) for seq, time, body in rows]

    async def audit(self, limit: int) -> Sequence[Row]:
        """The newest records of operators' actions, the oldest of them first."""
        rows = await _all(
            self._open, "SELECT seq, time, body, hash FROM audit ORDER BY seq DESC LIMIT ?", (limit,)
        )
        return [Row(seq=seq, time=time, body=body, hash=digest) for seq, time, body, digest in reversed(rows)]

    async def check_audit(self) -> int | None:
        """The first record whose hash does not follow from it and the one before, or None."""
        before = _GENESIS
        for seq, time, body, digest in await _all(
            self._open, "SELECT seq, time, body, hash FROM audit ORDER BY seq"
        ):
            if not isinstance(body, bytes) or digest != chain(before, time, body):
                return int(seq)
            before = digest
        return None

    async def close(self) -> None:
        if self._db is not None:
            await self._db.close()
            self._db = None


def chain(before: str, time: float, body: bytes) -> str:
    """The hash that ties a record to all records before it."""
    return hashlib.sha256(b"%s %r " % (before.encode(), time) + body).hexdigest()


def _write(db: sqlite3.Connection, batch: Batch, prune: bool) -> None:
    """All of a batch, or nothing: whoever called rolls back."""
    if (
        batch.audit
    ):  # what an operator did must survive a power cut; states need not, for the agents die with the host
        db.execute("PRAGMA synchronous=FULL")
    for field, (table, key) in _UPSERTS.items():
        _upsert(db, table, key, getattr(batch, field))
    if batch.facts:
        db.executemany("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", list(batch.facts.items()))
    if batch.events:
        db.executemany("INSERT OR IGNORE INTO event (seq, time, body) VALUES (?, ?, ?)", batch.events)
    if prune:
        db.execute("DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?", (KEPT_EVENTS,))
    for time, body in batch.audit:
        _append_audit(db, time, body)
    db.commit()
    if batch.audit:
        db.execute("PRAGMA synchronous=NORMAL")


def _append_audit(db: sqlite3.Connection, time: float, body: bytes) -> None:
    last = db.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    before = last[0] if last else _GENESIS
    db.execute(
        "INSERT INTO audit (time, body, hash) VALUES (?, ?, ?)", (time, body, chain(before, time, body))
    )


def _upsert(db: sqlite3.Connection, table: str, key: str, changes: dict[object, bytes | None]) -> None:
    kept = [(name, body) for name, body in changes.items() if body is not None]
    gone = [(name,) for name, body in changes.items() if body is None]
    if kept:
        db.executemany(f"INSERT OR REPLACE INTO {table} ({key}, body) VALUES (?, ?)", kept)
    if gone:
        db.executemany(f"DELETE FROM {table} WHERE {key} = ?", gone)


async def _all(
    db: aiosqlite.Connection, query: str, values: tuple[object, ...] = ()
) -> list[tuple[Any, ...]]:
    return list(await db.execute_fetchall(query, values))  # type: ignore[arg-type]


async def _migrate(db: aiosqlite.Connection) -> None:
    """Apply the numbered migrations that this database has not seen, each in a transaction of its own."""
    version = int((await _all(db, "PRAGMA user_version"))[0][0])
    scripts = sorted(
        one.name
        for one in resources.files("maestro.drivers.migrations").iterdir()
        if one.name.endswith(".sql")
    )
    if version > len(scripts):
        raise sqlite3.OperationalError(
            f"the store was written by a newer Maestro (its version is {version}, this one knows {len(scripts)}); "
            "use that version, or begin with an empty state directory"
        )
    for number, name in enumerate(scripts, start=1):
        if number > version:
            script = (resources.files("maestro.drivers.migrations") / name).read_text()
            await db.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")


def _merge(old: Batch, new: Batch) -> Batch:
    return Batch(
        lives={**old.lives, **new.lives},
        jobs={**old.jobs, **new.jobs},
        definitions={**old.definitions, **new.definitions},
        facts={**old.facts, **new.facts},
        events=[*old.events, *new.events][-_BACKLOG:],
        audit=[*old.audit, *new.audit],
    )


def _has_content(path: str) -> bool:
    return any(os.path.exists(one) and os.path.getsize(one) > 0 for one in (path, f"{path}-wal"))


def _put_aside(path: str) -> str:
    number = 1
    while os.path.exists(f"{path}.damaged-{number}"):
        number += 1
    for suffix in ("-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.replace(path + suffix, f"{path}.damaged-{number}{suffix}")
    os.replace(path, f"{path}.damaged-{number}")
    return f"{path}.damaged-{number}"


def _is_busy(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_BUSY


def _holder(path: str) -> int:
    """The pid of a process that has a lock on the file; 0: nobody that can be named."""
    question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with open(path, "rb") as file:  # closing it would drop locks of our own: there are none now
            kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, question))
    except OSError:
        return 0
    return 0 if kind == fcntl.F_UNLCK else max(int(pid), 0)
