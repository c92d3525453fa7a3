"""The store: one sqlite database, one writer, everything that belongs together in one commit.

sqlite lives in a thread of its own, and whatever is asked of it is one turn of that thread, since each turn costs two changes
of thread: with one for each statement, as aiosqlite does it, a commit takes 0.25 ms and not 0.14 ms. What the disk refuses is kept in
memory and written with the next batch that it takes: by key, so the backlog of states cannot grow; of events the newest are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import sqlite3
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from maestro.ports import Batch, Row, Saved

T = TypeVar("T")
KEPT_EVENTS = 100_000
KEPT_AUDIT = 100_000
KEPT_GENERATIONS = 200
_BACKLOG = 10_000  # events kept in memory while the disk refuses
_MIGRATIONS = os.path.join(os.path.dirname(__file__), "migrations")
_CACHE = 512  # KiB of pages in memory, of which sqlite takes 2000 otherwise: hardly any is read twice
_PATIENCE = 2.0  # seconds for another process to be done with the database
_FLOCK = struct.Struct("hhqqi0q")  # struct flock: kind, whence, start, length (0: all of it), pid
_GENESIS = "0" * 64
_BASE = "SELECT value FROM fact WHERE name = 'audit_base'"  # the hash of the newest record that was pruned

_UPSERTS = {
    "lives": ("life", "unit"),
    "jobs": ("job", "id"),
    "definitions": ("definition", "unit"),
    "accounts": ("ledger", "holder"),
}


class StoreLocked(Exception):
    """Another process has the database; `holder` is its pid, 0 where the kernel does not say."""

    def __init__(self, path: str, holder: int) -> None:
        super().__init__(f"{path} is locked by {f'process {holder}' if holder else 'another process'}")
        self.holder = holder


class SqliteStore:
    """Implements `ports.Store`. `open` makes or migrates the database; a damaged one is put aside, never overwritten.

    Methods that do not await run in the store's thread, and only there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread = _Thread()
        self._db: sqlite3.Connection | None = None  # None while the disk has no room for one
        self._found: Saved | None = None  # by `open`, until `load` asks for it
        self._backlog = Batch()
        self._since_pruning = 0
        self._closed = False

    async def open(self) -> str | None:
        """Open, check and migrate. Returns what an operator should know, if anything."""
        return await self._turn(self._open)

    async def load(self) -> Saved:
        return await self._turn(self._load)

    async def commit(self, batch: Batch) -> str | None:
        """Write a batch, and what an earlier one left behind. Returns why the disk refused, or None."""
        try:
            return await self._turn(self._commit, batch)
        except sqlite3.OperationalError as closed:
            return str(closed)

    @property
    def backlog(self) -> bool:
        """Whether something waits for the disk."""
        pending = self._backlog
        return any(getattr(pending, field) for field in pending.__struct_fields__)

    async def events(self, after: int, limit: int) -> Sequence[Row]:
        """Events after a sequence number, the oldest first."""
        query = "SELECT seq, time, body FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = await self._turn(self._rows, query, after, limit)
        return [Row(seq=seq, time=time, body=body) for seq, time, body in rows]

    async def audit(self, limit: int) -> Sequence[Row]:
        """The newest records of operators' actions, the oldest of them first."""
        query = "SELECT seq, time, body, hash FROM audit ORDER BY seq DESC LIMIT ?"
        rows = await self._turn(self._rows, query, limit)
        return [Row(seq=seq, time=time, body=body, hash=digest) for seq, time, body, digest in reversed(rows)]

    async def generations(self, limit: int) -> Sequence[tuple[int, bytes]]:
        """Numbers and heads, the newest first."""
        query = "SELECT number, head FROM generation ORDER BY number DESC LIMIT ?"
        return [(number, head) for number, head in await self._turn(self._rows, query, limit)]

    async def generation(self, number: int) -> bytes | None:
        """What was in the files; None of one that is not kept."""
        return await self._turn(self._body, number)

    async def check_audit(self) -> int | None:
        """The first record whose hash does not follow from it and the one before, or None."""
        return await self._turn(self._check_audit)

    async def close(self) -> None:
        if not self._closed:
            await self._turn(self._disconnect)
            self._closed = True
            self._thread.end()

    async def _turn(self, work: Callable[..., T], *arguments: object) -> T:
        if self._closed:
            raise sqlite3.OperationalError("the store is closed")
        answer: T = await self._thread.submit(work, *arguments)
        return answer

    # ---------------------------------------------------------------------------------- in the thread

    def _open(self) -> str | None:
        try:
            self._found = _read(self._connect())  # damage behind the first page is met here
            return None
        except (sqlite3.DatabaseError, OSError) as error:
            self._disconnect()
            if _is_busy(error):
                raise StoreLocked(self._path, _holder(self._path)) from None
            if isinstance(error, sqlite3.OperationalError | OSError):
                if _has_content(self._path):  # what it knows must not be overlooked
                    raise
                return None  # the disk has no room for it yet: each commit tries again
            aside = _put_aside(self._path)
            self._connect()
            return f"the store was damaged ({error}); it was put aside as {aside}, and a new one begun"

    def _connect(self) -> sqlite3.Connection:
        os.makedirs(os.path.dirname(self._path), mode=0o750, exist_ok=True)
        _keep_to_ourselves(self._path)
        self._db = db = sqlite3.connect(self._path, timeout=_PATIENCE)
        # Nobody else writes here; and without this a full disk has no room for the file that readers would share.
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA cache_size=-{_CACHE}")
        _migrate(db)
        return db

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _load(self) -> Saved:
        found, self._found = self._found, None
        return found or (Saved() if self._db is None else _read(self._db))

    def _commit(self, batch: Batch) -> str | None:
        self._found = None
        whole = _merge(self._backlog, batch) if self.backlog else batch
        try:
            self._write(whole)
        except (sqlite3.Error, OSError) as error:
            self._backlog = whole
            return str(error)
        self._backlog = Batch()
        return None

    def _write(self, batch: Batch) -> None:
        self._since_pruning += len(batch.events)
        prune = self._since_pruning >= KEPT_EVENTS // 100
        db = self._db or self._begin()
        try:
            _write(db, batch, prune)
        except BaseException:
            with contextlib.suppress(
                sqlite3.Error, OSError
            ):  # the next batch will say what is wrong, if it still is
                db.rollback()
            raise
        if prune:
            self._since_pruning = 0

    def _begin(self) -> sqlite3.Connection:
        """Make the database that the disk had no room for."""
        try:
            return self._connect()
        except BaseException:
            self._disconnect()
            raise

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return [] if self._db is None else self._db.execute(query, values).fetchall()

    def _body(self, number: int) -> bytes | None:
        for (body,) in self._rows("SELECT body FROM generation WHERE number = ?", number):
            return zlib.decompress(body)
        return None

    def _check_audit(self) -> int | None:
        before = next((base for (base,) in self._rows(_BASE)), _GENESIS)
        for seq, time, body, digest in self._rows("SELECT seq, time, body, hash FROM audit ORDER BY seq"):
            if not isinstance(body, bytes) or digest != chain(before, time, body):
                return int(seq)
            before = digest
        return None


class _Thread:
    """Runs one thing after the other. A ThreadPoolExecutor would do, and costs 30 µs more each time: a sixth of a commit.

    A disk that hangs must not hold up the end of the process: so it is a daemon, and sqlite's journal is there for the rest.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[object, ...]] | None]
        self._work = SimpleQueue()
        threading.Thread(target=self._run, name="store", daemon=True).start()

    def submit(self, work: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        done = asyncio.get_running_loop().create_future()
        self._work.put((done, work, arguments))
        return done

    def end(self) -> None:
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            done, work, arguments = item
            answer, error = None, None
            try:
                answer = work(*arguments)
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for the answer
                done.get_loop().call_soon_threadsafe(_settle, done, answer, error)
            del item, done, work, arguments, answer, error  # a large batch is not kept until the next


def _settle(done: asyncio.Future[Any], answer: object, error: BaseException | None) -> None:
    if done.done():
        return  # given up
    if error is None:
        done.set_result(answer)
    else:
        done.set_exception(error)


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
    for number, (head, body) in batch.generations.items():
        row = (number, head, zlib.compress(body))
        db.execute("INSERT OR REPLACE INTO generation (number, head, body) VALUES (?, ?, ?)", row)
        db.execute("DELETE FROM generation WHERE number <= ?", (number - KEPT_GENERATIONS,))
    for time, body in batch.audit:
        _append_audit(db, time, body)
    if batch.audit:
        _prune_audit(db)
    db.commit()
    if batch.audit:
        db.execute("PRAGMA synchronous=NORMAL")


def _append_audit(db: sqlite3.Connection, time: float, body: bytes) -> None:
    last = db.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    before = last[0] if last else _GENESIS
    db.execute(
        "INSERT INTO audit (time, body, hash) VALUES (?, ?, ?)", (time, body, chain(before, time, body))
    )


def _prune_audit(db: sqlite3.Connection) -> None:
    """Let the oldest records go, a hundredth at a time; what is left is a chain from the hash of the last of them on."""
    ends = "SELECT (SELECT min(seq) FROM audit), (SELECT max(seq) FROM audit)"  # in one SELECT it reads all
    oldest, newest = db.execute(ends).fetchone()
    last = newest - KEPT_AUDIT
    if last - oldest < KEPT_AUDIT // 100:
        return
    query = "SELECT 'audit_base', hash FROM audit WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
    db.execute(f"INSERT OR REPLACE INTO fact (name, value) {query}", (last,))
    db.execute("DELETE FROM audit WHERE seq <= ?", (last,))


def _upsert(db: sqlite3.Connection, table: str, key: str, changes: dict[object, bytes | None]) -> None:
    kept = [(name, body) for name, body in changes.items() if body is not None]
    gone = [(name,) for name, body in changes.items() if body is None]
    if kept:
        db.executemany(f"INSERT OR REPLACE INTO {table} ({key}, body) VALUES (?, ?)", kept)
    if gone:
        db.executemany(f"DELETE FROM {table} WHERE {key} = ?", gone)


def _read(db: sqlite3.Connection) -> Saved:
    last = db.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
    newest = db.execute("SELECT number, head FROM generation ORDER BY number DESC LIMIT 1").fetchone()
    return Saved(
        lives=dict(db.execute("SELECT unit, body FROM life")),
        jobs=dict(db.execute("SELECT id, body FROM job")),
        definitions=dict(db.execute("SELECT unit, body FROM definition")),
        accounts=dict(db.execute("SELECT holder, body FROM ledger")),
        facts=dict(db.execute("SELECT name, value FROM fact")),
        last_event=last[0],
        generation=newest or (0, b""),
    )


def _migrate(db: sqlite3.Connection) -> None:
    """Apply the numbered migrations that this database has not seen, each in a transaction of its own."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    scripts = sorted(name for name in os.listdir(_MIGRATIONS) if name.endswith(".sql"))
    if version > len(scripts):
        raise sqlite3.OperationalError(
            f"the store was written by a newer Maestro (its version is {version}, this one knows {len(scripts)}); "
            "use that version, or begin with an empty state directory"
        )
    for number, name in enumerate(scripts, start=1):
        if number > version:
            with open(os.path.join(_MIGRATIONS, name), encoding="utf-8") as file:
                script = file.read()
            db.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")


def _merge(old: Batch, new: Batch) -> Batch:
    return Batch(
        lives={**old.lives, **new.lives},
        jobs={**old.jobs, **new.jobs},
        definitions={**old.definitions, **new.definitions},
        accounts={**old.accounts, **new.accounts},
        facts={**old.facts, **new.facts},
        events=[*old.events, *new.events][-_BACKLOG:],
        audit=[*old.audit, *new.audit],
        generations={**old.generations, **new.generations},
    )


def _has_content(path: str) -> bool:
    return any(os.path.exists(one) and os.path.getsize(one) > 0 for one in (path, f"{path}-wal"))


def _keep_to_ourselves(path: str) -> None:
    """Nobody else reads what units say, environments and all. sqlite gives the files beside it the same mode."""
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with contextlib.suppress(PermissionError):
        os.chmod(path, 0o600)


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
