"""One client of the control socket: its frames in, its answers out, within bounds.

Nothing here waits for a client but the client's own tasks.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import Struct

from maestro.control.bounds import MAX_REPLY
from maestro.control.frames import FrameError, pack, requests
from maestro.control.protocol import ErrorView, Request
from maestro.control.roles import Caller
from maestro.control.routes import Route, Shape, read, read_id
from maestro.control.service import Refused, Service, refused
from maestro.manager.tasks import spawn

_log = logging.getLogger("maestro")
_encode = msgspec.msgpack.Encoder().encode


class Limits(Struct, frozen=True, kw_only=True):
    """What one client, and all together, may take."""

    connections: int = 4096
    connections_of_one: int = (
        1024  # of one uid or agent that does not administer: the rest stays for those who do
    )
    in_flight: int = 64  # requests of one connection
    whole_frame: float = 10.0  # seconds from the first byte of a frame to its last
    room: int = 1 << 20  # unsent bytes above which an answer waits for its reader
    stall: float = 30.0  # seconds in which a reader who is behind must take at least a byte, or is cut off


class Counters:
    """What went wrong since this manager began. Written by connections, read by metrics."""

    def __init__(self) -> None:
        self.faults = 0  # handlers that raised what they may not
        self.garbage = 0  # connections closed because of what they sent
        self.cut_off = 0  # connections closed because they did not read
        self.refused = 0  # connections refused because there were too many


class House(NamedTuple):
    """What all connections share."""

    service: Service
    permit: Callable[[Route, Request, Caller], None]
    limits: Limits
    counters: Counters


class Connection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(
        self,
        caller: Caller,
        house: House,
        gone: Callable[[Connection], None],
    ) -> None:
        self.caller = caller
        self._service = house.service
        self._permit = house.permit
        self._limits = house.limits
        self._counters = house.counters
        self._gone = gone
        self._frames = requests()
        self._flight: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._half: asyncio.TimerHandle | None = None  # runs while a frame is not whole
        self._stalled: asyncio.TimerHandle | None = None  # runs while the reader must read
        self._transport: asyncio.Transport
        self._made = False
        self._unwanted = False  # hung up before it was made

    # --------------------------------------------------------------------------------- the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self._made = True
        self._transport.set_write_buffer_limits(high=self._limits.room)
        if self._unwanted:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        self._room.set()
        for task in tuple(self._flight.values()):
            task.cancel()
        self._gone(self)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        try:
            for message in self._frames.feed(data):
                self._take(message)
        except FrameError as error:
            self._counters.garbage += 1
            self.say_goodbye(ErrorView(code="bad-frame", message=f"{error}; the connection is closed"))
        self._watch_half()

    def pause_writing(self) -> None:
        """The reader is behind: its answers wait, and so do its next requests."""
        self._room.clear()
        if not self._transport.is_closing():
            self._transport.pause_reading()
        self._watch_half()
        self._watch_stall(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._room.set()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._watch_half()

    # --------------------------------------------------------------------------------- timers

    def _watch_half(self) -> None:
        """A frame that was begun must be whole in time, except while nobody reads it."""
        running = self._frames.partial and self._room.is_set() and not self._transport.is_closing()
        if not running and self._half is not None:
            self._half.cancel()
            self._half = None
        elif running and self._half is None:
            loop = asyncio.get_running_loop()
            self._half = loop.call_later(self._limits.whole_frame, self._half_frame)

    def _half_frame(self) -> None:
        self._counters.garbage += 1
        message = f"a frame was not whole after {self._limits.whole_frame:g} s; the connection is closed"
        self.say_goodbye(ErrorView(code="bad-frame", message=message))

    def _watch_stall(self, unsent: int) -> None:
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(self._limits.stall, self._check_stall, unsent)

    def _check_stall(self, unsent: int) -> None:
        now = self._transport.get_write_buffer_size()
        if now >= unsent:
            self.cut_off()
        else:
            self._watch_stall(now)

    def _stop_timers(self) -> None:
        for timer in (self._half, self._stalled):
            if timer is not None:
                timer.cancel()
        self._half = self._stalled = None

    # --------------------------------------------------------------------------------- endings

    def say_goodbye(self, error: ErrorView) -> None:
        """One error that answers no request, and the end of the connection."""
        self._write(_frame("", "error", error))
        self.hang_up()

    def hang_up(self) -> None:
        """Close when all is sent; or when the reader stalls."""
        if not self._made:
            self._unwanted = True
            return
        if self._transport.is_closing():
            return
        self._transport.close()
        self._stop_timers()
        self._stalled = asyncio.get_running_loop().call_later(self._limits.stall, self._transport.abort)

    def cut_off(self) -> None:
        self._counters.cut_off += 1
        self._transport.abort()

    # --------------------------------------------------------------------------------- requests

    def _take(self, message: dict[str, Any]) -> None:
        """Begin to answer one request."""
        name = ""
        try:
            name = read_id(message)
            if name in self._flight:
                raise refused("bad-request", "a request with this `id` is being answered on this connection")
            if len(self._flight) >= self._limits.in_flight:
                most = self._limits.in_flight
                raise refused(
                    "busy", f"a connection may have {most} requests at a time", "wait for an answer"
                )
            route, request = read(message, self.caller.unit)
            self._permit(route, request, self.caller)
        except Exception as error:
            self._refuse(name, error)
            return
        caller = msgspec.structs.replace(self.caller, request_id=name)
        task = spawn(self._serve(caller, route, request), name=f"control: {route.do} for uid {caller.uid}")
        self._flight[name] = task

    async def _serve(self, caller: Caller, route: Route, request: Request) -> None:
        name = caller.request_id
        try:
            await self._answer(caller, route, request)
        except Exception as error:
            self._refuse(name, error)
        finally:
            self._flight.pop(name, None)

    def _refuse(self, name: str, error: Exception) -> None:
        """Answer with an error. What is not a refusal is a bug, and harms nobody else."""
        if isinstance(error, Refused):
            view = error.error
        else:
            self._counters.faults += 1
            _log.error("a request of uid %d failed: a bug in maestrod", self.caller.uid, exc_info=error)
            hint = "its log has the traceback; please report it"
            view = ErrorView(code="internal", message="the request failed inside maestrod", hint=hint)
        self._write(_frame(name, "error", view))

    async def _answer(self, caller: Caller, route: Route, request: Request) -> None:
        name, method = caller.request_id, getattr(self._service, route.method)
        await self._room.wait()
        if self._abandoned():
            return  # not begun yet, and nobody waits for it any more
        done: object = {}
        match route.shape:
            case Shape.ONE:
                done = await method(caller, request)
            case Shape.ITEMS:
                done = {"items": await method(caller, request)}
            case Shape.VERB:
                done = await self._pour(name, method(caller, request))
            case Shape.STREAM:
                await self._pour(name, method(caller, request))
        await self._room.wait()
        self._write(_frame(name, "done", done))

    def _abandoned(self) -> bool:
        """Whether the client has hung up: what it sent is read first, and its hanging up may be seen much later."""
        sock = self._transport.get_extra_info("socket")
        if self._transport.is_closing() or sock is None or sock.fileno() < 0:
            return True
        look = select.poll()
        look.register(sock.fileno(), select.POLLRDHUP)
        return bool(look.poll(0))

    async def _pour(self, name: str, items: AsyncIterator[Any]) -> Any:
        """Send each item as it comes, and return the last.

        A reader who is behind makes only this task wait.
        """
        item: Any = None
        try:
            async for item in items:
                self._write(_frame(name, "more", item))
                await self._room.wait()
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        return item

    def _write(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame)


def _frame(name: str, kind: str, view: object) -> bytes:
    """One frame of an answer.

    Text that is no Unicode (a file's name, a log line) must not cost the answer.
    """
    try:
        body = _encode({"id": name, kind: view})
    except UnicodeEncodeError:
        body = _encode({"id": name, kind: _clean(msgspec.to_builtins(view))})
    if len(body) > MAX_REPLY:
        raise refused("too-large", f"the answer has more than {MAX_REPLY >> 20} MiB", "name fewer units")
    return pack(body)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple) else value
