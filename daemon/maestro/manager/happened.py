"""The event stream: numbered, kept in the store, told to whoever listens."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from maestro.engine.events import Happening
from maestro.ports import Store

_log = logging.getLogger("maestro")
_PAGE = 500
_MOST_BEHIND = 10_000  # events a listener may be behind before it is taken to the store again
_RECENT = 5_000  # events kept in memory when the disk refuses: what a listener needs then
_AT_HAND = _PAGE  # and when it does not: the store has them


class Told(Struct, frozen=True, kw_only=True, gc=False):
    """A happening with its number: the cursor that a listener resumes from."""

    seq: int
    time: float  # seconds since 1970
    what: Happening

    def facts(self) -> dict[str, Any]:
        """The fields that every view of an event has: those of clients, and of plugins."""
        return {"seq": self.seq, "time": self.time, **asdict(self.what)}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Told).decode


class Hub:
    """Numbers events, and hands the committed ones to listeners in order."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.last = 0  # number of the newest event
        self.published = 0  # number of the newest that listeners may know of
        self._recent: deque[bytes] = deque()  # as the store has them: half of what they would take
        self._listeners: list[Callable[[Told], None]] = []
        self.disk_refuses = False

    def resume(self, last: int) -> None:
        """Go on numbering after what the store has."""
        self.last = self.published = last

    def number(self, happening: Happening, wall: float) -> Told:
        self.last += 1
        return Told(seq=self.last, time=wall, what=happening)

    def publish(self, told: Told) -> None:
        self.published = told.seq
        self._recent.append(_encode(told))
        while len(self._recent) > (_RECENT if self.disk_refuses else _AT_HAND):
            self._recent.popleft()
        for listener in tuple(self._listeners):
            try:
                listener(told)
            except Exception:  # a log that cannot be read, say: nobody else may suffer by it
                _log.exception("a listener failed at event %d", told.seq)

    def listen(self, listener: Callable[[Told], None]) -> Callable[[], None]:
        """Call `listener` for each event from now on; returns how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def stream(self, after: int | None, follow: bool) -> AsyncIterator[Told]:
        """Events after a number (None: from now on), without gap or repeat: what has been, then what comes.

        A number beyond the last one, from before the store was lost, means from now on.
        """
        queue: asyncio.Queue[Told] = asyncio.Queue(_MOST_BEHIND)
        stop = self.listen(lambda told: None if queue.full() else queue.put_nowait(told))
        try:
            seen = self.published if after is None else min(after, self.published)
            while True:
                async for told in self._past(seen):
                    seen = told.seq
                    yield told
                if not follow:
                    return
                told = await queue.get()
                if told.seq == seen + 1:
                    seen = told.seq
                    yield told
                # else it came while the past was read, or the queue was full: read on in the past
        finally:
            stop()

    async def _past(self, after: int) -> AsyncIterator[Told]:
        while after < self.published:
            rows = [] if self._oldest <= after + 1 else await self._store.events(after, _PAGE)
            bodies = [row.body for row in rows] or self._since(after)
            page = [told for body in bodies if (told := _decode(body)).seq > after]
            for told in page:
                yield told
            if not page:
                return
            after = page[-1].seq

    @property
    def _oldest(self) -> float:
        """Number of the oldest that is in memory."""
        return _decode(self._recent[0]).seq if self._recent else float("inf")

    def _since(self, after: int) -> list[bytes]:
        """A page of those in memory: their numbers are without gap."""
        first = int(max(after + 1 - self._oldest, 0)) if self._recent else 0
        return list(islice(self._recent, first, first + _PAGE))
