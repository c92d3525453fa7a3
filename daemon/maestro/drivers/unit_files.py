"""The directories that unit files are read from. Reads and links; what the files mean is the model's."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from maestro.model import names
from maestro.model.names import UnitName
from maestro.model.plain import Mistake
from maestro.ports import Piece, UnitSources

LARGEST = 1 << 20  # bytes
_SETTLED = (
    100_000_000  # ns; a file changed later than this before it was read may change again in the same tick
)
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_Identity = tuple[int, ...]


class _Kept(Struct, frozen=True):
    identity: _Identity
    trusted: str  # what was wrong with who may write it, or with its directory, when it was read
    piece: Piece


class _Refused(Exception):
    """A file is not taken; says why."""


class UnitDirectories:
    """Unit files in directories; of two with the same name, the one in the earlier directory counts."""

    def __init__(self, directories: Sequence[str], owner_uid: int) -> None:
        self._directories = tuple(directories)
        self._owners = {0, owner_uid}
        self._kept: dict[str, _Kept] = {}

    # -------------------------------------------------------------------------------------------- reading

    def read(self) -> UnitSources:
        """All files as they are now. Never waits for anything but the disk."""
        files: dict[str, Piece] = {}
        links: dict[str, dict[str, dict[str, None]]] = {"wants": {}, "requires": {}}
        kept: dict[str, _Kept] = {}
        for directory in self._directories:
            distrust = self._distrust_directory(directory)
            for entry in _entries(directory, files):
                if entry.name in files:
                    continue
                if entry.name.endswith((".wants", ".requires")):
                    self._read_links(entry, distrust, links, files)
                elif entry.name.endswith((names.SUFFIX, ".yml")):
                    files[entry.name] = self._piece(entry.path, distrust, kept)
                elif entry.name.endswith(f"{names.SUFFIX}.d"):
                    files[entry.name] = Piece(
                        path=entry.path, refused="drop-ins are not supported yet by this version"
                    )
        self._kept = kept
        wants, requires = (
            {target: tuple(units) for target, units in links[kind].items()} for kind in ("wants", "requires")
        )
        return UnitSources(files=files, links=wants, requirements=requires, directories=self._directories)

    def draft(self, path: str) -> Piece:
        """One file from anywhere, by the same rules but for those on its directory: it is not installed yet."""
        return self._piece(path, "", {})

    def _read_links(
        self,
        entry: os.DirEntry[str],
        distrust: str,
        links: dict[str, dict[str, dict[str, None]]],
        files: dict[str, Piece],
    ) -> None:
        """What a directory such as default.target.wants names. What its links point at does not matter."""
        target, _, kind = entry.name.rpartition(".")
        distrust = distrust or self._distrust_directory(entry.path)
        if distrust or not entry.is_dir():
            files[entry.path] = Piece(path=entry.path, refused=distrust or "is not a directory")
            return
        for link in _entries(entry.path, files):
            try:
                unit = names.split_file(link.name)
                if unit.is_template:
                    raise Mistake("a template is no unit: link an instance")
                links[kind].setdefault(names.split(target).full, {})[unit.full] = None
            except Mistake as mistake:
                files[f"{entry.name}/{link.name}"] = Piece(path=link.path, refused=str(mistake))

    def _piece(self, path: str, distrust: str, kept: dict[str, _Kept]) -> Piece:
        """One file, from what was kept when it is the same."""
        before = self._kept.get(path)
        try:
            status = os.stat(path)
            distrust = distrust or self._distrust_real(path)
            if before is not None and before.identity == _identity(status) and before.trusted == distrust:
                kept[path] = before
                return before.piece
            if distrust:
                raise _Refused(distrust)
            _check_kind(status)  # before it is opened: opening a device may do something
            text, status = self._text(path)
        except _Refused as refusal:
            piece = Piece(path=path, refused=str(refusal))
        except OSError as error:
            return Piece(path=path, refused=_cannot("cannot be read", error, path))
        else:
            piece = Piece(path=path, text=text)
        if time.time_ns() - status.st_ctime_ns > _SETTLED:
            kept[path] = _Kept(_identity(status), distrust, piece)
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
            with open(file, "rb", closefd=False) as stream:
                text = stream.read(LARGEST + 1)
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

    def _distrust_directory(self, directory: str) -> str:
        try:
            distrust = self._distrust(os.stat(directory), directory)
        except OSError:
            return ""  # reading it says why
        return f"its directory {directory} {distrust}" if distrust else ""

    def _distrust_real(self, path: str) -> str:
        """The same for the directory that a link leads to: who may write there may replace the file."""
        return (
            self._distrust_directory(os.path.dirname(os.path.realpath(path))) if os.path.islink(path) else ""
        )

    # -------------------------------------------------------------------------------------------- enabling

    def enable(self, name: str, targets: Iterable[str], required_by: Iterable[str] = ()) -> list[str]:
        """Make targets want or require a unit: links in the first directory. Says what was done."""
        unit = names.split(name)
        source = self._source(unit)
        done = []
        for kind, targeted in (("wants", targets), ("requires", required_by)):
            for target in targeted:
                directory = os.path.join(self._directories[0], f"{names.split(target).full}.{kind}")
                link = os.path.join(directory, unit.file)
                if _link(source, link):
                    done.append(f"created {link} -> {source}")
        return done

    def disable(self, name: str) -> list[str]:
        """Take away all links to a unit from the first directory. Says what was done."""
        unit = names.split(name)
        done = []
        for link in self._links_to(unit):
            os.unlink(link)
            _sync(os.path.dirname(link))
            done.append(f"removed {link}")
            _remove_empty(os.path.dirname(link))
        return done

    def _source(self, unit: UnitName) -> str:
        """The file that makes a unit: its own, or its template."""
        files = [unit.file] + ([unit.template.file] if unit.template is not None else [])
        for file in files:
            for directory in self._directories:
                path = os.path.join(directory, file)
                if os.path.lexists(path):
                    return path
        raise FileNotFoundError(errno.ENOENT, f"no file for {unit.full}: {' or '.join(files)}")

    def _links_to(self, unit: UnitName) -> list[str]:
        return [
            link.path
            for entry in _entries(self._directories[0], {})
            if entry.name.endswith((".wants", ".requires")) and entry.is_dir()
            for link in _entries(entry.path, {})
            if link.name == unit.file
        ]


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _Refused(f"is {_KINDS.get(stat.S_IFMT(status.st_mode), 'something else')}, not a file")


def _identity(status: os.stat_result) -> _Identity:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _entries(directory: str, files: dict[str, Piece]) -> Iterator[os.DirEntry[str]]:
    """What is in a directory, by name. One that cannot be read is noted among the files; none is fine."""
    try:
        with os.scandir(directory) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        files[directory] = Piece(path=directory, refused=_cannot("cannot be read", error, directory))
        return
    yield from (entry for entry in entries if not entry.name.startswith("."))


def _cannot(what: str, error: OSError, path: str) -> str:
    if error.errno == errno.ENOENT and os.path.islink(path):
        return f"is a link to {os.readlink(path)}, which does not exist"
    return f"{what}: {os.strerror(error.errno or 0).lower()}"


def _link(source: str, link: str) -> bool:
    """Make a link, in one step, unless it is there already."""
    if os.path.islink(link) and os.readlink(link) == source:
        return False
    if os.path.lexists(link) and not os.path.islink(link):
        raise FileExistsError(errno.EEXIST, "is in the way: it is no link", link)
    directory = os.path.dirname(link)
    if not os.path.isdir(directory):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)  # whatever the umask: one that all may write is refused
    new = os.path.join(directory, f".{os.path.basename(link)[:200]}.new{os.getpid()}")
    try:
        os.symlink(source, new)
        os.replace(new, link)
    except BaseException:
        _unlink(new)
        raise
    _sync(directory)
    return True


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _remove_empty(directory: str) -> None:
    with contextlib.suppress(OSError):  # others are linked there
        os.rmdir(directory)


def _sync(directory: str) -> None:
    """What was done in a directory holds after a power cut."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
