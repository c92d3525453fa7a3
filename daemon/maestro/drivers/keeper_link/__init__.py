"""The manager's end of the link to the keeper: ports.Keeper on the event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from maestro.drivers.keeper_link.family import Family
from maestro.keeper import wire
from maestro.keeper.title import set_title
from maestro.ports import Ended, Entry, KeeperNews, Recipe, Table

__all__ = ["EXIT_RESTART", "LINK_VARIABLE", "KeeperGone", "KeeperLink", "Unheard", "set_title"]

EXIT_RESTART = wire.EXIT_RESTART
LINK_VARIABLE = wire.LINK_VARIABLE

_MESSAGES_AT_ONCE = 256  # before the loop's other work gets its turn
_LAST_WORDS = 2.0  # seconds that a manager that ends waits for the keeper to listen
_TRY_AGAIN = 0.1  # seconds until what failed for want of memory is tried again
_NO_ROOM = (errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS)

_log = logging.getLogger(__name__)


class KeeperGone(ConnectionError):
    """The keeper closed the link: there is nothing that a manager could do now."""


@dataclass(slots=True)
class _Arriving:
    """The table while it arrives."""

    entries: list[Entry] = field(default_factory=list)
    streams: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    version: int = wire.VERSION

    def take(self, message: wire.Message, fd: int) -> Table | None:
        """Take in one message; returns the table when it is whole."""
        match message:
            case ("entry", agent, pid, start, ended, left, _):
                record = None if ended is None else _ended(agent, ended, left)
                self.entries.append(Entry(agent=agent, pid=pid, start=start, ended=record))
            case ("stream", name) if fd >= 0:
                self.streams[name] = fd
            case ("held", name) if fd >= 0:
                self.held[name] = fd
            case ("table_end", keeper, version):
                self.version = version
                return Table(keeper=keeper, entries=tuple(self.entries), streams=self.streams, held=self.held)
        return None


class KeeperLink:
    """Orders out, news in. An order never waits: what the keeper has no room for yet is sent when it has."""

    def __init__(self, fd: int, by_group: Callable[[bytes], str] = lambda text: "") -> None:
        """`by_group` says in whose control group a process is, by the text of its /proc/PID/cgroup."""
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._socket.set_inheritable(False)
        self._queue: deque[tuple[bytes, int]] = deque()  # descriptors in it are our own duplicates
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: KeeperNews | None = None
        self._family = Family(by_group)
        self.on_ping: Callable[[], None] = lambda: (
            None
        )  # every few seconds, while a keeper asks whether we live

    async def hello(self, news: KeeperNews) -> Table:
        """Greet the keeper and take its table; from then on `news` is called."""
        self._loop = asyncio.get_running_loop()
        self._news = news
        arriving = _Arriving()
        self._order("hello", wire.VERSION)
        while True:
            message, fd = await self._next()
            self._note(message)
            table = arriving.take(message, fd)
            if table is not None:
                break
        if arriving.version != wire.VERSION:
            _log.warning("the keeper speaks version %d of the link: renewing it", arriving.version)
            self.reexec()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        return table

    # -------------------------------------------------------------------------------------------- orders

    def spawn(self, agent: str, recipe: Recipe) -> None:
        self._family.invited(agent, recipe.env.get("INVOCATION_ID", ""))
        try:
            self._order("spawn", agent, msgspec.to_builtins(recipe, builtin_types=(bytes,)))
        except wire.TooLong as error:
            self._refuse(agent, str(error))

    def send(self, agent: str, signal: int, *, tree: bool, order: int = 0) -> None:
        self._order("send", agent, int(signal), tree, order)

    def freeze(self, agent: str, *, still: bool) -> None:
        self._order("freeze", agent, still)

    def adopt(self, agent: str, pid: int, start: int, invocation: str, cgroup: str = "") -> None:
        self._family.invited(agent, invocation)
        self._order("adopt", agent, pid, start, invocation, cgroup)

    def follow(self, agent: str, pid: int) -> None:
        """Answered by `spawned` with the main process there is now, or by `ended`."""
        self._order("follow", agent, pid)

    def acknowledge(self, agent: str) -> None:
        self._order("acknowledge", agent)

    def hold(self, name: str, fd: int) -> None:
        """The keeper gets a duplicate; `fd` stays the caller's."""
        self._order("hold", name, fd=fd)

    def release_stream(self, name: str) -> None:
        self._order("release_stream", name)

    def store(self, unit: str, name: str, fd: int, *, polled: bool, most: int) -> None:
        """The keeper gets a duplicate, for the unit's next process; `fd` stays the caller's."""
        self._order("store", unit, name, polled, most, fd=fd)

    def unstore(self, unit: str, name: str) -> None:
        self._order("unstore", unit, name)

    def drop_store(self, unit: str) -> None:
        self._order("drop_store", unit)

    def whose(self, pid: int) -> str | None:
        return self._family.whose(pid)

    def reexec(self) -> None:
        self._order("reexec")

    def retire(self) -> None:
        self._order("retire")

    def close(self) -> None:
        """Say what is still to be said, and hang up."""
        if self._queue and self._socket.fileno() >= 0:
            self._socket.settimeout(_LAST_WORDS)
            while self._queue and self._sent(*self._queue[0]):
                _close(self._queue.popleft()[1])
        if self._loop is not None and self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
        while self._queue:
            _close(self._queue.popleft()[1])
        self._socket.close()

    # -------------------------------------------------------------------------------------------- the way out

    def _order(self, *message: object, fd: int = -1) -> None:
        data = wire.encode(message)
        if self._queue or not self._sent(data, fd):
            self._queue.append((data, os.dup(fd) if fd >= 0 else -1))
            self._await_room()

    def _sent(self, data: bytes, fd: int) -> bool:
        try:
            wire.send(self._socket, data, fd)
        except (BlockingIOError, TimeoutError):
            return False
        except OSError as error:
            if error.errno in _NO_ROOM:
                return False
            if self._socket.fileno() >= 0 and not isinstance(error, ConnectionError):
                _log.error("cannot reach the keeper: %s", error)
            # Otherwise the link is closed: whoever reads it will say so.
        return True

    def _await_room(self) -> None:
        if self._loop is not None:
            self._loop.add_writer(self._socket.fileno(), self._writable)

    def _writable(self) -> None:
        assert self._loop is not None
        if self._socket.fileno() < 0:
            return
        self._loop.remove_writer(self._socket.fileno())
        sent = 0
        while self._queue and self._sent(*self._queue[0]):
            _close(self._queue.popleft()[1])
            sent += 1
        if self._queue and sent:
            self._await_room()
        elif self._queue:  # writable, and yet nothing could be written
            self._loop.call_later(_TRY_AGAIN, self._writable)

    def _refuse(self, agent: str, why: str) -> None:
        """An order that cannot be given ends as one that could not be carried out."""
        assert self._loop is not None
        assert self._news is not None
        self._loop.call_soon(self._news.cannot_spawn, agent, f"hand over its recipe ({why})", errno.E2BIG)

    # -------------------------------------------------------------------------------------------- the way in

    async def _next(self) -> tuple[wire.Message, int]:
        """The next message, in the time before `news` is called."""
        assert self._loop is not None
        while True:
            try:
                message = self._receive()
            except BlockingIOError:
                await self._until_readable()
                continue
            if message is not None:
                return message

    async def _until_readable(self) -> None:
        assert self._loop is not None
        readable = self._loop.create_future()
        self._loop.add_reader(self._socket.fileno(), _settle, readable)
        try:
            await readable
        finally:
            self._loop.remove_reader(self._socket.fileno())

    def _receive(self) -> tuple[wire.Message, int] | None:
        """One message; None for one that cannot be used. Raises BlockingIOError, KeeperGone."""
        try:
            data, fd, lost = wire.receive(self._socket)
        except ConnectionError:
            data, fd, lost = b"", -1, False
        if not data:
            raise KeeperGone("the keeper is gone")
        if lost:
            _log.error("a descriptor of the keeper's could not be taken: too many open files")
        try:
            return wire.decode(data, wire.NEWS), fd
        except wire.Malformed as error:
            _close(fd)
            _log.error("news of the keeper's were not understood: %s", error)
            return None

    def _readable(self) -> None:
        for _ in range(_MESSAGES_AT_ONCE):
            try:
                received = self._receive()
            except BlockingIOError:
                return
            except KeeperGone:
                self._lost()
                return
            if received is not None:
                over = received[0][0] in ("ended", "emptied")  # whose the process was is still asked then
                for act in (self._pass_on, self._note) if over else (self._note, self._pass_on):
                    act(*received)

    def _lost(self) -> None:
        assert self._loop is not None
        assert self._news is not None
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._news.lost()

    def _note(self, message: wire.Message, fd: int = -1) -> None:
        """Remember who is who, for `whose`."""
        match message:
            case ("entry", agent, pid, start, ended, left, invocation):
                self._family.invited(agent, invocation)
                self._family.lives(agent, pid, start)
                if ended is not None:
                    self._family.ended(agent, bool(left))
            case ("stream", name) if fd >= 0:
                self._family.streams[os.fstat(fd).st_ino] = name
            case ("spawned", agent, pid, start):
                self._family.lives(agent, pid, start)
            case ("cannot_spawn", agent, _, _) | ("emptied", agent):
                self._family.ended(agent, False)
            case ("ended", agent, *_, left):
                self._family.ended(agent, bool(left))

    def _pass_on(self, message: wire.Message, fd: int) -> None:
        news = self._news
        assert news is not None
        match message:
            case ("spawned", agent, pid, start):
                news.spawned(agent, pid, start)
            case ("cannot_spawn", agent, stage, number):
                news.cannot_spawn(agent, stage, number)
            case ("ended", agent, *how, left):
                news.ended(_ended(agent, tuple(how), left))
            case ("emptied", agent):
                news.emptied(agent)
            case ("ready", agent):
                news.ready(agent)
            case ("stream", name) if fd >= 0:
                news.stream(name, fd)
            case ("told", what):
                news.told(what)
            case ("ping",):
                self._order("pong")
                self.on_ping()


class Unheard:
    """News for one that will not stay."""

    def spawned(self, agent: str, pid: int, start: int) -> None: ...
    def cannot_spawn(self, agent: str, stage: str, errno: int) -> None: ...
    def ended(self, ended: Ended) -> None: ...
    def emptied(self, agent: str) -> None: ...
    def ready(self, agent: str) -> None: ...
    def stream(self, name: str, fd: int) -> None: ...
    def told(self, signal: str) -> None: ...
    def lost(self) -> None: ...


def _ended(agent: str, how: tuple[Any, ...], left: tuple[str, ...]) -> Ended:
    code, signal, cpu, max_rss, at = how
    return Ended(agent=agent, code=code, signal=signal, cpu=cpu, max_rss=max_rss, at=at, left=left)


def _settle(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
