"""The manager's end of the link, against a keeper that the test plays."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from maestro.drivers.keeper_link import KeeperGone, KeeperLink
from maestro.drivers.keeper_link.family import Family
from maestro.keeper import wire
from maestro.keeper.proc import Proc
from maestro.ports import SOMEBODYS, Ended, Entry, Keeper, Recipe
from tests.keeper.rig import until


class News:
    """Keeps all that it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self._more = asyncio.Event()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def hear(*what: Any) -> None:
            self.heard.append((name, *what))
            self._more.set()

        return hear

    async def until(self, count: int) -> list[tuple[Any, ...]]:
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()
        return self.heard


class Played:
    """The keeper's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._end.settimeout(10)

    def tell(self, *message: object, fd: int = -1) -> None:
        wire.send(self._end, wire.encode(message), fd)

    def take(self) -> tuple[wire.Message, int]:
        data, fd, _ = wire.receive(self._end)
        return wire.decode(data, wire.ORDERS), fd

    def close(self) -> None:
        self._end.close()


Scene = Callable[[KeeperLink, Played, News], Awaitable[None]]
Play = Callable[[Scene], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    keeper = Played(theirs)

    async def run(scene: Scene) -> None:
        link = KeeperLink(ours.detach())
        try:
            await scene(link, keeper, News())
        finally:
            link.close()

    def play(scene: Scene) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(run(scene))

    yield play
    keeper.close()


def greet(keeper: Played, *messages: wire.Message) -> None:
    for message in messages:
        keeper.tell(*message)
    keeper.tell("table_end", "k1", wire.VERSION)


def test_it_is_a_keeper() -> None:
    keeper: type[Keeper] = KeeperLink
    assert keeper


def test_the_table_is_given_as_it_is(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        read, write = os.pipe()
        keeper.tell("entry", "a#1", 10, 100, None, (), "x")
        keeper.tell("entry", "a#2", 11, 110, (None, 9, 0.5, 4096, 7.0), ("12 (sh)",), "")
        keeper.tell("stream", "a", fd=read)
        keeper.tell("held", "control", fd=write)
        greet(keeper)
        table = await link.hello(news)
        assert keeper.take() == (("hello", wire.VERSION), -1)
        ended = Ended(agent="a#2", signal=9, cpu=0.5, max_rss=4096, at=7.0, left=("12 (sh)",))
        assert table.keeper == "k1"
        assert table.entries == (
            Entry(agent="a#1", pid=10, start=100),
            Entry(agent="a#2", pid=11, start=110, ended=ended),
        )
        os.write(table.held["control"], b"!")
        assert os.read(table.streams["a"], 1) == b"!"
        for fd in (read, write, *table.streams.values(), *table.held.values()):
            os.close(fd)

    play(scene)


def test_a_ping_is_answered_and_nobody_bothered(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        await link.hello(news)
        keeper.take()
        pinged = asyncio.Event()
        link.on_ping = pinged.set
        keeper.tell("ping")
        await asyncio.wait_for(pinged.wait(), 10)
        assert keeper.take() == (("pong",), -1)
        assert news.heard == []

    play(scene)


def test_news_are_passed_on_in_order(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        keeper.tell("told", "terminate")  # in the same breath as the table
        await link.hello(news)
        keeper.tell("stream", "a", fd=0)
        keeper.tell("spawned", "a#1", 10, 100)
        keeper.tell("cannot_spawn", "b#1", "change directory to /x", 2)
        keeper.tell("ended", "a#1", 3, None, 0.5, 4096, 7.0, ("12 (sh)",))
        keeper.tell("emptied", "a#1")
        heard = await news.until(6)
        fd = heard[1][2]
        assert heard == [
            ("told", "terminate"),
            ("stream", "a", fd),
            ("spawned", "a#1", 10, 100),
            ("cannot_spawn", "b#1", "change directory to /x", 2),
            ("ended", Ended(agent="a#1", code=3, cpu=0.5, max_rss=4096, at=7.0, left=("12 (sh)",))),
            ("emptied", "a#1"),
        ]
        os.close(fd)

    play(scene)


def test_orders_reach_the_keeper(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        await link.hello(news)
        recipe = Recipe(argv=("x", "y"), env={"A": "1"}, uid=5, rlimits=((7, 1, 2),), stream="a")
        link.spawn("a#1", recipe)
        link.send("a#1", signal.SIGTERM, tree=True)
        link.adopt("b#1", 10, 100, "inv")
        link.acknowledge("a#1")
        link.hold("control", 0)
        link.release_stream("a")
        link.reexec()
        link.retire()
        taken = [keeper.take() for _ in range(9)]
        spawn = taken[1][0]
        assert spawn[:2] == ("spawn", "a#1")
        assert spawn[2]["argv"] == ("x", "y")
        assert spawn[2]["rlimits"] == ((7, 1, 2),)
        assert [message for message, _ in taken[2:]] == [
            ("send", "a#1", 15, True, 0),
            ("adopt", "b#1", 10, 100, "inv", ""),
            ("acknowledge", "a#1"),
            ("hold", "control"),
            ("release_stream", "a"),
            ("reexec",),
            ("retire",),
        ]
        held = taken[5][1]
        assert os.fstat(held).st_ino == os.fstat(0).st_ino
        os.close(held)

    play(scene)


def test_orders_wait_for_a_keeper_that_is_busy(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        await link.hello(news)
        read, write = os.pipe()
        for n in range(2000):
            link.send("a#1" * 100, n, tree=False)
        link.hold("control", read)
        os.close(read)
        loop = asyncio.get_running_loop()
        taken = await loop.run_in_executor(None, lambda: [keeper.take() for _ in range(2002)])
        assert [message[2] for message, _ in taken[1:-1]] == list(range(2000))
        message, fd = taken[-1]
        assert message == ("hold", "control")
        os.write(write, b"!")
        assert os.read(fd, 1) == b"!"
        os.close(fd)
        os.close(write)
        link.reexec()  # not through the queue again
        assert keeper.take() == (("reexec",), -1)

    play(scene)


def test_a_recipe_that_is_too_long_is_a_spawn_that_failed(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        await link.hello(news)
        link.spawn("a#1", Recipe(argv=("x",), env={"A": "x" * 200 * 1024}))
        ((kind, agent, stage, number),) = await news.until(1)
        assert (kind, agent, number) == ("cannot_spawn", "a#1", 7)
        assert "200 KiB is too long" in stage

    play(scene)


def test_the_keepers_end_is_told_once(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        await link.hello(news)
        keeper.close()
        assert await news.until(1) == [("lost",)]
        link.acknowledge("a#1")  # to nobody: no exception in the manager's face
        await asyncio.sleep(0)
        assert news.heard == [("lost",)]

    play(scene)


def test_no_keeper_at_all(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        keeper.close()
        with pytest.raises(KeeperGone):
            await link.hello(news)

    play(scene)


def test_news_that_are_not_understood_do_no_harm(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        await link.hello(news)
        keeper.tell("news", "from the future")
        keeper.tell("emptied", "a#1")
        assert await news.until(1) == [("emptied", "a#1")]

    play(scene)


def test_a_manager_that_ends_says_its_last_words(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        greet(keeper)
        await link.hello(news)
        for n in range(1000):
            link.send("a#1" * 100, n, tree=False)
        link.retire()
        loop = asyncio.get_running_loop()
        taking = loop.run_in_executor(None, lambda: [keeper.take()[0] for _ in range(1002)])
        link.close()
        assert (await taking)[-1] == ("retire",)

    play(scene)


def test_a_keeper_of_another_version_is_renewed(play: Play) -> None:
    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        keeper.tell("table_end", "k1", wire.VERSION - 1)
        await link.hello(news)
        assert [keeper.take()[0][0] for _ in range(2)] == ["hello", "reexec"]

    play(scene)


def wait_until_it_is(pid: int, name: str) -> None:
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == f"{name}\n", name)


@pytest.mark.system
def test_a_process_is_known_by_its_parents_its_session_or_its_environment(play: Play) -> None:
    script = "sleep 1000 & setsid sleep 1000 & echo up; wait"
    environment = {"INVOCATION_ID": "inv", "PATH": os.environ["PATH"]}
    main = subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, env=environment
    )
    stranger = subprocess.Popen(["sleep", "1000"], env={**environment, "INVOCATION_ID": "stranger"})
    assert main.stdout is not None
    with main.stdout:
        assert main.stdout.readline() == b"up\n"
    process = Proc().look(main.pid)
    assert process is not None
    children = Proc().children(main.pid)
    for child in children:  # one that is being executed has no environment yet
        wait_until_it_is(child, "sleep")

    async def scene(link: KeeperLink, keeper: Played, news: News) -> None:
        keeper.tell("entry", "a#1", main.pid, process.start, None, (), "inv")
        greet(keeper)
        await link.hello(news)
        assert [link.whose(pid) for pid in (main.pid, *children)] == ["a#1"] * 3
        assert link.whose(stranger.pid) is None
        assert link.whose(os.getpid()) is None
        assert link.whose(2**22 + 1) == SOMEBODYS, "gone: nobody can say that it was no agent's"
        main.kill()
        main.wait()
        keeper.tell("ended", "a#1", None, 9, 0.0, 0, 0.0, ("1 (sleep)",))
        await news.until(1)
        assert [link.whose(pid) for pid in children] == ["a#1"] * 2
        keeper.tell("emptied", "a#1")
        await news.until(2)
        assert [link.whose(pid) for pid in children] == [None] * 2

    try:
        play(scene)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for one in (main, stranger):
            one.kill()
            one.wait()


@pytest.mark.system
def test_a_process_is_known_when_no_descriptor_is_left() -> None:
    """Who comes to the socket then was taken for some agent's process, and refused."""
    stranger = subprocess.Popen(["sleep", "1000"])
    family = Family()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.dup(0)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        assert family.whose(stranger.pid) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in taken:
            os.close(fd)
        stranger.kill()
        stranger.wait()
