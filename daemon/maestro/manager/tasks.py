"""The only place where tasks are made: each is kept, named, and its failure is told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

_log = logging.getLogger("maestro")
T = TypeVar("T")

_kept: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run a coroutine beside the others. An exception nobody awaits is logged with its traceback."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _kept.add(task)
    task.add_done_callback(_ended)
    return task


def aside(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """What may take long, in a thread of its own, which does not hold up our end as one of a pool would."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(answer: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast("T", answer))

    def run() -> None:
        answer, error = None, None
        try:
            answer = work()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, answer, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


def _ended(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    if not task.cancelled() and task.exception() is not None:
        _log.error("task %s failed", task.get_name(), exc_info=task.exception())
