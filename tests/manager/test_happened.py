"""The event stream: no gap, no repeat, whatever the disk and the listeners do."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from maestro.manager import happened, tasks
from maestro.manager.happened import Hub, Told
from maestro.ports import Row
from maestro.testing.fakes import FakeStore
from maestro.testing.loop import play
from tests.manager.rig import happening, turns


def publish(hub: Hub, count: int, store: FakeStore | None = None) -> None:
    for _ in range(count):
        told = hub.number(happening(hub.last + 1), 1.0)
        if store is not None:
            store.rows.append(Row(seq=told.seq, time=told.time, body=msgspec.msgpack.encode(told)))
        hub.publish(told)


async def read(hub: Hub, after: int | None, count: int) -> list[int]:
    found = []
    async for told in hub.stream(after, follow=True):
        found.append(told.seq)
        if len(found) == count:
            break
    return found


def test_what_has_been_and_what_comes_is_one_stream() -> None:
    async def go() -> None:
        store = FakeStore()
        hub = Hub(store)
        publish(hub, 5, store)
        reader = tasks.spawn(read(hub, 2, 6), "reader")
        await turns()
        publish(hub, 3, store)
        assert await reader == [3, 4, 5, 6, 7, 8]

    play(go())


def test_without_a_cursor_only_what_comes() -> None:
    async def go() -> None:
        hub = Hub(FakeStore())
        publish(hub, 5)
        reader = tasks.spawn(read(hub, None, 2), "reader")
        await turns()
        publish(hub, 2)
        assert await reader == [6, 7]

    play(go())


def test_old_events_come_from_the_store_page_by_page() -> None:
    async def go() -> None:
        store = FakeStore()
        first = Hub(store)
        publish(first, 1700, store)
        hub = Hub(store)  # the next manager's: it has nothing in memory
        hub.resume(1700)
        found = [told.seq async for told in hub.stream(10, follow=False)]
        assert found == list(range(11, 1701))
        assert store.reads >= 4

    play(go())


def test_what_the_disk_refused_is_told_from_memory() -> None:
    async def go() -> None:
        hub = Hub(FakeStore())
        hub.resume(100)  # of which the store has lost all
        publish(hub, 10)
        assert [told.seq async for told in hub.stream(90, follow=False)] == list(range(101, 111))

    play(go())


def test_a_slow_listener_is_taken_to_the_past_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happened, "_MOST_BEHIND", 10)

    async def go() -> None:
        store = FakeStore()
        hub = Hub(store)
        found: list[int] = []
        stream = hub.stream(0, follow=True)
        publish(hub, 1, store)
        found.append((await anext(stream)).seq)  # it listens now, and sleeps
        publish(hub, 9000, store)
        while len(found) < 9001:
            found.append((await anext(stream)).seq)
        publish(hub, 1, store)
        found.append((await anext(stream)).seq)
        assert found == list(range(1, 9003))

    play(go())


def test_a_cursor_from_beyond_the_end_follows_what_comes() -> None:
    """A client that was told more than the store kept must not wait until the numbers have caught up."""

    async def go() -> None:
        hub = Hub(FakeStore())
        publish(hub, 5)
        reader = tasks.spawn(read(hub, 4000, 2), "reader")
        await turns()
        publish(hub, 2)
        assert await asyncio.wait_for(reader, 5) == [6, 7]

    play(go())


def test_a_listener_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        hub, heard = Hub(FakeStore()), []

        def bad(told: Told) -> None:
            raise RuntimeError("what a day")

        hub.listen(bad)
        hub.listen(lambda told: heard.append(told.seq))
        publish(hub, 2)
        assert heard == [1, 2]

    play(go())
    assert "what a day" in caplog.text


def test_a_stream_that_is_closed_leaves_nothing() -> None:
    async def go() -> None:
        hub = Hub(FakeStore())
        stream = hub.stream(0, follow=True)
        publish(hub, 1)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        assert hub._listeners == []

    play(go())
