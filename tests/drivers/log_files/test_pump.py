"""What goes into the pipe comes out in the files: all of it, once, in order."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import stat
import threading
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.ports import LogLimits

_names = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.binary(min_size=1, max_size=300) | st.just(b"\n") | st.just(b"word word\n"), max_size=40
    ),
    max_size=st.integers(1, 400),
)
def test_any_bytes_through_any_rotation(rig: Any, pieces: list[bytes], max_size: int) -> None:
    name = f"unit{next(_names)}"
    into = rig.take(name, max_size=max_size, max_files=10_000)
    for piece in pieces:
        os.write(into, piece)
    whole = b"".join(pieces)
    rig.until(lambda: rig.logs.mark(name).size == len(whole))
    assert rig.kept(name) == whole
    lines = rig.read(name, lines=None)
    assert [line.text for line in lines] == [part.decode(errors="backslashreplace") for part in _lines(whole)]
    assert [line.offset for line in lines] == [0, *[line.end for line in lines]][: len(lines)]
    for count in (1, 3, 1000):
        assert rig.logs.tail(name, count) == lines[-count:]
    rig.logs.drop(name)


def _lines(whole: bytes) -> list[bytes]:
    lines = whole.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def test_segments_hold_whole_lines_and_the_oldest_go(rig: Any) -> None:
    into = rig.take("a", max_size=1000, max_files=3)
    for number in range(1000):
        os.write(into, b"line %06d\n" % number)
    rig.until(lambda: rig.logs.mark("a").size == 12_000)
    segments = sorted((rig.directory / "a").glob("*.log"))
    assert len(segments) == 3
    assert all(path.read_bytes().endswith(b"\n") and path.stat().st_size <= 1000 for path in segments)
    assert len(list((rig.directory / "a").glob("*.idx"))) == 3
    assert os.readlink(rig.directory / "a" / "current") == segments[-1].name
    assert stat.S_IMODE(segments[0].stat().st_mode) == 0o640
    assert stat.S_IMODE((rig.directory / "a").stat().st_mode) == 0o750
    rig.logs.relimit("a", LogLimits(max_size=1000, max_files=1))
    rig.until(lambda: len(list((rig.directory / "a").glob("*.log"))) == 1)


def test_a_line_without_end_is_split_in_the_end(rig: Any) -> None:
    into = rig.take("a", max_size=1000, max_files=9)
    for _ in range(40):
        os.write(into, b"x" * 65_536)
    rig.until(lambda: rig.logs.mark("a").size == 40 * 65_536)
    assert rig.kept("a") == b"x" * 40 * 65_536
    assert max(path.stat().st_size for path in (rig.directory / "a").glob("*.log")) <= 1000 + (1 << 20)
    (line,) = rig.logs.tail("a", 5)
    assert len(line.text) == 65_537
    assert line.text.endswith("…")
    assert line.end == 40 * 65_536


def test_a_successor_goes_on_where_the_files_end(rig: Any) -> None:
    both, into = rig.pipe()
    spare = os.dup(both)
    rig.logs.take("a", both, LogLimits(max_size=64))
    os.write(into, b"first half, ")
    rig.until(lambda: rig.logs.mark("a").size == 12)
    rig.logs.close()
    os.write(into, b"second half\n")
    rig.logs = rig.open()
    rig.logs.take("a", spare, LogLimits(max_size=64))
    rig.until(lambda: rig.logs.mark("a").size == 24)
    assert rig.texts("a") == ["first half, second half"]


def test_what_is_discarded_leaves_no_file_and_can_begin_anew(rig: Any) -> None:
    os.write(rig.take("a"), b"words\n")
    rig.until(lambda: rig.logs.mark("a").size == 6)
    rig.logs.discard("a")
    rig.until(lambda: not (rig.directory / "a").exists())
    os.write(rig.take("a"), b"more\n")
    rig.until(lambda: rig.logs.mark("a").size == 5)
    assert rig.kept("a") == b"more\n"
    rig.logs.discard("never written")


def test_what_is_discarded_goes_after_its_last_words(rig: Any) -> None:
    """Also where the loop has more to do in this round: the files are not made again by what was still in the pipe."""
    rig.take("a")
    rig.settled()

    async def busy() -> None:
        rig.logs.note("a", "gone")
        rig.logs.discard("a")
        rig.logs._readers.submit(threading.Event().wait, 0.05).result()  # the other reader has the time

    rig.run(busy())
    rig.settled()
    rig.until(lambda: not (rig.directory / "a").exists())
    rig.settled()
    assert not (rig.directory / "a").exists(), "nor is it made again"


def test_close_and_drop_empty_the_pipe(rig: Any) -> None:
    into = rig.take("a")
    os.write(into, b"last words\n")
    rig.logs.note("a", "gone")
    rig.logs.drop("a")
    rig.settled()
    assert rig.kept("a") == b"last words\n-- maestro: gone --\n"
    into = rig.take("a")
    os.write(into, b"more\n")
    rig.logs.close()
    assert rig.kept("a") == b"last words\n-- maestro: gone --\nmore\n"
    assert rig.logs.mark("a").size == 36


def test_who_writes_nothing_has_no_files(rig: Any) -> None:
    """Its end costs the making of none: a thousand agents that only listen would end in a storm of new files."""
    rig.take("a")
    empty = threading.Event()
    rig.logs._loop.call_soon_threadsafe = lambda call: call()
    rig.logs.drained("a", empty.set)
    assert empty.wait(10), "it is asked all the same"
    assert not (rig.directory / "a").exists()
    rig.logs.drop("a")
    rig.settled()
    assert not (rig.directory / "a").exists()


def test_many_wishes_of_one_round_wake_the_pump_once(rig: Any) -> None:
    rung: list[int] = []
    ring = rig.logs._pump._ring

    def counted() -> None:
        rung.append(1)
        ring()

    rig.logs._pump._ring = counted

    async def wish() -> None:
        for number in range(100):
            rig.logs.relimit(f"a{number}", LogLimits())
        await asyncio.sleep(0)
        rig.logs.relimit("b", LogLimits())
        await asyncio.sleep(0)

    rig.loop.run_until_complete(wish())
    rig.settled()
    assert len(rung) == 3, "two rounds, and one where no loop runs"


def test_a_second_pipe_follows_the_first(rig: Any) -> None:
    first, second = rig.take("a"), rig.pipe()
    os.write(second[1], b"second\n")
    os.write(first, b"first\n")
    rig.logs.take("a", second[0], LogLimits())
    rig.until(lambda: rig.logs.mark("a").size == 13)
    assert rig.kept("a") == b"first\nsecond\n"


def test_notes_stand_on_lines_of_their_own(rig: Any) -> None:
    rig.logs.note("a", "-- maestro: started pid 1 --")
    into = rig.take("a")
    os.write(into, b"begun")
    rig.until(lambda: rig.logs.mark("a").size == 34)
    rig.logs.note("a", "reloaded")
    rig.settled()
    os.write(into, b" and ended\nnext")
    rig.until(lambda: rig.logs.mark("a").size == 34 + 11 + 24 + 4)
    rig.logs.note("a", "ended\nbadly")  # nobody will ever end "next"
    rig.until(lambda: rig.kept("a").endswith(b"next\n-- maestro: ended badly --\n"))
    assert rig.texts("a") == [
        "-- maestro: started pid 1 --",
        "begun and ended",
        "-- maestro: reloaded --",
        "next",
        "-- maestro: ended badly --",
    ]


def test_a_removed_directory_comes_back(rig: Any) -> None:
    into = rig.take("a")
    os.write(into, b"one\n")
    rig.until(lambda: rig.logs.mark("a").size == 4)
    shutil.rmtree(rig.directory)

    def again() -> bool:
        os.write(into, b"two\n")
        return bool(rig.logs.tail("a", 1))

    rig.until(again)
    assert rig.logs.tail("a", 1)[0].offset >= 4
    assert (rig.directory / "a" / "current").exists()


def test_two_hundred_streams_at_once(rig: Any) -> None:
    pipes = {
        f"unit@{number}": rig.take(f"unit@{number}", max_size=500, max_files=100) for number in range(200)
    }
    for number in range(50):
        for name, into in pipes.items():
            os.write(into, b"%s says %d\n" % (name.encode(), number))
    expected = {name: "".join(f"{name} says {number}\n" for number in range(50)).encode() for name in pipes}
    rig.until(lambda: all(rig.logs.mark(name).size == len(text) for name, text in expected.items()))
    assert all(rig.kept(name) == text for name, text in expected.items())


def test_a_waiting_line_is_seen_once(rig: Any) -> None:
    into, seen = rig.take("a"), []
    os.write(into, b"ready already\n")
    rig.until(lambda: rig.logs.mark("a").size == 14)
    rig.logs.note("a", "ready says maestro")
    rig.settled()
    rig.logs.await_line("a", r"ready (\d+)?$", lambda: seen.append("a"))
    cancel = rig.logs.await_line("a", r"ready", lambda: seen.append("b"))
    cancel()
    os.write(into, b"not yet\nrea")
    rig.until(lambda: rig.kept("a").endswith(b"rea"))
    os.write(into, b"dy 12\nready 13\n")
    rig.until(lambda: rig.kept("a").endswith(b"13\n"))
    rig.settled()
    rig.logs.note("a", "over")
    rig.settled()
    rig.loop.call_later(0.05, rig.loop.stop)
    rig.loop.run_forever()
    assert seen == ["a"]


def test_a_rate_is_kept_to_the_byte(rig: Any) -> None:
    into = rig.take("a", rate_burst=5000, rate_interval=0.2, max_size=700, max_files=10_000)
    written = [b"%05d %s\n" % (number, b"z" * (number * 37 % 90)) for number in range(4000)]
    block = b"".join(written)
    for begin in range(0, len(block), 777):
        os.write(into, block[begin : begin + 777])
    final = b"the end\n"

    def told() -> bool:
        return bool(rig.logs._streams["a"].lost) is False and bool(re.search(rb"dropped", rig.kept("a")))

    rig.until(told)
    os.write(into, final)
    rig.until(lambda: rig.kept("a").endswith(final))
    dropped = _dropped(rig, [*written, final])
    assert 0 < dropped < len(written)


def _dropped(rig: Any, written: list[bytes]) -> int:
    """How many lines are told to have been dropped, where all adds up."""
    lines = rig.kept("a").splitlines(keepends=True)
    ours = [line for line in lines if line.startswith(b"-- maestro: ")]
    kept = [line for line in lines if not line.startswith(b"-- maestro: ")]
    told = [
        re.match(rb"-- maestro: (\d+) lines \((\d+) bytes\) dropped by the rate limit --\n$", line)
        for line in ours
    ]
    assert all(told)
    dropped_lines = sum(int(match[1]) for match in told if match)
    dropped_bytes = sum(int(match[2]) for match in told if match)
    mark = rig.logs.mark("a")
    assert (dropped_lines, dropped_bytes) == (mark.dropped_lines, mark.dropped_bytes)
    assert dropped_lines > 0
    assert len(kept) + dropped_lines == len(written)
    assert sum(map(len, kept)) + dropped_bytes == sum(map(len, written))
    remaining = iter(written)
    assert all(line in remaining for line in kept), "half, doubled or reordered lines"
    return dropped_lines


def test_a_pump_may_be_closed_at_any_moment_of_a_trickle(rig: Any) -> None:
    """The thread may take the last order before the one who gave it has rung: the bell must still be there."""
    for round_ in range(60):
        logs = rig.open()
        both, into = rig.pipe()
        logs.take(f"s{round_}", both, LogLimits())
        for _ in range(3):
            os.write(into, b"crumb\n")
        logs.close()
        assert logs._pump._ended
