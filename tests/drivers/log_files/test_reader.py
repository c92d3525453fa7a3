"""Reading back: by count, time, pattern and cursor, also while the pump writes, rotates and deletes."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from typing import Any

from maestro.manager import tasks
from maestro.ports import LogLine, LogQuery
from tests.manager.rig import turns
from tests.system.harness import patient

SECOND = 1_000_000_000


def _write(rig: Any, into: int, text: bytes) -> None:
    size = rig.logs.mark("a").size + len(text)
    os.write(into, text)
    rig.until(lambda: rig.logs.mark("a").size == size)


def _timed(rig: Any) -> int:
    """Ten lines, one each second from 100 s on, in segments of three."""
    into: int = rig.take("a", max_size=24, max_files=100)
    rig.settled()
    for number in range(10):
        rig.now_ns = (100 + number) * SECOND
        rig.logs._streams["a"].times._due = 0.0  # as if 10 ms had gone by
        _write(rig, into, b"line %d\n" % number)
    return into


def test_times(rig: Any) -> None:
    _timed(rig)
    assert [line.time_ns // SECOND for line in rig.read("a", lines=None)] == list(range(100, 110))
    assert [line.time_ns // SECOND for line in rig.logs.tail("a", 2)] == [108, 109]
    assert rig.texts("a", since_ns=107 * SECOND) == ["line 7", "line 8", "line 9"]
    assert rig.texts("a", since_ns=107 * SECOND - 1, lines=2) == ["line 8", "line 9"]
    assert rig.texts("a", until_ns=101 * SECOND) == ["line 0", "line 1"]
    assert rig.texts("a", since_ns=102 * SECOND, until_ns=103 * SECOND) == ["line 2", "line 3"]
    assert rig.texts("a", until_ns=108 * SECOND, lines=2) == ["line 7", "line 8"]
    assert rig.texts("a", since_ns=200 * SECOND) == []
    assert rig.texts("a", until_ns=50 * SECOND) == []
    assert rig.texts("a", until_ns=104 * SECOND, lines=1, follow=True) == ["line 4"]


def test_since_does_not_begin_within_a_line(rig: Any) -> None:
    into = rig.take("a")
    rig.settled()
    for number, piece in enumerate((b"old ", b"still old\nnew\n", b"newer\n")):
        rig.now_ns = (100 + number) * SECOND
        rig.logs._streams["a"].times._due = 0.0
        _write(rig, into, piece)
    assert rig.texts("a", since_ns=101 * SECOND) == ["new", "newer"]


def test_counts_and_the_unfinished_line(rig: Any) -> None:
    into = _timed(rig)
    _write(rig, into, b"unfini")
    assert rig.texts("a", lines=2) == ["line 9", "unfini"]
    assert rig.texts("a", lines=0) == []
    assert [line.text for line in rig.logs.tail("a", 1)] == ["unfini"]
    assert rig.logs.tail("nobody", 5) == []
    assert rig.texts("nobody") == []


def test_undecodable_and_long_lines(rig: Any) -> None:
    into = rig.take("a", rate_burst=0)
    threading.Thread(target=os.write, args=(into, b"\xff\n" + b"y" * 300_000 + b"\nafter\n")).start()
    rig.until(lambda: rig.logs.mark("a").size == 300_009)
    first, long, after = rig.read("a", lines=None)
    assert first.text == "\\xff"
    assert long.text == "y" * 65_536 + "…"
    assert (long.offset, long.end, after.offset) == (2, 300_003, 300_003)
    assert [line.text for line in rig.logs.tail("a", 2)] == [long.text, "after"]


def test_a_follower_gets_finished_lines_as_they_come(rig: Any) -> None:
    into = _timed(rig)

    async def follow() -> list[str]:
        texts: list[str] = []
        lines = rig.logs.follow("a", LogQuery(lines=1, follow=True))
        async for line in lines:
            texts.append(line.text)
            if line.text == "line 9":
                os.write(into, b"un")
                rig.loop.call_later(0.01, os.write, into, b"finished\n")
            else:
                break
        await lines.aclose()
        return texts

    assert rig.run(follow()) == ["line 9", "unfinished"]
    assert not rig.logs._streams["a"].bells


def test_a_cursor_goes_on_without_gap_or_repeat(rig: Any) -> None:
    into = rig.take("a", max_size=300, max_files=10_000)
    writer = threading.Thread(target=_numbers, args=(into, 2000))
    writer.start()

    async def in_pieces() -> list[str]:
        texts: list[str] = []
        cursor = 0
        while len(texts) < 2000:
            lines = rig.logs.follow("a", LogQuery(cursor=cursor, follow=True))
            count = 0
            async for line in lines:
                texts.append(line.text)
                cursor, count = line.end, count + 1
                if count == 97 or len(texts) == 2000:
                    break
            await lines.aclose()
        return texts

    assert rig.run(in_pieces()) == [f"number {number}" for number in range(2000)]
    writer.join()


def _numbers(into: int, count: int) -> None:
    for number in range(count):
        os.write(into, b"number %d\n" % number)


def test_two_readers_while_segments_come_and_go(rig: Any) -> None:
    into = rig.take("a", max_size=2000, max_files=3)
    rig.settled()
    writer = threading.Thread(target=_numbers, args=(into, 20_000))

    async def read(slowly: bool) -> list[LogLine]:
        got: list[LogLine] = []
        async for line in rig.logs.follow("a", LogQuery(lines=None, follow=True)):
            got.append(line)
            if slowly and len(got) % 50 == 0:
                await asyncio.sleep(0)
            if line.text == "number 19999":
                break
        return got

    async def both() -> list[list[LogLine]]:
        reading = asyncio.gather(read(False), read(True))
        rig.loop.call_soon(writer.start)
        return list(await reading)

    for got in rig.run(both()):
        numbers = [int(line.text.removeprefix("number ")) for line in got]
        assert numbers == sorted(set(numbers))
        assert all(later.offset >= earlier.end for earlier, later in itertools.pairwise(got))
    writer.join()


def test_following_ends_with_the_logs(rig: Any) -> None:
    rig.take("a")

    async def follow() -> list[LogLine]:
        rig.loop.call_later(0.02, rig.logs.close)
        return [line async for line in rig.logs.follow("a", LogQuery(follow=True))]

    assert rig.run(follow()) == []


def test_a_log_that_nobody_writes_costs_no_memory_once_it_was_read(rig: Any) -> None:
    """One of a thousand commands that were run once, each followed to its end and past it."""
    os.write(rig.take("a"), b"last words\n")

    async def follow() -> None:
        reading = rig.logs.follow("a", LogQuery(lines=1, follow=True))
        assert (await anext(reading)).text == "last words"
        rig.logs.drop("a")
        drained = asyncio.Event()
        rig.logs.drained("a", drained.set)
        await drained.wait()
        await reading.aclose()

    rig.run(follow())
    assert rig.logs._streams == {}


def test_who_stops_reading_takes_no_watch_away(rig: Any) -> None:
    seen = asyncio.Event()

    async def follow() -> None:
        reading = rig.logs.follow("a", LogQuery(lines=None, follow=True))

        async def wait() -> None:
            await anext(reading)

        waiting = tasks.spawn(wait(), "reader")
        await turns()
        rig.logs.await_line("a", "ready", seen.set)
        waiting.cancel()
        await asyncio.wait([waiting])
        await reading.aclose()
        os.write(rig.take("a"), b"ready\n")
        await asyncio.wait_for(seen.wait(), patient(20))

    rig.run(follow())
    assert seen.is_set()
    assert rig.kept("a") == b"ready\n"
