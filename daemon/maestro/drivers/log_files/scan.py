"""Lines out of a stream's bytes, in bounded pieces."""

from __future__ import annotations

from maestro.drivers.log_files.index import Clock
from maestro.drivers.log_files.segments import Shelf
from maestro.ports import LogLine

PIECE = 256 << 10  # bytes read at once
LONGEST = 64 << 10  # bytes of a line that are shown


class Scan:
    """Reads on from an offset; where segments were deleted meanwhile, from the oldest byte there is."""

    def __init__(self, shelf: Shelf, at: int, *, timed: bool = True) -> None:
        self._shelf = shelf
        self._timed = timed
        self.at = at  # where the next line begins
        self._searched = at  # up to here no end of that line was found

    def more(self) -> list[LogLine]:
        """The next finished lines, at most 256 KiB of them or one that is longer; none at the end."""
        at, data = self._gather()
        if at != self.at:
            self.at = self._searched = at
        cut = data.rfind(b"\n") + 1
        if cut:
            return self._lines(data[:cut])
        return self._long_line(data) if len(data) >= PIECE else []

    def rest(self, stop: int) -> LogLine | None:
        """The last line, if it is not finished, as far as it goes before `stop`."""
        at, data = (
            self._shelf.read(self.at, min(LONGEST + 1, stop - self.at)) if stop > self.at else (self.at, b"")
        )
        if not data:
            return None
        return LogLine(time_ns=self._clock(at, stop).at(at), offset=at, end=stop, text=_text(data))

    def _gather(self) -> tuple[int, bytes]:
        """Up to PIECE bytes from one run, across segments."""
        at, data = self._shelf.read(self.at, PIECE)
        parts, size = [data], len(data)
        while data and size < PIECE:
            found, data = self._shelf.read(at + size, PIECE - size)
            if found != at + size:
                break
            parts.append(data)
            size += len(data)
        return at, b"".join(parts)

    def _lines(self, data: bytes) -> list[LogLine]:
        begin, clock = self.at, self._clock(self.at, self.at + len(data))
        lines: list[LogLine] = []
        for raw in data.split(b"\n")[:-1]:
            end = begin + len(raw) + 1
            lines.append(LogLine(time_ns=clock.at(begin), offset=begin, end=end, text=_text(raw)))
            begin = end
        self.at = self._searched = begin
        return lines

    def _long_line(self, head: bytes) -> list[LogLine]:
        at = max(self._searched, self.at + len(head))
        while True:
            found, data = self._shelf.read(at, PIECE)
            if not data or found != at:  # not finished, or its middle was deleted
                self._searched = at
                if data:
                    self.at = self._searched = found
                return []
            if cut := data.find(b"\n") + 1:
                break
            at += len(data)
        begin, self.at, self._searched = self.at, at + cut, at + cut
        time_ns = self._clock(begin, begin + 1).at(begin)
        return [LogLine(time_ns=time_ns, offset=begin, end=at + cut, text=_text(head))]

    def _clock(self, low: int, high: int) -> Clock:
        return Clock(self._shelf if self._timed else None, low, high)


def _text(raw: bytes) -> str:
    text = raw[:LONGEST].decode(errors="backslashreplace")
    return text if len(raw) <= LONGEST else text + "…"


def back(shelf: Shelf, end: int, lines: int, *, unfinished: bool) -> int:
    """Where the last `lines` lines before `end` begin; `unfinished`: a line without an end counts as one."""
    position, missing, first = end, lines, True
    for start in reversed(shelf.starts()):
        size = 8 << 10
        while position > start:
            low = max(start, position - size)
            data = shelf.read_segment(start, low, position - low)
            if first and data:
                # The newline that ends the last line does not begin one of those wanted.
                missing += 0 if unfinished and not data.endswith(b"\n") else 1
                first = False
            count = data.count(b"\n")
            if count >= missing:
                return low + _nth_last(data, missing) + 1
            missing -= count
            position, size = low, PIECE
    return position


def _nth_last(data: bytes, number: int) -> int:
    place = len(data)
    for _ in range(number):
        place = data.rfind(b"\n", 0, place)
    return place
