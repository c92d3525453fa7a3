"""Links that are the state of units: what targets want, other names, masks. Each is made in one step."""

from __future__ import annotations

import contextlib
import errno
import os


def make(source: str, path: str, *, may_replace: bool) -> bool:
    """Make a link, in one step, unless it is there already."""
    if os.path.islink(path) and os.readlink(path) == source:
        return False
    if os.path.lexists(path) and not os.path.islink(path):
        raise FileExistsError(errno.EEXIST, f"{path} is in the way: it is no link")
    if os.path.islink(path) and not may_replace:
        raise FileExistsError(errno.EEXIST, f"{path} is in the way: it is a link to {os.readlink(path)}")
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)  # whatever the umask: one that all may write is refused
    new = os.path.join(directory, f".{os.path.basename(path)[:200]}.new{os.getpid()}")
    try:
        os.symlink(source, new)
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        raise
    sync(directory)
    return True


def remove(path: str) -> None:
    """Take a link away, and its directory with the last one of a target."""
    os.unlink(path)
    directory = os.path.dirname(path)
    sync(directory)
    if directory.endswith((".wants", ".requires")):
        with contextlib.suppress(OSError):  # others are linked there
            os.rmdir(directory)


def sync(directory: str) -> None:
    """What was done in a directory holds after a power cut."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
