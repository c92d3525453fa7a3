"""Readiness probes: a question asked until the answer is yes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from maestro.manager import tasks
from maestro.model.unit import ReadinessSection

_FIRST_PAUSE = (
    0.1  # seconds; the pause grows from here to the probe's interval, so that a fast agent is seen ready fast
)
_GROWTH = 1.5
_MOST_ANSWER = 4096  # bytes that the first line of an HTTP answer may have

RunCommand = Callable[
    [tuple[str, ...], float], Awaitable[bool]
]  # command, time-out -> whether it ended with 0


def begin(
    section: ReadinessSection, name: str, run: RunCommand, answered: Callable[[], None]
) -> asyncio.Task[None]:
    """Ask until it is answered; then call `answered` once. Cancel the task to stop asking."""
    return tasks.spawn(_ask_until_ready(section, run, answered), f"readiness of {name}")


async def _ask_until_ready(section: ReadinessSection, run: RunCommand, answered: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    pause, in_row = min(_FIRST_PAUSE, section.interval), 0
    await _rest(loop, section.initial_delay)
    while True:
        try:
            in_row = in_row + 1 if await asyncio.wait_for(_ask(section, run), section.timeout) else 0
        except (OSError, TimeoutError, ValueError, EOFError):
            in_row = 0
        if in_row >= section.successes:
            answered()
            return
        await _rest(loop, pause)
        pause = min(pause * _GROWTH, section.interval)


async def _rest(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    rested = loop.create_future()
    timer = loop.call_later(seconds, rested.set_result, None)
    try:
        await rested
    finally:
        timer.cancel()


async def _ask(section: ReadinessSection, run: RunCommand) -> bool:
    if section.exec is not None:
        return await run(tuple(section.exec), section.timeout)
    if section.http is not None:
        return await ask_http(str(section.http))
    if section.tcp is not None:
        host, _, port = section.tcp.rpartition(":")
        return await _can_connect(asyncio.open_connection(host.strip("[]") or "127.0.0.1", int(port)))
    assert section.unix is not None
    path = (
        f"\0{section.unix[1:]}" if section.unix.startswith("@") else section.unix
    )  # "@name" is an abstract one
    return await _can_connect(asyncio.open_unix_connection(path))


async def _can_connect(opening: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    _, writer = await opening
    writer.close()
    return True


async def ask_http(url: str) -> bool:
    """GET a URL; yes is a status of 200 to 399. One request, no redirects followed, as a kubelet does."""
    from urllib.parse import urlsplit  # it takes 0.7 MB, and few units have such a probe

    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, limit=_MOST_ANSWER)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: maestro-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        await writer.drain()
        line = (await reader.readline()).split(maxsplit=2)
        return (
            len(line) >= 2
            and line[0].startswith(b"HTTP/")
            and line[1].isdigit()
            and 200 <= int(line[1]) < 400
        )
    finally:
        writer.close()
