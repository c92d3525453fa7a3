"""What several streams may take together: the oldest files go, of whichever stream they are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from msgspec import Struct

from maestro.drivers.log_files.segments import index_path, listing, log_path


class Segment(Struct, frozen=True, order=True):
    """One file of output, and its index."""

    written: float  # when it was written to last
    stream: str
    start: int
    size: int
    is_last: bool  # of its stream: that is written to


class Cut(Struct, frozen=True):
    """What was removed of each stream, in bytes; and the streams whose newest file has to go as well."""

    removed: dict[str, int]
    too_long: tuple[str, ...] = ()


def trim(paths: Mapping[str, str], most: int) -> Cut:
    """Remove the oldest files of these streams until the rest is `most` bytes or less. What is written to is left."""
    found = [one for stream, path in paths.items() for one in _segments(stream, path)]
    over = sum(one.size for one in found) - most
    removed: dict[str, int] = {}
    for one in sorted(found):
        if over <= 0:
            break
        if not one.is_last and _is_removed(paths[one.stream], one.start):
            removed[one.stream] = removed.get(one.stream, 0) + one.size
            over -= one.size
    too_long = []
    for one in sorted((one for one in found if one.is_last and one.size), key=lambda one: -one.size):
        if over > 0:
            too_long.append(one.stream)
            over -= one.size
    return Cut(removed, tuple(too_long))


def _is_removed(path: str, start: int) -> bool:
    """What is still there counts on: a full or read-only disk may keep it."""
    try:
        os.unlink(log_path(path, start))
    except FileNotFoundError:
        pass  # its stream was faster
    except OSError:
        return False
    with contextlib.suppress(OSError):
        os.unlink(index_path(path, start))
    return True


def _segments(stream: str, path: str) -> list[Segment]:
    starts = listing(path)
    found = []
    for start in starts:
        with contextlib.suppress(OSError):
            log = os.stat(log_path(path, start))
            found.append(
                Segment(log.st_mtime, stream, start, log.st_size + _size(path, start), start == starts[-1])
            )
    return found


def _size(path: str, start: int) -> int:
    try:
        return os.stat(index_path(path, start)).st_size
    except OSError:
        return 0
