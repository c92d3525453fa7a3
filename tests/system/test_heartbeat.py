"""A manager that lives and does not answer: it is found out and replaced, and nobody else is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.keeper import wire
from tests.keeper.rig import Rig, rig_in
from tests.system.harness import Daemon, is_alive, pause, until

pytestmark = pytest.mark.system


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    with rig_in(folder) as one:
        one.heartbeat = 0.1
        yield one


# ------------------------------------------------------------------------------------------------ the keeper's part


def test_a_manager_that_answers_no_ping_is_replaced(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.spawn("a#1", "sleep", "1000")
    pid = manager.news("spawned", "a#1")[2]
    manager.hangs = True
    assert rig.manager().hello()["a#1"][2] == pid
    assert f"the manager (pid {manager.pid}) has answered none of 3 pings" in rig.said()
    assert "the manager was killed by SIGABRT after" in rig.said()


def test_a_manager_that_is_stopped_is_named_so_and_replaced(rig: Rig) -> None:
    first = rig.start()
    first.hello()
    os.kill(first.pid, signal.SIGSTOP)
    rig.manager().hello()
    assert f"(pid {first.pid}) has answered none of 3 pings (it is stopped): replacing it" in rig.said()
    assert not is_alive(first.pid)


def test_a_manager_that_answers_stays(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.hangs = True  # so that pings are seen here
    for _ in range(8):
        assert manager.next() == ("ping",)
        manager.order("pong")
    assert rig.said() == ""


def test_an_older_manager_is_not_asked(rig: Rig) -> None:
    manager = rig.start()
    manager.hello(wire.PINGS_SINCE - 1)
    pause(8 * rig.heartbeat)
    assert manager.nothing_unread()
    assert is_alive(manager.pid)


def test_a_keeper_that_was_stopped_itself_blames_nobody(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.hangs = True
    for _ in range(3):
        assert manager.next() == ("ping",)
        os.kill(rig.pid, signal.SIGSTOP)
        pause(5 * rig.heartbeat)
        os.kill(rig.pid, signal.SIGCONT)
    assert manager.next() == ("ping",)
    assert rig.said() == ""


# ------------------------------------------------------------------------------------------------ both


def test_a_stopped_manager_is_replaced_and_the_agents_run_on(daemon: Daemon) -> None:
    daemon.heartbeat = 0.5
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["a"])
    pid, first = daemon.status("a")["pid"], until(daemon.manager)
    pause(5 * daemon.heartbeat)
    assert daemon.manager() == first, "one that answers was replaced"
    os.kill(first, signal.SIGSTOP)
    daemon.new_manager(first)
    assert daemon.status("a")["pid"] == pid
    assert f"the manager (pid {first}) has answered none of 3 pings (it is stopped)" in daemon.said()


def test_told_to_end_twice_while_the_manager_hangs_the_next_one_ends_all(daemon: Daemon) -> None:
    daemon.heartbeat = 0.5
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["a"])
    pid, first = daemon.status("a")["pid"], until(daemon.manager)
    os.kill(first, signal.SIGSTOP)
    os.kill(daemon.keeper, signal.SIGTERM)
    pause(0.1)  # until the first is heard: two at once are one
    assert daemon.stop() == 0
    assert not is_alive(pid)
    assert "has answered none of 3 pings" in daemon.said()


def test_a_manager_that_is_given_up_says_where_it_hangs(daemon: Daemon) -> None:
    daemon.start()
    first: int = until(daemon.manager)
    os.kill(first, signal.SIGABRT)
    daemon.new_manager(first)
    assert "Fatal Python error: Aborted" in daemon.said()
    assert 'maestro/wiring.py", line' in daemon.said()
