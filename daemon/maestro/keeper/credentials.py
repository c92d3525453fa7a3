"""What only one agent may see: its credentials, and the directories of its dynamic user, in a view of the file system of its own.

The files lie in a file system in memory that is mounted for its processes alone; where that may not be, in a
directory that the manager has found to be in memory. Imported only by children whose recipes ask for it.
"""

from __future__ import annotations

import os

from maestro.keeper import kernel
from maestro.keeper.directories import PRIVATE, is_in_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from maestro.keeper.child import Birth

NEWNS = 0x00020000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _SLAVE = 1, 2, 4, 8, 32, 4096, 1 << 14, 1 << 19
_FENCED = _NOSUID | _NODEV | _NOEXEC
_ROOM = "size=1M,nr_inodes=1k"
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def is_wanted(recipe: dict[str, Any]) -> bool:
    """Whether it needs a view of its own."""
    credentials = recipe.get("credentials") or {}
    return bool(credentials.get("mount")) or any(one[6] for one in recipe.get("directories", ()))


def make_place(birth: Birth) -> None:
    """The directory of its credentials: where they are mounted they are never in it, but over it."""
    path = birth.recipe["credentials"]["path"]
    birth.doing = f"a place for its credentials, {path}"
    above = os.path.dirname(path)
    if not os.path.isdir(above):
        os.makedirs(above, exist_ok=True)
        os.chmod(above, 0o711)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        os.close(os.open(path, _ENTER))


def be_apart(birth: Birth) -> None:
    """From here on what is mounted is seen by this process and its children only; and what the host mounts is seen by them, too."""
    kernel.call("unshare", NEWNS)
    kernel.call("mount", None, b"/", None, _REC | _SLAVE, None)
    given = birth.recipe.get("directories", ())
    bases = {one[1]: None for one in given if one[6]}
    for base in bases:
        # What is below one of them comes with it; and on the way there its user may have laid a trap.
        own = [one for one in given if one[6] and one[1] == base]
        names = [one[2] for one in own if not is_in_private(one, one[2], given)]
        _open_private(f"{base}/{PRIVATE}", names)


def _open_private(private: str, names: list[str]) -> None:
    """Of the directories that only root gets to, let it see its own, by the same paths."""
    fds = {name: os.open(f"{private}/{name}", _ENTER) for name in names}
    try:
        _mount(private, f"mode=0755,{_ROOM}")
        for name, fd in fds.items():
            os.makedirs(f"{private}/{name}", exist_ok=True)
            kernel.call(
                "mount", b"/proc/self/fd/%d" % fd, os.fsencode(f"{private}/{name}"), None, _BIND, None
            )
        _seal(private)
    finally:
        for fd in fds.values():
            os.close(fd)


def hand_over(birth: Birth) -> None:
    """Its credentials, as files that its user may read."""
    given = birth.recipe["credentials"]
    path, uid, gid = given["path"], given["uid"], given["gid"]
    birth.doing = f"its credentials in {path}"
    if given["mount"]:
        _mount_secrets(path)
    write(path, given["files"], uid, gid)
    if uid is not None:
        fd = os.open(path, _ENTER)
        try:
            os.fchown(fd, uid, gid)
            os.fchmod(fd, 0o500)
        finally:
            os.close(fd)
    if given["mount"]:
        _seal(path)


def write(path: str, files: Mapping[str, bytes | None], uid: int | None, gid: int | None) -> None:
    """Have exactly these files, each of them old or new at any moment; None: what there is of it stays.

    What the owner of the directory has put there is in no way of it.
    """
    directory = os.open(path, _ENTER)
    try:
        for name, data in files.items():
            if data is None:
                continue
            fresh = ":new"  # which no credential can be called
            _remove(fresh, directory)
            fd = os.open(fresh, _WRITE, 0o400, dir_fd=directory)
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(fd, left) :]
                if uid is not None and gid is not None:
                    os.fchown(fd, uid, gid)
                os.fchmod(fd, 0o400)
            finally:
                os.close(fd)
            os.rename(fresh, name, src_dir_fd=directory, dst_dir_fd=directory)
        for name in os.listdir(directory):
            if name not in files:
                _remove(name, directory)
    finally:
        os.close(directory)


def renew(path: str, files: Mapping[str, bytes | None], uid: int, gid: int) -> None:
    """The same where they are mounted, from within the view that they are mounted in."""
    target = os.fsencode(path)
    kernel.call("mount", None, target, None, _REMOUNT | _BIND | _FENCED, None)
    try:
        write(path, files, uid, gid)
    finally:
        _seal(path)


def _mount_secrets(path: str) -> None:
    """A file system in memory that is never swapped out."""
    try:
        _mount(path, f"noswap,mode=0500,{_ROOM}")
    except OSError:  # noswap came with Linux 6.3
        kernel.call("mount", b"ramfs", os.fsencode(path), b"ramfs", _FENCED, b"mode=0500")


def _mount(path: str, options: str) -> None:
    kernel.call("mount", b"tmpfs", os.fsencode(path), b"tmpfs", _FENCED, options.encode())


def _seal(path: str) -> None:
    kernel.call("mount", None, os.fsencode(path), None, _REMOUNT | _BIND | _RDONLY | _FENCED, None)


def _remove(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        os.rmdir(name, dir_fd=directory)
