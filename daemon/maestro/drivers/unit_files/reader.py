"""One unit file: read if its owner and mode allow it, and kept until it changes."""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator

from msgspec import Struct

from maestro.ports import Piece

LARGEST = 1 << 20  # bytes
_SETTLED = (
    100_000_000  # ns; a file changed later than this before it was read may change again in the same tick
)
NOWHERE = "/dev/null"  # where the link leads that masks a unit
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_IDENTITY = struct.Struct("=QQQqq")


class _Kept(Struct, frozen=True, gc=False):
    identity: bytes  # of a thousand files: a third of what the numbers would take
    trusted: str  # what was wrong with who may write it, or with its directory, when it was read
    piece: Piece


class _Refused(Exception):
    """A file is not taken; says why."""


class Reader:
    """Takes files that nobody but their owner and root may write."""

    def __init__(self, owner_uid: int) -> None:
        self._owners = {0, owner_uid}
        self._before: dict[str, _Kept] = {}
        self._kept: dict[str, _Kept] = {}

    def turn(self) -> None:
        """A reading of all files begins: what it does not meet is not kept."""
        self._before, self._kept = self._kept, {}

    def read(self, path: str, distrust: str = "") -> Piece:
        """One file, from what was kept when it is the same. `distrust` is what is wrong with its directory."""
        before = self._kept.get(path) or self._before.get(path)
        try:
            status = os.stat(path)
            if os.path.islink(path):
                real = os.path.realpath(path)
                if real == NOWHERE:
                    return Piece(path=path, masked=not distrust, refused=distrust)
                distrust = distrust or self.distrust(os.path.dirname(real))
            if before is not None and before.identity == _identity(status) and before.trusted == distrust:
                self._kept[path] = before
                return before.piece
            if distrust:
                raise _Refused(distrust)
            _check_kind(status)  # before it is opened: opening a device may do something
            text, status = self._text(path)
        except _Refused as refusal:
            piece = Piece(path=path, refused=str(refusal))
        except OSError as error:
            return Piece(path=path, refused=cannot("cannot be read", error, path))
        else:
            piece = Piece(path=path, text=text)
        if time.time_ns() - status.st_ctime_ns > _SETTLED:
            self._kept[path] = _Kept(_identity(status), distrust, piece)
        return piece

    def _text(self, path: str) -> tuple[bytes, os.stat_result]:
        """Opened without waiting, so that a named pipe cannot hold us up, and judged by what was opened."""
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            status = os.fstat(file)
            _check_kind(status)  # again: it may have changed since it was looked at
            if distrust := self._distrust(status, path):
                raise _Refused(distrust)
            if status.st_size > LARGEST:
                raise _Refused(f"has {status.st_size:,} bytes: {LARGEST:,} are allowed")
            text = _all(file, status.st_size)
        finally:
            os.close(file)
        if len(text) > LARGEST:
            raise _Refused(f"grew beyond {LARGEST:,} bytes")
        return text, status

    # -------------------------------------------------------------------------------------------- trust

    def _distrust(self, status: os.stat_result, path: str) -> str:
        """Why this may not be trusted: others than its owner and root may write it. Empty when it may."""
        if status.st_uid not in self._owners:
            return f"belongs to user {status.st_uid}: chown it to root"
        if status.st_mode & stat.S_IWGRP:
            return f"is writable by group: chmod g-w {path}"
        if status.st_mode & stat.S_IWOTH:
            return f"is writable by all: chmod o-w {path}"
        return ""

    def distrust(self, directory: str) -> str:
        """The same of a directory: who may write there may replace what is in it."""
        try:
            distrust = self._distrust(os.stat(directory), directory)
        except OSError:
            return ""  # reading it says why
        return f"its directory {directory} {distrust}" if distrust else ""


def _all(file: int, size: int) -> bytes:
    """At most one byte more than is allowed.

    Asked for as much as it has, and not as may be: a short text in room for a long one keeps a page of memory to itself.
    """
    with open(file, "rb", closefd=False) as stream:
        text = stream.read(size + 1)
        if len(text) > size:  # it has grown
            text += stream.read(LARGEST + 1 - len(text))
    return text


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _Refused(f"is {_KINDS.get(stat.S_IFMT(status.st_mode), 'something else')}, not a file")


def _identity(status: os.stat_result) -> bytes:
    return _IDENTITY.pack(
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


def entries(
    directory: str, bad: Callable[[Piece], object] = lambda piece: None
) -> Iterator[os.DirEntry[str]]:
    """What is in a directory, by name. One that cannot be read is told; none is fine."""
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        bad(Piece(path=directory, refused=cannot("cannot be read", error, directory)))
        return
    yield from (entry for entry in entries if not entry.name.startswith("."))


def cannot(what: str, error: OSError, path: str) -> str:
    if error.errno == errno.ENOENT and os.path.islink(path):
        return f"is a link to {os.readlink(path)}, which does not exist"
    return f"{what}: {os.strerror(error.errno or 0).lower()}"
