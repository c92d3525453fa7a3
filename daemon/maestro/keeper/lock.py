"""One keeper for each run directory; and the last keeper's manager is gone before ours starts."""

from __future__ import annotations

import fcntl
import os
import select

from maestro.keeper.proc import Proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

_PATIENCE = 10_000  # milliseconds for a killed manager to leave


class Taken(Exception):
    """Another keeper has the lock."""


class Lock:
    """The lock of a run directory, held. The file may be deleted under us, and a lock that nobody can find locks nobody out."""

    __slots__ = ("_said", "directory", "fd")

    def __init__(self, directory: str, fd: int) -> None:
        self.directory = directory
        self.fd = fd
        self._said = ""

    def see_to(self, manager: int) -> str:
        """Take the path again where it is not our file's any more. Returns what the operator does not know yet."""
        path = _path(self.directory)
        try:
            words = "" if is_at(path, self.fd) else self._take_again(path, manager)
        except Taken as taken:
            words = f"{path} was deleted, and {taken}: end one of the two"
        except OSError as error:
            words = f"{path} was deleted, and cannot be made again: {error.strerror}"
        said, self._said = self._said, words
        return words if words != said else ""

    def _take_again(self, path: str, manager: int) -> str:
        os.makedirs(self.directory, 0o755, exist_ok=True)
        fd = _lock(path)
        os.close(self.fd)
        self.fd = fd
        write(fd, manager)
        return f"{path} was deleted: made and locked again"


def take(directory: str) -> Lock:
    """Lock `directory` for this process, and see the last keeper's manager off."""
    fd = _lock(_path(directory))
    _see_off(_read(fd)[1:])
    write(fd, None)
    return Lock(directory, fd)


def _path(directory: str) -> str:
    return os.path.join(directory, "keeper.lock")


def _lock(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)  # whoever may read it may lock it, and so keep us from starting
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _read(fd)[:1] or ["unknown"]
        os.close(fd)
        raise Taken(f"another maestrod (pid {owner[0]}) already runs with this root") from None
    return fd


def is_at(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def write(fd: int, manager: int | None) -> None:
    """Note our pid and the manager's, for the messages and for the clean-up of whoever comes after us."""
    words = [str(os.getpid())]
    if manager is not None and (process := Proc().look(manager)):
        words += [boot(), str(manager), str(process.start)]
    text = "\n".join(words).encode() + b"\n"
    try:
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
    except OSError:
        pass  # a full disk: the lock itself holds all the same


def _read(fd: int) -> list[str]:
    return os.pread(fd, 256, 0).decode(errors="replace").split()


def boot() -> str:
    fd = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 64).decode().strip()
    finally:
        os.close(fd)


def _see_off(manager: list[str]) -> None:
    """Wait for the manager of a killed keeper: the kernel kills it, but not in the same instant."""
    if len(manager) != 3 or manager[0] != boot():
        return
    pid, start = int(manager[1]), int(manager[2])
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        process = Proc().look(pid)
        if process is not None and process.start == start:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            ended = select.poll()
            ended.register(fd, select.POLLIN)
            ended.poll(_PATIENCE)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
