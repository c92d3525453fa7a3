"""The files of the sockets that others come in by: made, handed to the keeper, and made anew where somebody deleted them."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping

_BACKLOG = 4096  # clients that may wait while a manager starts

_log = logging.getLogger(__name__)

Move = Callable[[socket.socket], None]


class Doors:
    """`held`: the sockets that the keeper has from an earlier manager. `hold` hands it a new one."""

    def __init__(self, held: Mapping[str, int], hold: Callable[[str, int], None]) -> None:
        self._held, self._hold = held, hold
        self._open: list[tuple[str, str, int, Move]] = []
        self._said = ""

    def open(self, name: str, path: str, kind: int) -> socket.socket:
        """The socket at `path`: the one that the keeper holds, or a new one, the first time or when its file has gone."""
        fd = self._held.get(name)
        if fd is None:
            return self._make(name, path, kind)
        if os.path.exists(path):
            return socket.socket(fileno=fd)
        os.close(fd)
        return self._make(name, path, kind)

    def keep(self, name: str, new: Callable[[], int]) -> int:
        """A descriptor of another kind: the one that the keeper holds, or a new one."""
        if name not in self._held:
            self._hold(name, fd := new())
            return fd
        return self._held[name]

    def watch(self, name: str, path: str, kind: int, move: Move) -> None:
        """From now on `see_to` looks after this one; `move` gets the new socket."""
        self._open.append((name, path, kind, move))

    def see_to(self) -> None:
        """Make anew what has vanished. What cannot be made is tried again the next time."""
        words = ""
        for name, path, kind, move in self._open:
            try:
                if not os.path.exists(path):
                    move(self._make(name, path, kind))
                    _log.warning("%s was deleted: made again", path)
            except OSError as error:
                words = f"{path} was deleted, and cannot be made again: {error.strerror}"
        if words and words != self._said:
            _log.error("%s", words)
        self._said = words

    def _make(self, name: str, path: str, kind: int) -> socket.socket:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        sock = socket.socket(socket.AF_UNIX, kind)
        try:
            self._bind(sock, path)
            self._hold(name, sock.fileno())
        except OSError:
            sock.close()
            raise
        return sock

    def _bind(self, sock: socket.socket, path: str) -> None:
        fresh = f"{path}.new"
        if os.path.lexists(fresh):
            os.unlink(fresh)
        sock.bind(fresh)
        os.chmod(
            fresh, 0o666
        )  # who may do what is decided by the caller's credentials, not by the file's mode
        if sock.type == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
        os.rename(fresh, path)
