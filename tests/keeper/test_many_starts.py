"""A keeper that finds many orders: starters carry them out beside it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.keeper import starters, vfork
from maestro.keeper.proc import Proc
from tests.keeper.rig import Manager, Rig, until

pytestmark = pytest.mark.system
SLEEP = ("/bin/sleep", "1000")


@pytest.fixture
def keeper(rig: Rig) -> Manager:
    try:
        vfork.load()
    except OSError as error:
        pytest.skip(f"spawn.c is not built: {error}")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one processor")
    manager = rig.start()
    manager.hello()
    return manager


@contextlib.contextmanager
def at_once(rig: Rig) -> Iterator[None]:
    """The keeper finds all orders that are given meanwhile."""
    os.kill(rig.pid, signal.SIGSTOP)
    yield
    os.kill(rig.pid, signal.SIGCONT)


def those_of(rig: Rig) -> list[int]:
    return [pid for pid in Proc().children(rig.pid) if _command_line(pid).startswith(b"maestrod: starter\0")]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def spawn(manager: Manager, agent: str, *argv: str, **recipe: Any) -> None:
    manager.spawn(agent, *(argv or SLEEP), stream=agent.partition("#")[0], **recipe)


def begun_at_once(rig: Rig, keeper: Manager, names: list[str]) -> list[int]:
    """The pids of agents that are ordered together, once all run."""
    with at_once(rig):
        for name in names:
            spawn(keeper, name)
    return [keeper.news("spawned", name)[2] for name in names]


def test_many_orders_are_carried_out_beside_each_other(rig: Rig, keeper: Manager) -> None:
    names = [f"a{number}#1" for number in range(30)]
    pids = begun_at_once(rig, keeper, names)
    assert len(set(pids)) == 30
    assert len(those_of(rig)) == 2
    for name in names:
        keeper.order("send", name, signal.SIGTERM, False)
    assert {keeper.news("ended", name)[3] for name in names} == {signal.SIGTERM}


def test_an_order_about_one_that_is_on_its_way_waits_for_it(rig: Rig, keeper: Manager) -> None:
    with at_once(rig):
        for number in range(5):
            spawn(keeper, f"a{number}#1")
            spawn(keeper, f"b{number}#1")
            keeper.order("send", f"b{number}#1", signal.SIGTERM, False)
    for number in range(5):
        assert keeper.news("spawned", f"a{number}#1")
        assert keeper.news("ended", f"b{number}#1")[3] == signal.SIGTERM


def test_an_order_that_is_given_twice_starts_one(rig: Rig, keeper: Manager) -> None:
    with at_once(rig):
        for name in ("a#1", "a#1", "a#1", "b#1"):
            spawn(keeper, name)
    keeper.news("spawned", "b#1")
    keeper.news("spawned", "a#1")
    assert len(Proc().children(rig.pid)) == 1 + 2 + len(those_of(rig)), "the manager, two agents"
    keeper.order("send", "a#1", signal.SIGKILL, True)
    assert keeper.news("ended", "a#1")[3] == signal.SIGKILL


def test_one_that_cannot_be_started_is_told_of_in_words(rig: Rig, keeper: Manager) -> None:
    with at_once(rig):
        for number in range(8):
            spawn(keeper, f"a{number}#1", *(("/no/such/program",) if number == 3 else ()))
    assert "execute" in keeper.news("cannot_spawn", "a3#1")[2]
    for number in (0, 1, 2, 4, 5, 6, 7):
        keeper.news("spawned", f"a{number}#1")


def test_they_end_with_a_keeper_that_is_killed_and_before_one_that_is_renewed(
    rig: Rig, keeper: Manager
) -> None:
    begun_at_once(rig, keeper, [f"a{number}#1" for number in range(4)])
    before = those_of(rig)
    assert len(before) == 2
    keeper.order("reexec")
    until(lambda: not those_of(rig), "the successor has none, for it has none to start")
    begun_at_once(rig, keeper, [f"b{number}#1" for number in range(4)])
    after = those_of(rig)
    assert len(after) == 2
    assert not set(before) & set(after)
    fds = [os.pidfd_open(pid) for pid in after]
    rig.kill()
    for fd in fds:
        assert select.select([fd], [], [], 10)[0], "it has ended"
        os.close(fd)


def test_after_they_were_killed_there_are_others(rig: Rig, keeper: Manager) -> None:
    for turn in range(3):
        names = [f"a{turn}x{number}#1" for number in range(6)]
        begun_at_once(rig, keeper, names)
        for pid in those_of(rig):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not those_of(rig), "they are reaped")


def test_what_has_begun_is_noted_while_others_are_still_to_be_started(
    rig: Rig, keeper: Manager, tmp_path: Path
) -> None:
    """A keeper that is killed before that leaves an agent which the next one may not find, and starts a second time."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with at_once(rig):
        for number in range(6):
            spawn(keeper, f"a{number}#1")
        for number in range(20):
            spawn(keeper, f"b{number}#1", cwd="/tmp")
        # Too long for a starter, and hangs, and the keeper with it.
        spawn(keeper, "c#1", tasks=(str(fifo),), env={"X": "x" * starters._ROOM})
    noted = rig.directory / "keeper.agents"
    until(lambda: noted.exists() and noted.read_text().count(" b") >= 20, "it has come to the last")
    assert noted.read_text().count(" a") == 6
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    keeper.news("spawned", "c#1")
    os.close(reader)
