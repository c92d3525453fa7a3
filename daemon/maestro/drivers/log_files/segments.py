"""The files of one stream. A segment is named by its first byte's offset: each byte has its own for ever."""

from __future__ import annotations

import contextlib
import logging
import os
from bisect import bisect_right

from maestro.drivers.log_files.pipes import move
from maestro.drivers.log_files.sharing import Readers, share

_log = logging.getLogger("maestro.logs")
LOOK_EVERY = 0.2  # seconds between two looks whether our file is still the one at its path


def log_path(path: str, start: int) -> str:
    return f"{path}/{start:020d}.log"


def index_path(path: str, start: int) -> str:
    return f"{path}/{start:020d}.idx"


def listing(path: str) -> list[int]:
    """First offsets of the segments in a directory, oldest first; none when it does not exist."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return []
    return sorted(
        int(name[:20]) for name in names if len(name) == 24 and name.endswith(".log") and name[:20].isdigit()
    )


class Shelf:
    """Reads a stream as one long run of bytes. Keeps nothing open, so it may be used from any thread."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def starts(self) -> list[int]:
        return listing(self.path)

    def bounds(self) -> tuple[int, int]:
        """Offsets of the oldest byte that is kept and of the next byte to come."""
        starts = self.starts()
        return (starts[0], starts[-1] + self.size(starts[-1])) if starts else (0, 0)

    def end(self) -> int:
        """Offset of the next byte; 0 when the files cannot be looked at."""
        try:
            return self.bounds()[1]
        except OSError:
            return 0

    def size(self, start: int) -> int:
        """Bytes in a segment; 0 when it has just been deleted."""
        try:
            return os.stat(log_path(self.path, start)).st_size
        except FileNotFoundError:
            return 0

    def read(self, offset: int, count: int) -> tuple[int, bytes]:
        """Up to `count` bytes from `offset` on, or where kept bytes go on; and that offset. None: the end."""
        # Listed before it is read: where a later segment is listed, the one before it grows no more.
        starts = self.starts()
        for start in starts[max(bisect_right(starts, offset) - 1, 0) :]:
            at = max(offset, start)
            if data := self.read_segment(start, at, count):
                return at, data
        return offset, b""

    def read_segment(self, start: int, offset: int, count: int) -> bytes:
        try:
            fd = os.open(log_path(self.path, start), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(fd, count, offset - start)
        finally:
            os.close(fd)


class Tape:
    """The write end of a stream; the newest segment's size is its only lasting state. The pump's."""

    __slots__ = (
        "_boundary",
        "_directory",
        "_fd",
        "_inode",
        "_linked",
        "_look_at",
        "_name",
        "_readers",
        "end",
        "start",
    )

    def __init__(self, directory: str, name: str) -> None:
        self._directory, self._name = directory, name
        self.start = 0  # offset of the current segment
        self.end = -1  # offset of the next byte; -1 until the files have been looked at
        self._fd = -1
        self._inode = 0
        self._look_at = 0.0  # monotonic seconds
        self._boundary: bool | None = None  # does the last byte end a line? None: not looked at
        self._linked = False
        self._readers: Readers | None = None  # nobody has said: those that there are stay

    @property
    def path(self) -> str:
        return f"{self._directory}/{self._name}"

    def share(self, readers: Readers) -> None:
        """Let these users and groups read the files, those to come as well."""
        self._readers = readers
        try:
            share(self.path, readers)
        except FileNotFoundError:
            pass  # nothing was written yet
        except OSError as error:
            _log.warning("%s: its owner cannot be let read it: %s", self.path, error.strerror or error)

    @property
    def filled(self) -> int:
        """Bytes in the current segment."""
        return self.end - self.start

    def find(self) -> None:
        """Take up where the files end; opens and creates nothing."""
        if self.end < 0:
            starts = listing(self.path)
            start = starts[-1] if starts else 0
            self.start, self.end = (
                start,
                start + (os.stat(log_path(self.path, start)).st_size if starts else 0),
            )

    def ready(self, now: float) -> bool:
        """Have the segment open; True when it was opened anew. Notices its removal by hand."""
        if self._fd >= 0 and now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY
        if self._fd >= 0 and self._in_place():
            if not self._linked:
                self._link()
            return False
        self.close()
        self._open()
        return True

    def _in_place(self) -> bool:
        try:
            return os.stat(log_path(self.path, self.start)).st_ino == self._inode
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self.path), 0o750, exist_ok=True)
        os.makedirs(self.path, 0o750, exist_ok=True)
        if self._readers is not None:
            self.share(self._readers)
        self.find()
        starts = listing(self.path)
        start = starts[-1] if starts else self.end
        size = os.stat(log_path(self.path, start)).st_size if starts else 0
        if start + size < self.end:  # removed by hand: go on with the offsets that readers know
            start, size = self.end, 0
        self._use(self._open_segment(start), start, start + size)
        self._boundary = None

    def _open_segment(self, start: int) -> int:
        # Not O_APPEND: splice refuses such a file.
        return os.open(log_path(self.path, start), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _use(self, fd: int, start: int, end: int) -> None:
        self._fd, self.start, self.end = fd, start, end
        self._inode = os.fstat(fd).st_ino
        self._link()

    def _link(self) -> None:
        target = os.path.basename(log_path(self.path, self.start))
        passing = f"{self.path}/.current"
        self._linked = False
        with contextlib.suppress(OSError):  # only a convenience for `tail -F`: tried again at the next look
            with contextlib.suppress(FileNotFoundError):
                os.unlink(passing)
            os.symlink(target, passing)
            os.rename(passing, f"{self.path}/current")
            self._linked = True

    def splice(self, pipe: int, count: int) -> int:
        """Move up to `count` bytes from the pipe to the end; 0 when the pipe is empty."""
        moved = move(pipe, self._fd, count, self.end - self.start)
        if moved:
            self.end += moved
            self._boundary = None
        return moved

    def write(self, line: bytes) -> None:
        """Append a line of our own at a line boundary, wholly or not at all."""
        data = line if self.at_boundary() else b"\n" + line
        at = self.end - self.start
        written = 0
        try:
            while written < len(data):  # a short write: the disk became full; the next try tells why
                written += os.pwrite(self._fd, data[written:], at + written)
        except OSError:
            os.ftruncate(self._fd, at)
            raise
        self.end += written
        self._boundary = True

    def at_boundary(self) -> bool:
        """Whether the next byte begins a line."""
        if self._boundary is None:
            self._boundary = self._last_byte() in (b"", b"\n")
        return self._boundary

    def _last_byte(self) -> bytes:
        if self.end > self.start:
            return os.pread(self._fd, 1, self.end - self.start - 1)
        earlier = [start for start in listing(self.path) if start < self.start]
        return Shelf(self.path).read_segment(earlier[-1], self.end - 1, 1) if earlier else b""

    def rotate(self, max_files: int) -> None:
        """Go on in a new segment and delete the oldest ones. On OSError the old segment is still in use."""
        boundary = self.at_boundary()
        fd = self._open_segment(self.end)
        self.close()
        self._use(fd, self.end, self.end)
        self._boundary = boundary
        self.prune(max_files)

    def prune(self, max_files: int) -> None:
        """Delete the oldest segments. What cannot be deleted now is tried again at the next rotation."""
        for start in listing(self.path)[: -max(max_files, 1)]:
            for victim in (log_path(self.path, start), index_path(self.path, start)):
                with contextlib.suppress(OSError):
                    os.unlink(victim)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
