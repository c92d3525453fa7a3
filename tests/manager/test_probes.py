"""Readiness probes: pacing on a clock that jumps, questions on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from maestro.manager import probes
from maestro.model.unit import ReadinessSection
from maestro.model.values import CommandLine, Seconds, Url
from maestro.testing.loop import play
from tests.manager.rig import really, rest, turns, until

COMMAND = CommandLine(("/bin/check",))


class Script:
    """An exec probe that answers from a list, and notes when it was asked."""

    def __init__(self, *answers: object) -> None:
        self.answers, self.asked = list(answers), list[float]()

    async def run(self, command: tuple[str, ...], limit: float) -> bool:
        self.asked.append(round(asyncio.get_running_loop().time(), 3))
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, BaseException):
            raise answer
        if answer == "hang":
            await asyncio.get_running_loop().create_future()
        return bool(answer)


def asked(script: Script, seconds: float, **options: Any) -> list[float]:
    """Ask for so long; the moments of the answer are in the result."""

    async def go() -> list[float]:
        ready: list[float] = []
        loop = asyncio.get_running_loop()
        section = ReadinessSection(exec=COMMAND, **options)
        task = probes.begin(section, "web", script.run, lambda: ready.append(round(loop.time(), 3)))
        await rest(seconds)
        task.cancel()
        return ready

    return play(go())


def test_the_first_attempts_follow_fast_and_the_pauses_grow_to_the_interval() -> None:
    script = Script()
    assert asked(script, 100, interval=Seconds(10)) == []
    pauses = [round(b - a, 3) for a, b in zip(script.asked, script.asked[1:], strict=False)]
    assert pauses[:3] == [0.1, 0.15, 0.225]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10


def test_a_short_interval_is_kept_from_the_beginning() -> None:
    script = Script()
    asked(script, 1, interval=Seconds(0.05))
    assert len(script.asked) in (19, 20, 21)


def test_it_is_ready_once_and_then_no_longer_asked() -> None:
    script = Script(False, False, True)
    assert asked(script, 100) == [0.25]
    assert len(script.asked) == 3


def test_several_successes_must_be_in_a_row() -> None:
    script = Script(True, False, True, True, True)
    assert len(asked(script, 100, successes=3)) == 1
    assert len(script.asked) == 5


def test_the_first_attempt_may_be_delayed() -> None:
    script = Script(True)
    assert asked(script, 100, initial_delay=Seconds(7)) == [7.0]


def test_an_attempt_that_hangs_is_a_no() -> None:
    script = Script("hang", True)
    assert asked(script, 100, timeout=Seconds(3)) == [3.1]


@pytest.mark.parametrize("error", [OSError(111, "refused"), ValueError("what"), EOFError(), TimeoutError()])
def test_an_attempt_that_fails_is_a_no(error: Exception) -> None:
    assert len(asked(Script(error, True), 100)) == 1


# ------------------------------------------------------------------------------------------- sockets

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, path: str | None = None, port: int = 0) -> AsyncIterator[int]:
    """A server that leaves no connection behind."""
    open_ends: set[asyncio.StreamWriter] = set()

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.add(writer)
        with suppress(OSError, EOFError):
            await handler(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        open_ends.discard(writer)

    if path is None:
        server = await asyncio.start_server(kept, "127.0.0.1", port)
    else:
        server = await asyncio.start_unix_server(kept, path)
    async with server:
        yield 0 if path else server.sockets[0].getsockname()[1]
        await turns(20)
        await until(lambda: not open_ends)
        await turns(20)


def saying(*pieces: bytes, asked: list[bytes] | None = None) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await rest(0.02)  # so that the next piece is another packet

    return handler


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n",), True),
        ((b"HTTP/1.0 204 No Content\r\n\r\n",), True),
        ((b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",), True),
        ((b"HTTP/1.1 399\r\n\r\n",), True),
        ((b"HT", b"TP/1.1 2", b"00 OK\r\n\r\n"), True),  # in three packets
        ((b"HTTP/1.1 200 OK\n\n",), True),
        ((b"HTTP/1.1 404 Not Found\r\n\r\n",), False),
        ((b"HTTP/1.1 503 Busy\r\n\r\n",), False),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), False),
        ((b"SSH-2.0-OpenSSH\r\n",), False),
        ((b"HTTP/1.1 abc\r\n",), False),
        ((b"\r\n",), False),
        ((b"",), False),
    ],
)
def test_http_asks_for_200_to_399(answer: tuple[bytes, ...], good: bool) -> None:
    async def go() -> bool:
        async with serving(saying(*answer)) as port:
            return await probes.ask_http(f"http://127.0.0.1:{port}/")

    assert really(go()) is good


def test_an_http_answer_without_an_end_is_not_read_for_ever() -> None:
    async def go() -> None:
        async with serving(saying(b"x" * 1_000_000)) as port:
            with pytest.raises(ValueError, match=r".*limit.*|.*separator.*"):
                await probes.ask_http(f"http://127.0.0.1:{port}/")

    really(go())


def test_http_asks_for_path_and_query_and_names_the_host() -> None:
    async def go() -> None:
        requests: list[bytes] = []
        async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n", asked=requests)) as port:
            assert await probes.ask_http(f"http://127.0.0.1:{port}/ready?deep=1")
            assert requests[0].startswith(b"GET /ready?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)
            assert await probes.ask_http(f"http://127.0.0.1:{port}")
            assert requests[1].startswith(b"GET / HTTP/1.1\r\n")

    really(go())


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


def ready(section: ReadinessSection) -> asyncio.Future[None]:
    answered = asyncio.get_running_loop().create_future()

    async def never(command: tuple[str, ...], limit: float) -> bool:
        raise AssertionError

    probes.begin(section, "web", never, lambda: answered.set_result(None))
    return answered


def test_tcp_asks_whether_it_can_connect() -> None:
    async def go() -> None:
        async with serving(silent) as port:
            await ready(ReadinessSection(tcp=f"127.0.0.1:{port}"))
            await ready(ReadinessSection(tcp=f"localhost:{port}"))
            await ready(ReadinessSection(http=None, tcp=f":{port}"))

    really(go())


def test_tcp_waits_for_one_who_comes_late() -> None:
    async def go() -> None:
        async with serving(silent) as port:
            pass
        answered = ready(ReadinessSection(tcp=f"127.0.0.1:{port}", interval=Seconds(0.02)))
        await rest(0.1)
        assert not answered.done()
        async with serving(silent, port=port):
            await answered

    really(go())


def test_unix_asks_whether_it_can_connect(tmp_path: Path) -> None:
    async def go() -> None:
        path = str(tmp_path / "s")
        answered = ready(ReadinessSection(unix=path, interval=Seconds(0.02)))
        await turns()
        assert not answered.done()
        async with serving(silent, path):
            await answered

    really(go())


def test_unix_knows_abstract_sockets(tmp_path: Path) -> None:
    async def go() -> None:
        name = f"maestro-test-{tmp_path.name}-{id(tmp_path)}"
        async with serving(silent, f"\0{name}"):
            await ready(ReadinessSection(unix=f"@{name}"))

    really(go())


def test_a_url_is_read_as_it_was_written() -> None:
    async def go() -> None:
        async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
            await ready(ReadinessSection(http=Url(f"http://127.0.0.1:{port}/ready")))

    really(go())
