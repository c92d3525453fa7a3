"""Frames: a 4-byte big-endian length, and that many bytes of msgpack holding one map.

Bounded, and with one kind of error.
"""

from __future__ import annotations

import msgpack

from maestro.control.bounds import MAX_REPLY, MAX_REQUEST, MAX_UNITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

HEADER = 4
# An array's header makes msgpack reserve room for all its items before one was seen, and at each of 1,024
# levels: hence so few.
_REQUEST_ITEMS = MAX_UNITS
_REPLY_ITEMS = 1 << 20


class FrameError(Exception):
    """These bytes are no frame of ours. Says why in a sentence."""


def encode(message: dict[str, Any]) -> bytes:
    return pack(msgpack.packb(message))


def pack(body: bytes) -> bytes:
    """A frame around a body that is msgpack already."""
    return len(body).to_bytes(HEADER, "big") + body


def decode(body: bytes | memoryview, items: int) -> dict[str, Any]:
    """The map in a frame's body. `items` is the most that an array or a map may hold."""
    try:
        message = msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            max_array_len=items,
            max_map_len=items,
            max_ext_len=0,
        )
    except Exception as error:  # msgpack raises a dozen kinds; all say the same of their sender
        raise FrameError(f"this frame is not valid msgpack: {_first_line(error)}") from error
    if not isinstance(message, dict):
        raise FrameError(f"a frame holds one map; this one holds {type(message).__name__}")
    return message


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


class Frames:
    """Cuts a stream of bytes into messages."""

    __slots__ = ("_buffer", "_items", "_most")

    def __init__(self, most: int, items: int) -> None:
        self._buffer = bytearray()
        self._most = most
        self._items = items

    @property
    def partial(self) -> bool:
        """Whether the last frame is not whole yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are whole now. Must be exhausted; `FrameError` ends the stream for good."""
        self._buffer += data
        start = 0
        try:
            while (body := self._body(start)) is not None:
                start += HEADER + len(body)
                yield decode(body, self._items)
        finally:
            del self._buffer[:start]

    def _body(self, start: int) -> bytes | None:
        """The body of the frame that begins at `start`, when it is whole."""
        header = self._buffer[start : start + HEADER]
        if len(header) < HEADER:
            return None
        length = int.from_bytes(header, "big")
        if length > self._most:
            raise FrameError(f"a frame may have {self._most} bytes; this one announces {length}")
        end = start + HEADER + length
        return bytes(self._buffer[start + HEADER : end]) if len(self._buffer) >= end else None


def requests() -> Frames:
    """What the server reads with."""
    return Frames(MAX_REQUEST, _REQUEST_ITEMS)


def replies() -> Frames:
    """What a client reads with."""
    return Frames(MAX_REPLY, _REPLY_ITEMS)
