"""The client's end of the control socket: plain dicts, and a request outlives the connection it was made on.

When the manager dies, the keeper goes on listening and the next manager answers: so a broken connection is
made again and the same request sent with the same id, streams from where they were. A client sees only a
wait. Imports little: `maestroctl status` is over before asyncio, socket or msgspec would be imported.
"""

from __future__ import annotations

import os
import struct
import time
from _socket import (
    AF_UNIX,
    MSG_NOSIGNAL,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SOCK_CLOEXEC,
    SOCK_STREAM,
    SOL_SOCKET,
)
from _socket import socket as Socket

from maestro.control import trouble
from maestro.control.bounds import MAX_REQUEST, VERSION
from maestro.control.frames import HEADER, FrameError, Frames, encode, replies
from maestro.control.trouble import CallError as CallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

PATIENCE = 30.0  # seconds without any sign of the daemon, over all tries
_GRACE = 1.0  # seconds in which a socket nobody listens at may come to life: a keeper that is just starting
_AGAIN = 0.05  # seconds between two tries to connect
_LONGEST_PATH = 107  # bytes in sockaddr_un
_RECEIVE = 1 << 16


class _Broken(Exception):
    """The connection ended before the answer did."""


class Client:
    """Speaks with the daemon at a socket. One request at a time."""

    def __init__(self, path: str, root: str = "") -> None:
        self._path = path
        self._root = root  # only for messages
        self._sock: Socket | None = None
        self._frames: Frames = replies()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --------------------------------------------------------------------------------- asking

    def call(
        self,
        do: str,
        fields: dict[str, Any] | None = None,
        *,
        watch: Callable[[dict[str, Any] | None], None] | None = None,
        tick: float | None = None,
        limit: float | None = None,
    ) -> dict[str, Any]:
        """The answer to a request.

        `watch` is given each progress, and None each `tick` seconds without one.
        """
        for kind, item in self._converse(do, fields or {}, tick, limit):
            if kind == "done":
                return item or {}
            if watch is not None:
                watch(item)
        raise AssertionError("a conversation ends with done or an error")

    def stream(
        self, do: str, fields: dict[str, Any] | None = None, *, limit: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """The items of a stream."""
        for kind, item in self._converse(do, fields or {}, None, limit):
            if kind == "more" and item is not None:
                yield item

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _converse(
        self, do: str, fields: dict[str, Any], tick: float | None, limit: float | None
    ) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """("more", item), ("tick", None), and at the end ("done", answer), over several connections if need be."""
        request = {"v": VERSION, "id": os.urandom(12).hex(), "do": do, **fields}
        if (size := len(encode(request)) - HEADER) > MAX_REQUEST:
            raise trouble.too_long(size)
        clock = _Clock(tick, limit, met=self._sock is not None)
        whole = False
        try:
            while not whole:
                try:
                    self._send(encode(request), clock)
                    for kind, item in self._answers(request["id"], clock):
                        whole = kind == "done"
                        if kind != "more" or _note(request, item):
                            yield kind, item
                except _Broken:
                    self.close()
                    if clock.broke():
                        _pause(_AGAIN)
        finally:
            if not whole:
                self.close()  # what is left of the answer must not be read as another's

    # --------------------------------------------------------------------------------- frames

    def _send(self, frame: bytes, clock: _Clock) -> None:
        if self._sock is None:
            self._sock = self._connect(clock)
        try:
            _set_timeout(self._sock, SO_SNDTIMEO, clock.patience())
            rest = memoryview(frame)
            while rest:
                rest = rest[self._sock.send(rest, MSG_NOSIGNAL) :]
        except BlockingIOError:
            raise clock.over() from None
        except (ConnectionResetError, BrokenPipeError):
            return  # there may be a last word to read: why it hung up

    def _answers(self, name: str, clock: _Clock) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """The frames that answer a request, to the last."""
        while True:
            try:
                data = self._receive(clock)
                for message in self._frames.feed(data):
                    clock.heard()
                    kind, item = _read(message, name)
                    if kind:
                        yield kind, item
                    if kind == "done":
                        return
            except FrameError as error:
                hint = f"something else than maestrod listens at {self._path}"
                raise CallError("bad-frame", f"the answer makes no sense: {error}", hint) from None
            if not data:
                yield "tick", None

    def _receive(self, clock: _Clock) -> bytes:
        """What came; nothing when it is time for a tick."""
        assert self._sock is not None
        _set_timeout(self._sock, SO_RCVTIMEO, clock.wait())
        try:
            data = self._sock.recv(_RECEIVE)
        except BlockingIOError:
            clock.check()
            return b""
        except ConnectionResetError:
            raise _Broken from None
        if not data:
            raise _Broken
        return data

    # --------------------------------------------------------------------------------- connecting

    def _connect(self, clock: _Clock) -> Socket:
        """A connection; waits while a daemon that was there is away, and where the queue is full."""
        began = time.monotonic()
        while True:
            sock = Socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
            try:
                _set_timeout(sock, SO_SNDTIMEO, clock.patience())
                _dial(sock, self._path)
            except OSError as error:
                sock.close()
                self._judge(error, clock, began)
                _pause(_AGAIN)
            else:
                clock.met = True
                self._frames = replies()
                return sock

    def _judge(self, error: OSError, clock: _Clock, began: float) -> None:
        """Return to try again; raise when that is in vain."""
        clock.check()
        if isinstance(error, PermissionError):
            raise trouble.may_not_open(self._path)
        if isinstance(error, InterruptedError | BlockingIOError):
            return
        if not isinstance(error, ConnectionRefusedError | FileNotFoundError):
            raise trouble.cannot_connect(self._path, error)
        starting = isinstance(error, ConnectionRefusedError) and time.monotonic() - began < _GRACE
        if not clock.met and not starting:
            raise trouble.not_running(self._path, self._root)


class _Clock:
    """How long one request may still take."""

    def __init__(self, tick: float | None, limit: float | None, *, met: bool) -> None:
        now = time.monotonic()
        self.met = met  # the daemon was there once
        self._tick = tick
        self._limit = limit
        self._end = None if limit is None else now + limit
        self._deadline: float | None = now + PATIENCE  # for a sign of the daemon

    def heard(self) -> None:
        self._deadline = None

    def broke(self) -> bool:
        """Give a new manager its time. True when there was no sign since the connection broke the last time."""
        again = self._deadline is not None
        if not again:
            self._deadline = time.monotonic() + PATIENCE
        self.check()
        return again

    def check(self) -> None:
        now = time.monotonic()
        if (self._deadline is not None and now >= self._deadline) or (
            self._end is not None and now >= self._end
        ):
            raise self.over()

    def over(self) -> CallError:
        if self._limit is not None and self._end is not None and time.monotonic() >= self._end:
            unknown = "" if self._deadline is None else "; it may still be done"
            return CallError(
                "timeout", f"no answer within {self._limit:g} s{unknown}", "what was begun goes on"
            )
        return trouble.no_answer(PATIENCE)

    def patience(self) -> float | None:
        """Seconds that the daemon has."""
        ends = [end for end in (self._deadline, self._end) if end is not None]
        return max(min(ends) - time.monotonic(), 0.001) if ends else None

    def wait(self) -> float | None:
        """Seconds until the next thing to do without an answer."""
        patience = self.patience()
        if patience is None or self._tick is None:
            return patience if self._tick is None else self._tick
        return min(patience, self._tick)


def _read(message: dict[str, Any], name: str) -> tuple[str, dict[str, Any] | None]:
    """What a frame says: "more" or "done" and the item; "" when it is not for us."""
    given = message.get("id")
    error = message.get("error")
    if isinstance(error, dict) and given in (name, ""):
        raise CallError(str(error.get("code", "")), str(error.get("message", "")), str(error.get("hint", "")))
    if given != name:
        return "", None
    kind = "done" if "done" in message else "more"
    item = message.get(kind)
    if not isinstance(item, dict):
        raise FrameError(f"`{kind}` should be a map")
    return kind, item


def _note(request: dict[str, Any], item: dict[str, Any] | None) -> bool:
    """Remember in a request where its stream is, to resume from there.

    False for a mark, which is not shown.
    """
    if item is None or request["do"] not in ("logs", "events"):
        return True
    if request["do"] == "events":
        request["cursor"] = item["seq"]
        return bool(item.get("kind") != "mark")
    request["cursors"] = {**request.get("cursors", {}), item["unit"]: item["cursor"]}
    return not item.get("mark")


def _dial(sock: Socket, path: str) -> None:
    """Connect, also where the path is longer than a socket address may be."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        sock.connect(path)
        return
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    finally:
        os.close(directory)


def _set_timeout(sock: Socket, option: int, seconds: float | None) -> None:
    """Let the kernel end a wait.

    Not settimeout: a connect that finds the queue full should wait, not fail.
    """
    whole = int(seconds or 0)
    sock.setsockopt(SOL_SOCKET, option, struct.pack("@ll", whole, int(((seconds or 0) - whole) * 1e6)))


def _pause(seconds: float) -> None:
    """No event tells that somebody has begun to listen, so it is tried again after a while."""
    import select

    select.select((), (), (), seconds)
