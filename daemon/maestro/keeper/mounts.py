"""The file systems that a child sees: laid in its own mount namespace, one after the other.

Each is a tuple of a word and its arguments, shorter paths first:

    set PATH ATTRIBUTES              the mount at PATH and all below it get the attributes
    tree SOURCE TARGET ATTRS FLAGS   what is at SOURCE shows at TARGET, with these attributes besides its own
    own SOURCE TARGET ATTRS FLAGS    the same, and the directory SOURCE is made where it is missing, for all to write to
    tmpfs TARGET DATA ATTRS FLAGS    an empty file system
    proc TARGET DATA ATTRS FLAGS     the processes of our pid namespace
    dev TARGET ATTRS                 pseudo-devices; the attributes count for what is mounted among them, too
    hide TARGET FLAGS                it cannot be entered or opened; MAKE: nor what is there later

What shows somewhere else, or again below what hides it, is taken hold of before anything is laid: with the
attributes that it has on the host, which a remount that lets write would lose.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from maestro.keeper import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8  # MOUNT_ATTR_x, and MS_x alike
OPTIONAL, FRESH, FLAT, MAKE = (
    1,
    2,
    4,
    8,
)  # it may be missing; taken when its turn comes; no mounts below; made
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_HERE, _EMPTY_PATH, _RECURSIVE = -100, 0x1000, 0x8000
_CLONE = 1
_FROM_EMPTY_PATH, _TO_SYMLINK = 0x4, 0x10
REC = 1 << 14
PROPAGATION = {"private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "log")  # the last where it is there
LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "fd/0"),
    ("stdout", "fd/1"),
    ("stderr", "fd/2"),
    ("ptmx", "pts/ptmx"),
)
FILE_SYSTEMS = (  # among the devices: name, kind, attributes, data
    ("pts", "devpts", NOSUID | NOEXEC, "newinstance,ptmxmode=0666,mode=0620"),
    ("shm", "tmpfs", NOSUID | NODEV, "mode=1777"),
    ("mqueue", "mqueue", NOSUID | NODEV | NOEXEC, ""),
)
OF_DEVICES = "mode=0755,size=4m,nr_inodes=64k"
OF_NOTHING = "mode=0000,size=4k"
NOTHING = RDONLY | NOSUID | NODEV | NOEXEC  # the attributes of what is shown instead of what is hidden
_GONE = (errno.ENOENT, errno.ENOTDIR)


class Layer:
    """Lays the mounts; `doing` completes "cannot ..." for the one that is being laid."""

    def __init__(self) -> None:
        self.doing = "have mounts of its own"
        self._held: dict[int, int] = {}  # place of a mount in the list -> what is taken hold of
        self._devices: dict[str, int] = {}
        self._null = -1  # the host's, whatever is laid over it: what shows where a file is hidden
        self._empty = -1  # the same where a directory is
        self._shows_null = False
        self._closing: list[tuple[str, int, int]] = []  # mounts, and attributes that are set once all is laid

    def lay(self, mounts: tuple[tuple[Any, ...], ...], propagation: str) -> None:
        mask = os.umask(0)
        kernel.mount("", "/", "", REC | PROPAGATION["private" if propagation == "private" else "slave"])
        for place, (word, *given) in enumerate(mounts):
            self._take_hold(place, word, given)
        for place, (word, *given) in enumerate(mounts):
            self.doing = _words(word, given)
            getattr(self, f"_{word}")(place, *given)
        for path, fd, attributes in self._closing:
            self.doing = f"close {path}"
            _set_attributes(fd, "", attributes, _EMPTY_PATH)
            os.close(fd)
        if propagation == "shared":
            kernel.mount("", "/", "", REC | PROPAGATION["shared"])
        for fd in (*self._held.values(), *self._devices.values(), self._null, self._empty):
            if fd >= 0:
                os.close(fd)
        os.umask(mask)
        os.chdir("/")  # by name: as the mounts have it

    def _take_hold(self, place: int, word: str, given: list[Any]) -> None:
        self.doing = _words(word, given)
        if word == "tree" and not given[3] & FRESH:
            self._held[place] = _grasp(given[0], given[3])
        elif word == "own":
            _make_common(given[0])
            self._held[place] = _grasp(given[0], given[3])
        elif word == "dev":
            self._devices = {name: _grasp(f"/dev/{name}", OPTIONAL | FLAT) for name in DEVICES}
        elif word == "hide":
            if self._null < 0:
                self._null = _grasp("/dev/null", FLAT)
                _set_attributes(self._null, "", NOTHING, _EMPTY_PATH)
            if given[1] & MAKE:
                _make_private(given[0])

    def _set(self, _: int, path: str, attributes: int) -> None:
        _set_attributes(_HERE, path, attributes, _RECURSIVE)

    def _tree(self, place: int, source: str, target: str, attributes: int, flags: int) -> None:
        fd = _grasp(source, flags) if flags & FRESH else self._held[place]
        if fd < 0:
            return
        self._held[place] = fd
        if attributes:
            _set_attributes(fd, "", attributes, _EMPTY_PATH | (0 if flags & FLAT else _RECURSIVE))
        if flags & MAKE:
            _make_place(target, stat.S_ISDIR(os.stat(fd).st_mode))
        try:
            _put(fd, target)
        except OSError as error:
            if not flags & OPTIONAL or error.errno not in _GONE:
                raise

    _own = _tree

    def _tmpfs(self, _: int, target: str, data: str, attributes: int, flags: int) -> None:
        if flags & MAKE:
            _make_place(target, True)
        elif flags & OPTIONAL and not os.path.isdir(target):
            return
        kernel.mount("tmpfs", target, "tmpfs", attributes & ~RDONLY, data)
        if attributes & RDONLY:
            self._close_later(target, RDONLY)

    def _close_later(self, path: str, attributes: int) -> None:
        """What is mounted there at this moment, whatever is laid over it until then."""
        self._closing.append((path, os.open(path, os.O_PATH | os.O_CLOEXEC), attributes))

    def _proc(self, _: int, target: str, data: str, attributes: int, flags: int) -> None:
        if flags & OPTIONAL and not os.path.isdir(target):
            return
        kernel.mount("proc", target, "proc", attributes, data)

    def _hide(self, _: int, target: str, flags: int) -> None:
        try:
            is_directory = stat.S_ISDIR(os.stat(target).st_mode)
        except OSError as error:
            if flags & OPTIONAL and error.errno in (*_GONE, errno.EACCES):
                return
            raise
        if is_directory and self._empty < 0:
            kernel.mount("tmpfs", target, "tmpfs", NOTHING, OF_NOTHING)
            self._empty = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        elif is_directory:
            _put_again(self._empty, target)
        elif self._shows_null:
            _put_again(self._null, target)
        else:
            _put(self._null, target)
            self._shows_null = True

    def _dev(self, _: int, target: str, attributes: int) -> None:
        if not os.path.isdir(target):
            return
        kernel.mount("tmpfs", target, "tmpfs", NOSUID, OF_DEVICES)
        for name, fd in self._devices.items():
            if fd >= 0:
                _make_place(f"{target}/{name}", False)
                _put(fd, f"{target}/{name}")
        for name, to in LINKS:
            os.symlink(to, f"{target}/{name}")
        for name, kind, flags, data in FILE_SYSTEMS:
            os.mkdir(f"{target}/{name}")
            try:
                kernel.mount(kind, f"{target}/{name}", kind, flags, data)
            except PermissionError:
                if kind != "mqueue":  # belongs to the queues, which it may share with us
                    raise
                continue
            if attributes:
                self._close_later(f"{target}/{name}", attributes)
        self._close_later(target, RDONLY | NOEXEC | attributes)


def _words(word: str, given: list[Any]) -> str:
    if word in ("tree", "own") and given[0] != given[1]:
        return f"show {given[0]} at {given[1]}"
    where = given[1] if word in ("tree", "own") else given[0]
    what = {"tmpfs": "an empty file system", "proc": "a /proc of its own", "dev": "devices of its own"}
    return f"hide {where}" if word == "hide" else f"have {what.get(word, 'a protected view')} at {where}"


def _grasp(path: str, flags: int) -> int:
    """What is at `path` now, as a mount that is nowhere; -1 where it may be missing, and is."""
    how = _CLONE | os.O_CLOEXEC | (0 if flags & FLAT else _RECURSIVE)
    try:
        return kernel.syscall(_OPEN_TREE, _HERE, os.fsencode(path), how)
    except OSError as error:
        if flags & OPTIONAL and error.errno in (*_GONE, errno.EACCES):
            return -1
        raise


def _put_again(fd: int, target: str) -> None:
    """What shows somewhere in our own view already: of a mount that is nowhere, older kernels make no other."""
    again = kernel.syscall(_OPEN_TREE, fd, b"", _CLONE | os.O_CLOEXEC | _EMPTY_PATH)
    _put(again, target)
    os.close(again)


def _put(fd: int, target: str) -> None:
    kernel.syscall(_MOVE_MOUNT, fd, b"", _HERE, os.fsencode(target), _FROM_EMPTY_PATH | _TO_SYMLINK)


def _set_attributes(fd: int, path: str, attributes: int, how: int) -> None:
    words = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    kernel.syscall(_MOUNT_SETATTR, fd, os.fsencode(path), how, words, ctypes.sizeof(words))


def _make_place(path: str, is_directory: bool) -> None:
    """Something that can be mounted on, and the directories above it."""
    parts = path.strip("/").split("/")
    for end in range(1, len(parts) + 1):
        one = "/" + "/".join(parts[:end])
        try:
            if end < len(parts) or is_directory:
                os.mkdir(one, 0o755)
            else:
                os.close(os.open(one, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno != errno.EROFS or not os.path.exists(one):
                raise


def _make_private(path: str) -> None:
    """A directory that only we can enter, for others of us to use later."""
    if not os.path.isdir(path):
        _make_place(os.path.dirname(path), True)
        try:  # noqa: SIM105 (contextlib costs the keeper memory)
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass


def _make_common(path: str) -> None:
    """A directory for all to write to, in one that only we can enter."""
    above = os.path.dirname(path)
    for one, mode in ((os.path.dirname(above), 0o711), (above, 0o700), (path, 0o1777)):
        try:  # noqa: SIM105 (contextlib costs the keeper memory)
            os.mkdir(one, mode)
        except FileExistsError:
            pass
