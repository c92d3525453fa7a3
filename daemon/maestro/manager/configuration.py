"""The configuration as numbered generations: who had the unit files read when, why, and what was in them.

A reading that finds what is in force makes none. What was in the files is kept whole, in the store, which nobody else may read: to be
shown, it is redacted.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from itertools import chain, islice

import msgspec
from msgspec import Struct

from maestro.manager.catalogue import Catalogue, Changes
from maestro.manager.loop import Manager
from maestro.ports import Piece, Store, UnitSources

_MOST_NAMED = 100  # files of each kind of change
_log = logging.getLogger("maestro")
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode  # names may be more than plain texts


class Generation(Struct, frozen=True, kw_only=True):
    """What is known of one without its files."""

    at: float  # seconds since 1970
    author: str
    reason: str
    digest: bytes  # of all that was in its files
    files: int
    added: tuple[str, ...] = ()  # paths of files, and links as TARGET.wants/UNIT; the first of them
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unnamed: int = 0  # changes that were too many to be named


class Configuration:
    """Numbers what is read. `read` takes the files in."""

    def __init__(
        self, manager: Manager, catalogue: Catalogue, store: Store, read: Callable[[], Changes]
    ) -> None:
        self._manager, self._catalogue, self._store, self._read = manager, catalogue, store, read
        self._sources = UnitSources(files={}, links={})  # of the newest
        self.number = 0  # of the newest, which is in force; 0: there is none yet

    async def take_up(self, newest: tuple[int, bytes]) -> None:
        """Go on from what an earlier manager has numbered; the files have been read, and may be others by now."""
        self.number, head = newest
        found = self._catalogue.written
        if head and msgspec.msgpack.decode(head, type=Generation).digest == _digest(_encode(found)):
            self._sources = found
            return
        if self.number:
            self._sources = await self.sources(self.number) or self._sources
        self._note("maestrod", "the files were changed meanwhile" if self.number else "the first")

    def reread(self, author: str, reason: str) -> Changes:
        """Read the files again, on somebody's behalf."""
        changes = self._read()
        self._note(author, reason)
        return changes

    async def generations(self, limit: int) -> list[tuple[int, Generation]]:
        """The newest first."""
        await self._manager.caught_up()
        rows = await self._store.generations(limit)
        return [(number, msgspec.msgpack.decode(head, type=Generation)) for number, head in rows]

    async def sources(self, number: int) -> UnitSources | None:
        """What was in its files; None of one that is not kept."""
        await self._manager.caught_up()
        body = await self._store.generation(number)
        return None if body is None else msgspec.msgpack.decode(body, type=UnitSources)

    def _note(self, author: str, reason: str) -> None:
        before, now = self._sources, self._catalogue.written
        if before == now and self.number:
            return
        body = _encode(now)
        added, changed, removed = difference(pieces(before), pieces(now))
        named = [tuple(islice(paths, _MOST_NAMED)) for paths in (added, changed, removed)]
        head = Generation(
            at=self._manager.clock.wall(),
            author=author,
            reason=reason,
            digest=_digest(body),
            files=len(pieces(now)),
            added=named[0],
            changed=named[1],
            removed=named[2],
            unnamed=sum(map(len, (added, changed, removed))) - sum(map(len, named)),
        )
        self.number += 1
        self._sources = now
        self._manager.note_generation(self.number, _encode(head), body)
        counts = f"{len(added)} added, {len(changed)} changed, {len(removed)} removed"
        _log.info("generation %d of the configuration, by %s: %s", self.number, author, counts)


def pieces(sources: UnitSources) -> dict[str, Piece]:
    """All files by their paths, and what links say as files without a text."""
    found = {
        piece.path: piece
        for piece in chain(sources.files.values(), sources.overlays.values(), *sources.dropins.values())
    }
    return found | {path: Piece(path=path) for path in _links(sources)}


def _links(sources: UnitSources) -> Iterator[str]:
    for kind, links in (("wants", sources.links), ("requires", sources.requirements)):
        for target, units in links.items():
            yield from (f"{target}.{kind}/{unit}" for unit in units)


def difference(before: dict[str, Piece], now: dict[str, Piece]) -> tuple[list[str], list[str], list[str]]:
    """Paths that were added, whose text is another, that are gone."""
    return (
        sorted(now.keys() - before.keys()),
        sorted(path for path in now.keys() & before.keys() if now[path] != before[path]),
        sorted(before.keys() - now.keys()),
    )


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()
