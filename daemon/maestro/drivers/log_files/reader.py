"""Reads a stream back as a query asks. Blocks on the disk: the loop runs it in a thread, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable

from maestro.drivers.log_files.index import offset_from
from maestro.drivers.log_files.scan import Scan, back
from maestro.drivers.log_files.segments import Shelf
from maestro.ports import LogLine, LogQuery


def last_lines(shelf: Shelf, lines: int) -> list[LogLine]:
    """The last lines of a stream, an unfinished one included."""
    end = shelf.bounds()[1]
    scan = Scan(shelf, back(shelf, end, lines, unfinished=True) if lines > 0 else end)
    found: list[LogLine] = []
    while scan.at < end and (more := scan.more()):
        found += [line for line in more if line.offset < end]
    if scan.at < end and (rest := scan.rest(end)):
        found.append(rest)
    return found[-lines:] if lines > 0 else []


class View:
    """A query on its way through a stream."""

    def __init__(self, shelf: Shelf, query: LogQuery) -> None:
        self._shelf, self._query = shelf, query
        self._stop: int | None = None  # lines that begin here or later are not wanted
        self._scan = Scan(shelf, 0)
        self._over = False

    def begin(self, wall_ns: int) -> None:
        """Find where to begin and, if that is known already, where to end."""
        query = self._query
        oldest, end = self._shelf.bounds()
        until = None if query.until_ns is None else offset_from(self._shelf, query.until_ns + 1)
        if not query.follow or (query.until_ns is not None and query.until_ns < wall_ns):
            self._stop = end if until is None else min(until, end)
        low = oldest if query.since_ns is None else self._since(query.since_ns, end)
        if query.cursor is not None:
            low = max(low, min(query.cursor, end))
        elif query.lines is not None:
            last = end if self._stop is None else self._stop
            low = max(low, self._last(last, query.lines, end))
        self._scan = Scan(self._shelf, low)

    def _last(self, stop: int, lines: int, end: int) -> int:
        if lines == 0 and not self._query.follow:
            return stop
        return back(self._shelf, stop, lines, unfinished=stop < end or not self._query.follow)

    def _since(self, since_ns: int, end: int) -> int:
        offset = offset_from(self._shelf, since_ns)
        if offset is None:
            return end
        # The record may stand within a line that began before it.
        before, data = self._shelf.read(offset - 1, 1) if offset else (0, b"")
        if not data or before != offset - 1 or data == b"\n":
            return offset
        begun = Scan(self._shelf, back(self._shelf, offset, 0, unfinished=False))
        lines = begun.more()
        return lines[0].end if lines else begun.at

    def more(self) -> list[LogLine] | None:
        """The next lines, perhaps none of a piece; None when there is no more for now."""
        if self._over:
            return None
        found = [] if self._done() else self._scan.more()
        lines = self._choose(found)
        ended = not found or self._done()
        if ended and not self._query.follow and self._stop is not None:
            lines += self._choose(self._rest(self._stop))
        self._over = self._over or self._done() or (ended and not self._query.follow)
        return lines if lines or not ended else None

    @property
    def over(self) -> bool:
        """Nothing will ever come any more."""
        return self._over

    def _done(self) -> bool:
        return self._over or (self._stop is not None and self._scan.at >= self._stop)

    def _rest(self, stop: int) -> list[LogLine]:
        rest = self._scan.rest(stop) if self._scan.at < stop else None
        return [rest] if rest else []

    def _choose(self, lines: Iterable[LogLine]) -> list[LogLine]:
        chosen: list[LogLine] = []
        for line in lines:
            if (self._stop is not None and line.offset >= self._stop) or self._too_late(line):
                self._over = True
                break
            chosen.append(line)
        return chosen

    def _too_late(self, line: LogLine) -> bool:
        return self._stop is None and self._query.until_ns is not None and line.time_ns > self._query.until_ns
