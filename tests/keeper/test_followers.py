"""A main process that is not the keeper's child: its pid may become another's, and is never trusted by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from maestro.keeper import agents, child
from maestro.keeper.proc import Proc
from maestro.keeper.record import Record
from maestro.keeper.spare import Spare
from maestro.keeper.table import Entry, Table
from maestro.keeper.tree import Tree
from maestro.keeper.watch import Watch
from tests.keeper.rig import Rig, is_alive, until

pytestmark = pytest.mark.system


class Scene:
    """This process as a keeper, with an agent whose main has handed over to its child; and somebody else's process."""

    def __init__(self) -> None:
        script = "sleep 1000 & echo $!; wait; sleep 1000"
        self.first = subprocess.Popen(
            ["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.innocent = subprocess.Popen(["sleep", "1000"])
        assert self.first.stdout is not None
        self.main = int(self.first.stdout.readline())
        table, proc = Table("k"), Proc()
        self.told: list[tuple[object, ...]] = []
        around = agents.Surroundings(
            Watch(),
            proc,
            Record("/nowhere", table),
            Tree(proc, table, os.getpid()),
            child.Nest(Spare(), set()),
            lambda *message: self.told.append(message),
        )
        self.agents = agents.Agents(table, around)
        process = proc.look(self.first.pid)
        assert process is not None
        self.entry = Entry("a#1", self.first.pid, process.start, "")
        table.add(self.entry)
        self.agents.follow("a#1", self.main)

    def close(self) -> None:
        os.killpg(self.first.pid, signal.SIGKILL)
        for one in (self.first, self.innocent):
            one.kill()
            one.wait()
        assert self.first.stdout is not None
        self.first.stdout.close()


@pytest.mark.parametrize(("left", "taken"), [(0, False), (1, True), (2, False)])
def test_the_only_one_that_is_left_can_be_followed_without_its_name(rig: Rig, left: int, taken: bool) -> None:
    manager = rig.start()
    manager.hello()
    daemon = "sh -c 'sleep 1000; exit' & "  # it has a child, too, which does not count
    manager.spawn("a#1", "/bin/sh", "-c", daemon * left + "exit 0")
    main = manager.news("spawned", "a#1")[2]
    assert manager.news("ended", "a#1")[2] == 0
    for _ in range(2):  # the next manager may ask again
        manager.order("follow", "a#1", 0)
        answer = manager.next()
        assert answer[0] == ("spawned" if taken else "ended")
        assert not taken or answer[2] != main
    manager.order("send", "a#1", signal.SIGKILL, True)


DAEMON = """
import ctypes, os, sys, time
pipe = os.pipe()
if os.fork():
    os.read(pipe[0], 1)
    os._exit(0)
os.setsid()
for number in (1, 2):
    os.dup2(os.open("/dev/null", os.O_RDWR), number)
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start, end = int(fields[47]), int(fields[48])
ctypes.memset(start, 0, end - start)  # as setproctitle does
os.write(pipe[1], b"x")
time.sleep(1000)
"""


def test_a_daemon_that_nothing_ties_to_its_agent_any_more_is_the_one_that_is_left(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.spawn("other#1", "/bin/sleep", "1000")
    manager.spawn("a#1", sys.executable, "-c", DAEMON)
    main = manager.news("spawned", "a#1")[2]
    manager.news("ended", "a#1")
    manager.order("follow", "a#1", 0)
    answer = manager.next()
    assert (answer[0], answer[1]) == ("spawned", "a#1")
    assert answer[2] != main
    manager.order("send", "a#1", signal.SIGKILL, True)
    assert manager.news("ended", "a#1")[3] == signal.SIGKILL


def test_a_daemon_that_began_after_its_end_is_another_s(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.spawn("a#1", "/bin/true")
    manager.news("ended", "a#1")
    manager.spawn("pause#1", "/bin/sleep", "0.2")  # longer than a daemon takes to fork once more
    manager.news("ended", "pause#1")
    manager.spawn("b#1", sys.executable, "-c", DAEMON)
    manager.news("ended", "b#1")
    manager.order("follow", "a#1", 0)
    assert manager.next()[:2] == ("ended", "a#1")
    manager.order("follow", "b#1", 0)
    assert manager.next()[:2] == ("spawned", "b#1")
    manager.order("send", "b#1", signal.SIGKILL, True)


@pytest.fixture
def scene() -> Iterator[Scene]:
    one = Scene()
    yield one
    one.close()


def test_a_followed_main_is_signalled_itself_whoever_has_its_number_by_now(scene: Scene) -> None:
    assert scene.told[-1][:3] == ("spawned", "a#1", scene.main)
    scene.entry.pid = scene.innocent.pid  # as if the number had been given to another
    scene.agents.send("a#1", signal.SIGTERM, False)
    until(lambda: not is_alive(scene.main), "the end of the main process")
    assert is_alive(scene.innocent.pid)


def test_a_followed_main_that_no_descriptor_was_left_for_is_known_by_its_start(scene: Scene) -> None:
    scene.agents._followers.forget(scene.entry)  # as if it could not have been opened
    scene.agents.send("a#1", signal.SIGSTOP, False)
    until(lambda: (process := Proc().look(scene.main)) and process.state == "T", "the signal")
    innocent = Proc().look(scene.innocent.pid)
    assert innocent is not None
    scene.entry.pid, scene.entry.start = innocent.pid, innocent.start - 1  # of an earlier one with its number
    scene.agents.send("a#1", signal.SIGKILL, False)
    assert is_alive(scene.main)
    assert is_alive(scene.innocent.pid)
