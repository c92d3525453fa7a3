"""Mounts on a tape: what the steps of mounts.py do, as system calls that follow one another. What they mean is said there."""

from __future__ import annotations

import errno
import os
import stat

from maestro.keeper import mounts
from maestro.keeper.mounts import FLAT, FRESH, MAKE, NOEXEC, NOSUID, OPTIONAL, RDONLY
from maestro.keeper.tape import ANY, NEVER, SCRATCH, Label, Register

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from maestro.keeper.tape import Tape

_HERE, _EMPTY_PATH, _RECURSIVE = -100, 0x1000, 0x8000
_CLONE = 1
_THERE = {errno.EEXIST: None}
_THERE_OR_READ_ONLY = {
    errno.EEXIST: None,
    errno.EROFS: None,
}  # and then what is to be in it says whether it is there
_PUT = 0x4 | 0x10  # from an empty path, to where a link leads


class Laying:
    """The same as mounts.Layer, on a tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._held: dict[int, Register] = {}
        self._devices: dict[str, Register] = {}
        self._null, self._empty = tape.register(), tape.register()
        self._shows_null, self._again = tape.register(), tape.register()
        self._holds_null = False
        self._closing: list[tuple[Register, int]] = []

    def lay(self, wanted: tuple[tuple[Any, ...], ...], propagation: str, mask: int) -> None:
        tape = self._tape
        tape.do("umask", 0)
        self._propagate("private" if propagation == "private" else "slave")
        for place, (word, *given) in enumerate(wanted):
            self._take_hold(place, word, given)
        for place, (word, *given) in enumerate(wanted):
            getattr(self, f"_{word}")(place, *given)
        for fd, attributes in self._closing:
            after = Label()
            tape.unless(fd, after)
            self._set_attributes(fd, "", attributes, _EMPTY_PATH)
            tape.here(after)
        if propagation == "shared":
            self._propagate("shared")
        tape.do("umask", mask)
        tape.do("chdir", "/")

    def _propagate(self, how: str) -> None:
        self._tape.do("mount", 0, "/", 0, mounts.REC | mounts.PROPAGATION[how], 0)

    def _take_hold(self, place: int, word: str, given: list[Any]) -> None:
        if word == "tree" and not given[3] & FRESH:
            self._held[place] = self._grasp(given[0], given[3])
        elif word == "own":
            self._make_common(given[0])
            self._held[place] = self._grasp(given[0], given[3])
        elif word == "dev":
            self._devices = {name: self._grasp(f"/dev/{name}", OPTIONAL | FLAT) for name in mounts.DEVICES}
        elif word == "hide":
            if not self._holds_null:
                self._holds_null = True
                self._tape.do("open_tree", _HERE, "/dev/null", _CLONE | os.O_CLOEXEC, result=self._null)
                self._set_attributes(self._null, "", mounts.NOTHING, _EMPTY_PATH)
            if given[1] & MAKE:
                self._make_private(given[0])

    def _set(self, _: int, path: str, attributes: int) -> None:
        self._set_attributes(_HERE, path, attributes, _RECURSIVE)

    def _tree(self, place: int, source: str, target: str, attributes: int, flags: int) -> None:
        tape, after = self._tape, Label()
        fd = self._grasp(source, flags) if flags & FRESH else self._held[place]
        if flags & OPTIONAL:
            tape.unless(fd, after)
        if attributes:
            self._set_attributes(fd, "", attributes, _EMPTY_PATH | (0 if flags & FLAT else _RECURSIVE))
        if flags & MAKE:
            self._make_place_for(fd, target)
        gone = {errno.ENOENT: None, errno.ENOTDIR: None} if flags & OPTIONAL else {}
        tape.do("move_mount", fd, "", _HERE, target, _PUT, on=gone)
        tape.here(after)

    _own = _tree

    def _tmpfs(self, _: int, target: str, data: str, attributes: int, flags: int) -> None:
        after = Label()
        if flags & MAKE:
            self._make_place(target, True)
        elif flags & OPTIONAL:
            self._look(f"{target}/", on={ANY: after})
        self._mount("tmpfs", target, attributes & ~RDONLY, data)
        if attributes & RDONLY:
            self._close_later(target, RDONLY)
        self._tape.here(after)

    def _close_later(self, path: str, attributes: int) -> None:
        fd = self._tape.register()
        self._tape.do("openat", _HERE, path, os.O_PATH | os.O_CLOEXEC, result=fd)
        self._closing.append((fd, attributes))

    def _proc(self, _: int, target: str, data: str, attributes: int, flags: int) -> None:
        after = Label()
        if flags & OPTIONAL:
            self._look(f"{target}/", on={ANY: after})
        self._mount("proc", target, attributes, data)
        self._tape.here(after)

    def _hide(self, _: int, target: str, flags: int) -> None:
        tape, after, is_file = self._tape, Label(), Label()
        missing = dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EACCES), after)
        self._look(target, on=missing if flags & OPTIONAL else {})
        self._look(f"{target}/", on={errno.ENOTDIR: is_file})
        first = Label()
        tape.unless(self._empty, first)
        self._put_again(self._empty, target)
        tape.go(after)
        tape.here(first)
        self._mount("tmpfs", target, mounts.NOTHING, mounts.OF_NOTHING)
        tape.do("openat", _HERE, target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, result=self._empty)
        tape.go(after)
        tape.here(is_file)
        first = Label()
        tape.unless(self._shows_null, first)
        self._put_again(self._null, target)
        tape.go(after)
        tape.here(first)
        tape.do("move_mount", self._null, "", _HERE, target, _PUT, result=self._shows_null)
        tape.here(after)

    def _put_again(self, fd: Register, target: str) -> None:
        again = self._again
        self._tape.do("open_tree", fd, "", _CLONE | os.O_CLOEXEC | _EMPTY_PATH, result=again)
        self._tape.do("move_mount", again, "", _HERE, target, _PUT)

    def _dev(self, _: int, target: str, attributes: int) -> None:
        tape, after = self._tape, Label()
        self._look(f"{target}/", on={ANY: after})
        self._mount("tmpfs", target, NOSUID, mounts.OF_DEVICES)
        for name, fd in self._devices.items():
            missing = Label()
            tape.unless(fd, missing)
            self._make_file(f"{target}/{name}")
            tape.do("move_mount", fd, "", _HERE, f"{target}/{name}", _PUT)
            tape.here(missing)
        for name, to in mounts.LINKS:
            tape.do("symlinkat", to, _HERE, f"{target}/{name}")
        for name, kind, flags, data in mounts.FILE_SYSTEMS:
            without = Label()
            tape.do("mkdirat", _HERE, f"{target}/{name}", 0o777)
            refused = dict.fromkeys((errno.EPERM, errno.EACCES), without) if kind == "mqueue" else {}
            self._mount(kind, f"{target}/{name}", flags, data, on=refused)
            if attributes:
                self._close_later(f"{target}/{name}", attributes)
            tape.here(without)
        self._close_later(target, RDONLY | NOEXEC | attributes)
        tape.here(after)

    # -------------------------------------------------------------------------------------------- single calls

    def _mount(
        self, kind: str, target: str, flags: int, data: str, on: Mapping[int, Label | None] = NEVER
    ) -> None:
        self._tape.do("mount", kind, target, kind, flags, data or 0, on=on)

    def _grasp(self, path: str, flags: int) -> Register:
        how = _CLONE | os.O_CLOEXEC | (0 if flags & FLAT else _RECURSIVE)
        gone = dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EACCES)) if flags & OPTIONAL else {}
        fd = self._tape.register()
        self._tape.do("open_tree", _HERE, path, how, result=fd, on=gone)
        return fd

    def _set_attributes(self, fd: int, path: str, attributes: int, how: int) -> None:
        words = self._tape.data(attributes.to_bytes(8, "little") + bytes(24))
        self._tape.do("mount_setattr", fd, path, how, words, 32)

    def _look(self, path: str, on: Mapping[int, Label | None]) -> None:
        """Whether there is something; with a slash at its end: whether it is a directory."""
        self._tape.do("newfstatat", _HERE, path, SCRATCH, 0, on=on)

    # -------------------------------------------------------------------------------------------- places

    def _make_place(self, path: str, is_directory: bool) -> None:
        parts = path.strip("/").split("/")
        for end in range(1, len(parts) + 1):
            one = "/" + "/".join(parts[:end])
            if end < len(parts):
                self._tape.do("mkdirat", _HERE, one, 0o755, on=_THERE_OR_READ_ONLY)
            elif is_directory:
                self._make_directory(one, 0o755)
            else:
                self._make_file(one)

    def _make_place_for(self, fd: Register, path: str) -> None:
        """A directory or a file, as what is held is."""
        tape, is_file, after = self._tape, Label(), Label()
        above, _, name = path.rstrip("/").rpartition("/")
        if above:
            self._make_place(above, True)
        tape.do("openat", fd, ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, on={errno.ENOTDIR: is_file})
        if name:
            self._make_directory(path, 0o755)
        tape.go(after)
        tape.here(is_file)
        self._make_file(path)
        tape.here(after)

    def _make_directory(self, path: str, mode: int) -> None:
        after = Label()
        self._tape.do("mkdirat", _HERE, path, mode, then=after, on={errno.EEXIST: after, errno.EROFS: None})
        self._tape.do("faccessat", _HERE, path, os.F_OK)  # on what is read-only, it has to be there
        self._tape.here(after)

    def _make_file(self, path: str) -> None:
        """By no descriptor: one that may write would hold up who makes the mount read-only."""
        after = Label()
        how = stat.S_IFREG | 0o644
        self._tape.do("mknodat", _HERE, path, how, 0, then=after, on={errno.EEXIST: after, errno.EROFS: None})
        self._tape.do("faccessat", _HERE, path, os.F_OK)
        self._tape.here(after)

    def _make_private(self, path: str) -> None:
        after = Label()
        there = Label()
        self._look(f"{path}/", on={ANY: there})
        self._tape.go(after)
        self._tape.here(there)
        above = os.path.dirname(path)
        if above.strip("/"):
            self._make_place(above, True)
        self._tape.do("mkdirat", _HERE, path, 0o700, on=_THERE)
        self._tape.here(after)

    def _make_common(self, path: str) -> None:
        above = os.path.dirname(path)
        for one, mode in ((os.path.dirname(above), 0o711), (above, 0o700), (path, 0o1777)):
            self._tape.do("mkdirat", _HERE, one, mode, on=_THERE)
