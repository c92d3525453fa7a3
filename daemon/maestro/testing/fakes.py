"""Fake ports: what the manager needs from outside, in memory, for tests of the manager and of plugins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from maestro.ports import (
    Batch,
    KeeperNews,
    LogLimits,
    LogLine,
    LogMark,
    LogQuery,
    Piece,
    Recipe,
    Row,
    Saved,
    Table,
    UnitSources,
)


class FakeStore:
    """A store that keeps all in memory. `trouble` is what every commit answers; while `gate` is not set, a commit takes its time."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[Batch] = []
        self.rows: list[Row] = []
        self.reads = 0
        self.broken: int | None = None  # what `check_audit` answers

    async def load(self) -> Saved:
        return Saved()

    async def commit(self, batch: Batch) -> str | None:
        await self.gate.wait()
        if self.trouble is None:
            self.batches.append(batch)
            self.rows += [Row(seq=seq, time=time, body=body) for seq, time, body in batch.events]
        return self.trouble

    async def events(self, after: int, limit: int) -> Sequence[Row]:
        self.reads += 1
        return [row for row in self.rows if row.seq > after][:limit]

    async def audit(self, limit: int) -> Sequence[Row]:
        entries = [entry for batch in self.batches for entry in batch.audit]
        return [Row(seq=seq, time=time, body=body) for seq, (time, body) in enumerate(entries, 1)][-limit:]

    async def generations(self, limit: int) -> Sequence[tuple[int, bytes]]:
        heads = {number: head for one in self.batches for number, (head, _) in one.generations.items()}
        return sorted(heads.items(), reverse=True)[:limit]

    async def generation(self, number: int) -> bytes | None:
        bodies = {number: body for one in self.batches for number, (_, body) in one.generations.items()}
        return bodies.get(number)

    async def check_audit(self) -> int | None:
        return self.broken

    async def close(self) -> None:
        pass


class FakeKeeper:
    """A keeper that only notes its orders. `orders` holds them as tuples, the verb first."""

    def __init__(self) -> None:
        self.closed = False
        self.orders: list[tuple[object, ...]] = []
        self.recipes: dict[str, Recipe] = {}
        self.family: dict[int, str] = {}  # pid -> agent, for `whose`
        self.refuses: Exception | None = None  # what `spawn` raises

    def asked(self, verb: str) -> list[tuple[object, ...]]:
        """The orders of one kind, without the verb."""
        return [order[1:] for order in self.orders if order[0] == verb]

    async def hello(self, news: KeeperNews) -> Table:
        return Table(keeper="fake", entries=(), streams={}, held={})

    def spawn(self, agent: str, recipe: Recipe) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.recipes[agent] = recipe
        self.orders.append(("spawn", agent))

    def send(self, agent: str, signal: int, *, tree: bool, order: int = 0) -> None:
        self.orders.append(("send", agent, int(signal), tree))

    def freeze(self, agent: str, *, still: bool) -> None:
        self.orders.append(("freeze", agent, still))

    def adopt(self, agent: str, pid: int, start: int, invocation: str, cgroup: str = "") -> None:
        self.orders.append(("adopt", agent, pid, start))

    def close(self) -> None:
        self.closed = True

    def follow(self, agent: str, pid: int) -> None:
        self.orders.append(("follow", agent, pid))

    def acknowledge(self, agent: str) -> None:
        self.orders.append(("acknowledge", agent))

    def hold(self, name: str, fd: int) -> None:
        self.orders.append(("hold", name))

    def release_stream(self, name: str) -> None:
        self.orders.append(("release_stream", name))

    def store(self, unit: str, name: str, fd: int, *, polled: bool, most: int) -> None:
        self.orders.append(("store", unit, name, polled, most))

    def unstore(self, unit: str, name: str) -> None:
        self.orders.append(("unstore", unit, name))

    def drop_store(self, unit: str) -> None:
        self.orders.append(("drop_store", unit))

    def whose(self, pid: int) -> str | None:
        return self.family.get(pid)

    def reexec(self) -> None:
        self.orders.append(("reexec",))

    def retire(self) -> None:
        self.orders.append(("retire",))


class FakeLogs:
    """Logs that hold what a test puts into `lines`."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.awaited: dict[str, tuple[str, Callable[[], None]]] = {}
        self.taken: dict[str, LogLimits] = {}
        self.trouble: OSError | None = None  # what reading raises
        self.discarded: list[str] = []

    def take(self, name: str, fd: int, limits: LogLimits) -> None:
        self.taken[name] = limits

    def relimit(self, name: str, limits: LogLimits) -> None:
        self.taken[name] = limits

    def drained(self, name: str, empty: Callable[[], None]) -> None:
        empty()

    def drop(self, name: str) -> None:
        self.taken.pop(name, None)

    def mark(self, name: str) -> LogMark:
        return LogMark(size=0)

    def note(self, name: str, text: str) -> None:
        self.lines.setdefault(name, []).append(text)

    def await_line(
        self, name: str, pattern: str, seen: Callable[[], None], since_ns: int | None = None
    ) -> Callable[[], None]:
        self.awaited[name] = (pattern, seen)
        return lambda: self.awaited.pop(name, None) and None

    def discard(self, name: str) -> None:
        self.discarded.append(name)

    async def trim(self, names: Iterable[str], most: int) -> dict[str, int]:
        return {}

    def tail(self, name: str, lines: int) -> list[LogLine]:
        if self.trouble is not None:
            raise self.trouble
        found = self.lines.get(name, [])[-lines:]
        return [LogLine(time_ns=0, offset=at, end=at + 1, text=text) for at, text in enumerate(found)]

    async def follow(self, name: str, query: LogQuery) -> AsyncIterator[LogLine]:
        for line in self.tail(name, query.lines or len(self.lines.get(name, []))):
            yield line

    def close(self) -> None:
        pass


class FakeFiles:
    """Unit directories in memory: file name -> text."""

    def __init__(self, **texts: str) -> None:
        self.texts = dict(texts)
        self.links: dict[str, tuple[str, ...]] = {}
        self.aliases: dict[str, str] = {}
        self.enabled: dict[str, str] = {}
        self.masks: set[str] = set()
        self.preset_files: tuple[Piece, ...] = ()
        self.passing: set[str] = set()  # files of transient units
        self.paths: dict[str, str] = {}  # of files that are elsewhere
        self.trouble = ""  # what the disk says to what is written

    def read(self) -> UnitSources:
        files: dict[str, Piece] = {}
        dropins: dict[str, tuple[Piece, ...]] = {}
        for name, text in sorted(self.texts.items()):
            place = "/run/transient" if name in self.passing else "/units"
            piece = Piece(path=self.paths.get(name, f"{place}/{name}"), text=text.encode())
            folder, inside, _ = name.rpartition("/")
            if inside:
                dropins[folder] = (*dropins.get(folder, ()), piece)
            else:
                files[name] = piece
        files |= {name: Piece(path=f"/units/{name}", masked=True) for name in self.masks}
        return UnitSources(
            files=files,
            links=dict(self.links),
            dropins=dropins,
            aliases=dict(self.aliases),
            enabled=dict(self.enabled),
        )

    def look(self, name: str, known: Mapping[str, str]) -> UnitSources:
        return self.read()

    def draft(self, path: str) -> Piece:
        return self.read().files.get(path.removeprefix("/units/"), Piece(path=path, refused="cannot be read"))

    def enable(self, name: str, paths: Iterable[str], *, runtime: bool = False) -> list[str]:
        done = []
        for path in paths:
            target, _, file = path.rpartition("/")
            target = target.rpartition(".")[0]
            if target:
                self.links[target] = (*self.links.get(target, ()), name)
            else:
                self.aliases[file] = f"{name}.agent.yaml"
                self.texts[file] = ""
            self.enabled[name] = "enabled-runtime" if runtime else "enabled"
            done.append(f"linked {name} into {target}" if target else f"linked {name} as {file}")
        return done

    def disable(self, name: str, *, runtime: bool = False) -> list[str]:
        return [f"unlinked {name}"] if self.enabled.pop(name, "") else []

    def mask(self, name: str, *, runtime: bool = False) -> list[str]:
        self.masks.add(f"{name}.agent.yaml")
        return [f"masked {name}"]

    def unmask(self, name: str, *, runtime: bool = False) -> list[str]:
        self.masks.discard(f"{name}.agent.yaml")
        return [f"unmasked {name}"]

    def presets(self) -> tuple[Piece, ...]:
        return self.preset_files

    def transients(self) -> tuple[str, ...]:
        return tuple(name.removesuffix(".agent.yaml") for name in self.texts if name in self.passing)

    def place_of(self, name: str) -> str:
        return f"/run/transient/{name}.agent.yaml"

    def put(self, name: str, text: str) -> None:
        if self.trouble:
            raise OSError(0, self.trouble)
        self.texts[f"{name}.agent.yaml"] = text
        self.passing.add(f"{name}.agent.yaml")

    def take_away(self, name: str) -> None:
        if f"{name}.agent.yaml" not in self.paths:
            self.texts.pop(f"{name}.agent.yaml", None)
