"""The lines of some units' logs as one stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

from msgspec.structs import replace

from maestro.control.protocol import LineView, Logs
from maestro.control.views import line_view
from maestro.manager import tasks
from maestro.ports import LogQuery
from maestro.ports import Logs as LogsPort

_ROOM = 1000  # lines read ahead of a slow reader
_Queue = asyncio.Queue[LineView | None]


async def read(
    logs: LogsPort, names: list[str], request: Logs, end_of: Callable[[str], Awaitable[None]]
) -> AsyncGenerator[LineView, None]:
    """What was asked of each log, each in order. When following, first a mark for each: where reading begins."""
    queries = {name: _query(logs, name, request) for name in names}
    for name, query in queries.items():
        if query.cursor is not None:
            yield LineView(unit=name, time=0.0, text="", cursor=query.cursor, mark=True)
    queue: asyncio.Queue[LineView | None] = asyncio.Queue(_ROOM)
    pass_on = partial(_until, end_of) if request.follow and request.to_end else _pass_on
    readers = [tasks.spawn(pass_on(logs, *item, queue), f"logs of {item[0]}") for item in queries.items()]
    try:
        open_ends = len(readers)
        while open_ends:
            line = await queue.get()
            if line is None:
                open_ends -= 1
            else:
                yield line
    finally:
        for reader in readers:
            reader.cancel()


def _query(logs: LogsPort, name: str, request: Logs) -> LogQuery:
    """A follower who asks for the last lines gets a cursor at once: cut off before the first line, he loses nothing by asking again."""
    query = LogQuery(
        lines=request.lines,
        since_ns=None if request.since is None else int(request.since * 1e9),
        until_ns=None if request.until is None else int(request.until * 1e9),
        cursor=request.cursors.get(name),
        follow=request.follow,
    )
    if request.follow and query.cursor is None and query.lines is not None and query.since_ns is None:
        last = logs.tail(name, query.lines) if query.lines else []
        return replace(query, cursor=last[0].offset if last else logs.mark(name).size)
    return query


async def _pass_on(logs: LogsPort, name: str, query: LogQuery, queue: _Queue) -> None:
    await _copy(logs, name, query, queue.put)
    await queue.put(None)


async def _until(
    end_of: Callable[[str], Awaitable[None]], logs: LogsPort, name: str, query: LogQuery, queue: _Queue
) -> None:
    """Pass on until the unit has ended, and then the rest: what the follower had not come to, and a line without an end."""
    at = query.cursor

    async def put(line: LineView) -> None:
        nonlocal at
        await queue.put(line)
        at = line.cursor

    following = tasks.spawn(_copy(logs, name, query, put), f"logs of {name}, followed")
    try:
        await end_of(name)
    finally:
        following.cancel()
        await asyncio.wait([following])
    await _pass_on(logs, name, replace(query, cursor=at, follow=False), queue)


async def _copy(
    logs: LogsPort, name: str, query: LogQuery, put: Callable[[LineView], Awaitable[None]]
) -> None:
    try:
        async for line in logs.follow(name, query):
            await put(line_view(name, line))
    except OSError as error:
        trouble = f"-- maestro: the log cannot be read: {error.strerror or error} --"
        await put(LineView(unit=name, time=0.0, text=trouble, cursor=query.cursor or 0))
