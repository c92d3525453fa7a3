"""Moves bytes from pipes to files. A byte that is kept is in the pipe or in the file, never with us."""

from __future__ import annotations

import os
import time

from maestro.drivers.log_files.limit import BOUNDLESS
from maestro.drivers.log_files.pipes import Scratch, nearly_full, waiting
from maestro.drivers.log_files.stream import Stream

TURN = 1 << 20  # bytes that one stream may move before others have their turn
SMALL = 4096  # bytes
OVERHANG = 1 << 20  # bytes by which a segment may exceed max_size so that a line ends in it
OVERRUN = 1 << 16  # bytes by which the rate limit may be exceeded so that a line ends
RETRY = 1.0  # seconds
BY_RATE = " by the rate limit"


class Flow:
    """What one stream's turn does. When the disk refuses, the stream is in trouble until it gives in."""

    def __init__(self) -> None:
        self._scratch = Scratch()

    def close(self) -> None:
        self._scratch.close()

    def turn(self, stream: Stream, now: float) -> None:
        """Move what there is, at most TURN bytes."""
        if stream.trouble and now < stream.retry_at:
            self._relieve(stream)
            return
        try:
            if stream.tape.ready(now):
                stream.times.reset(stream.tape)
            self._pour(stream, now)
        except OSError as refusal:
            stream.trouble = _words(refusal)
            stream.retry_at = now + RETRY
            self._relieve(stream)
        else:
            stream.trouble = ""

    def drain(self, stream: Stream, now: float, *, last: bool) -> None:
        """Move what is in the pipe now; `last`: nobody will read it again, so count what is not kept."""
        if stream.pipe >= 0:
            count = waiting(stream.pipe)
            for _ in range(count // TURN + 2 if count else 0):  # who writes nothing has no files
                self.turn(stream, now)
            if last and stream.window.over:
                self._shed(stream, self._scratch.peek(stream.pipe), BY_RATE, wholly=True)
        stream.notes_until = now
        if (stream.notes or stream.lost) and not stream.trouble:
            try:
                stream.tape.ready(now)
                self._tell(stream, now)
                self._write_notes(stream, now)
            except OSError as refusal:
                stream.trouble = _words(refusal)

    # ------------------------------------------------------------------------------------------ keeping

    def _pour(self, stream: Stream, now: float) -> None:
        if stream.hitch and now >= stream.rotate_at and stream.tape.at_boundary():
            _rotate(stream, now)
        held = stream.pipe >= 0 and self._held(stream, now)
        if stream.lost and (stream.notes or not held):
            self._tell(stream, now)
        if stream.notes:
            self._write_notes(stream, now)
        budget = 0 if held or stream.pipe < 0 else TURN
        while budget > 0:
            before = stream.tape.end
            if not self._step(stream, now):
                return
            moved = stream.tape.end - before
            if stream.notes:
                self._write_notes(stream, now)
            elif 0 < moved < SMALL and waiting(stream.pipe) < SMALL:
                return  # a writer of single lines would keep us here for the whole turn
            budget -= max(moved, 1)

    def _step(self, stream: Stream, now: float) -> bool:
        """Move one piece; False when no more can be moved in this turn."""
        if stream.notes:  # they wait for the end of the line that is being written
            return self._finish_line(stream, self._scratch.peek(stream.pipe), now)
        space = _space(stream, now)
        left = stream.window.left(stream.limits, now)
        room = max(min(space, left), 0)
        if room >= TURN:
            return self._splice(stream, TURN, now)
        count = waiting(stream.pipe)
        if count <= room:
            return count > 0 and self._splice(stream, count, now)
        return self._cut(stream, room, left < space, now)

    def _splice(self, stream: Stream, count: int, now: float) -> bool:
        stream.times.mark(stream.tape, now)
        moved = stream.tape.splice(stream.pipe, count)
        stream.window.spend(moved)
        return moved > 0

    def _cut(self, stream: Stream, room: int, by_rate: bool, now: float) -> bool:
        """More waits than there is room for: keep whole lines."""
        data = self._scratch.peek(stream.pipe)
        if count := len(data) if len(data) <= room else data.rfind(b"\n", 0, room) + 1:
            return self._splice(stream, count, now)
        if by_rate:
            return self._over_rate(stream, data, now)
        bound = stream.limits.max_size + OVERHANG - stream.tape.filled
        if bound <= 0 or (stream.tape.filled and stream.tape.at_boundary()):
            _rotate(stream, now)
            return True
        return self._finish_line(stream, data[:bound], now)

    def _finish_line(self, stream: Stream, data: bytes, now: float) -> bool:
        count = data.find(b"\n") + 1 or len(data)
        return count > 0 and self._splice(stream, count, now)

    def _tell(self, stream: Stream, now: float) -> None:
        """Write how much was lost."""
        for reason, loss in list(stream.lost.items()):
            self._write(
                stream,
                b"-- maestro: %d lines (%d bytes) dropped%s --\n" % (loss.lines, loss.bytes, reason.encode()),
                now,
            )
            stream.told(reason)

    def _write_notes(self, stream: Stream, now: float) -> None:
        if stream.pipe < 0 or now >= stream.notes_until or stream.tape.at_boundary():
            while stream.notes:
                self._write(stream, stream.notes[0], now)
                stream.notes = stream.notes[1:]

    def _write(self, stream: Stream, line: bytes, now: float) -> None:
        if _space(stream, now) < len(line) and stream.tape.filled:
            _rotate(stream, now)
        stream.times.mark(stream.tape, now)
        stream.tape.write(line)

    # ------------------------------------------------------------------------------------------ dropping

    def _held(self, stream: Stream, now: float) -> bool:
        """Whether output must not flow: the limit is used up, or the rest of a dropped line is to come."""
        if stream.window.over:
            stream.window.left(stream.limits, now)
        if stream.window.over:
            self._shed(stream, self._scratch.peek(stream.pipe), BY_RATE)
            return True
        return stream.gap_open and not self._close_gap(stream)

    def _over_rate(self, stream: Stream, data: bytes, now: float) -> bool:
        overrun = -stream.window.left(stream.limits, now)
        if overrun < OVERRUN and not stream.tape.at_boundary():
            return self._finish_line(stream, data[: OVERRUN - overrun], now)
        stream.window.over = True
        # Where a line was so long that it had to be cut, its rest is lost whether or not its end has come.
        stream.gap_open = not stream.tape.at_boundary()
        self._shed(stream, data, BY_RATE)
        return False

    def _relieve(self, stream: Stream) -> None:
        """Nothing can be written. The pipe keeps what it can; then we drop, so that the agent runs on."""
        if stream.pipe >= 0 and nearly_full(stream.pipe):
            reason = BY_RATE if stream.window.over else ": " + stream.trouble
            self._shed(stream, self._scratch.peek(stream.pipe), reason)

    def _shed(self, stream: Stream, data: bytes, reason: str, *, wholly: bool = False) -> None:
        """Drop the whole lines among `data`, the head of the pipe.

        The beginning of a line stays while there is room: a successor who knows nothing of the drop shall not
        keep the other half.
        """
        count = data.rfind(b"\n") + 1
        if data and not count and (wholly or stream.gap_open or nearly_full(stream.pipe)):
            count = len(data)
        self._discard(stream, len(data) if wholly else count, reason)

    def _close_gap(self, stream: Stream) -> bool:
        data = self._scratch.peek(stream.pipe)
        count = data.find(b"\n") + 1 or len(data)
        self._discard(stream, count, next(reversed(stream.lost), BY_RATE))
        return not stream.gap_open

    def _discard(self, stream: Stream, count: int, reason: str) -> None:
        gone = self._scratch.discard(stream.pipe, count)
        if not gone:
            return
        lines = gone.count(b"\n")
        stream.lose(reason, lines, len(gone))
        stream.gap_open = not gone.endswith(b"\n")
        stream.shed_at = time.monotonic()


def _space(stream: Stream, now: float) -> int:
    """Bytes that the segment still takes; without bound while the next one cannot be begun."""
    return BOUNDLESS if now < stream.rotate_at else stream.limits.max_size - stream.tape.filled


def _rotate(stream: Stream, now: float) -> None:
    try:
        stream.tape.rotate(stream.limits.max_files)
    except OSError as refusal:
        # Better a segment that is too long than output that is lost.
        stream.hitch = f"cannot begin the next log file: {_words(refusal)}"
        stream.rotate_at = now + RETRY
    else:
        stream.hitch, stream.rotate_at = "", 0.0


def _words(refusal: OSError) -> str:
    """'no space left on device'."""
    words = os.strerror(refusal.errno) if refusal.errno else str(refusal)
    return words[:1].lower() + words[1:]
