"""The lines of some units' logs as one stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from msgspec.structs import replace

from maestro.control.protocol import LineView, Logs
from maestro.control.views import line_view
from maestro.manager import tasks
from maestro.ports import LogQuery
from maestro.ports import Logs as LogsPort

_ROOM = 1000  # lines read ahead of a slow reader


async def read(logs: LogsPort, names: list[str], request: Logs) -> AsyncGenerator[LineView, None]:
    """What was asked of each log, each in order. When following, first a mark for each: where reading begins."""
    queries = {name: _query(logs, name, request) for name in names}
    for name, query in queries.items():
        if query.cursor is not None:
            yield LineView(unit=name, time=0.0, text="", cursor=query.cursor, mark=True)
    queue: asyncio.Queue[LineView | None] = asyncio.Queue(_ROOM)
    readers = [tasks.spawn(_pass_on(logs, *item, queue), f"logs of {item[0]}") for item in queries.items()]
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


async def _pass_on(logs: LogsPort, name: str, query: LogQuery, queue: asyncio.Queue[LineView | None]) -> None:
    try:
        async for line in logs.follow(name, query):
            await queue.put(line_view(name, line))
    except OSError as error:
        trouble = f"-- maestro: the log cannot be read: {error.strerror or error} --"
        await queue.put(LineView(unit=name, time=0.0, text=trouble, cursor=query.cursor or 0))
    await queue.put(None)
