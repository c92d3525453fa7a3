"""Processes that say nothing of whose they are: they are known all the same to the keeper after the one that started them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.keeper.proc import Proc
from tests.keeper.rig import Rig, is_alive, rig_in, until
from tests.system.test_keeper import image, renewed, sleeper

pytestmark = pytest.mark.system


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    with rig_in(folder) as one:
        yield one


def test_an_orphan_that_only_was_seen_before_a_renewal_is_its_agents_after_it(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    # Two that nothing but the memory ties to the agent: a session of their own each, and an empty environment.
    script = "for i in 1 2; do setsid env -i /bin/sleep 1000 & done; sleep 1000"
    manager.spawn("a#1", "sh", "-c", script, env={"INVOCATION_ID": "a"})
    pid = manager.news("spawned", "a#1")[2]
    until(lambda: _names_below(pid) == ["sleep"] * 3, "the agent has started its processes")
    strays = [p for p in Proc().children(pid) if (process := Proc().look(p)) and process.session == p]
    rig.nameless += strays
    manager.order("send", "a#1", signal.SIGCONT, True)  # for which the tree is looked at
    before = image(rig.pid)
    manager.order("reexec")
    renewed(rig, before)
    manager.order("send", "a#1", signal.SIGTERM, False)
    assert len(manager.news("ended", "a#1")[-1]) == 3
    before = image(rig.pid)
    manager.order("reexec")
    renewed(rig, before)
    manager.order("send", "a#1", signal.SIGKILL, True)
    manager.news("emptied", "a#1")
    assert not any(is_alive(stray) for stray in strays)


def _names_below(pid: int) -> list[str]:
    return [process.name for child in Proc().children(pid) if (process := Proc().look(child))]


_FORGETFUL = """
import ctypes, time
begin, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[47:49])
ctypes.memset(begin, 0, end - begin)
open("/proc/self/comm", "w").write("forgetful")
time.sleep(1000)
"""


@pytest.mark.parametrize("recipe", [{"stream": "a"}, {"stream": "a", "cwd": "/tmp"}], ids=["quick", "forked"])
def test_a_program_that_overwrites_its_environment_is_found_though_its_pid_was_never_committed(
    rig: Rig, recipe: dict[str, str]
) -> None:
    manager = rig.start()
    manager.hello()
    manager.spawn("a#1", sys.executable, "-I", "-S", "-c", _FORGETFUL, env={"INVOCATION_ID": "a"}, **recipe)
    pid = manager.news("spawned", "a#1")[2]
    rig.nameless.append(pid)
    until(lambda: (process := Proc().look(pid)) and process.name == "forgetful", "an empty environment")
    assert not Proc().invocation(pid)
    for _ in range(2):  # the second time it is known to a keeper that did not start it
        rig.kill()
        manager = rig.start()
        manager.hello()
        other = sleeper(manager, "other#1")  # by which the record is written anew
        os.kill(other, signal.SIGKILL)
    manager.order("adopt", "a#1", 0, 0, "a", "")
    assert manager.news("spawned", "a#1")[2] == pid


@pytest.mark.parametrize("recipe", [{}, {"cwd": "/tmp"}], ids=["quick", "forked"])
def test_an_order_that_the_keeper_before_has_carried_out_is_not_carried_out_again(
    rig: Rig, recipe: dict[str, str]
) -> None:
    """A restart may leave before it is committed: the next manager gives the order again, and not one to adopt."""
    manager = rig.start()
    manager.hello()
    again = {"stream": "a", "env": {"INVOCATION_ID": "a"}, **recipe}
    manager.spawn("a#2", "/bin/sleep", "1000", **again)
    pid = manager.news("spawned", "a#2")[2]
    rig.nameless.append(pid)
    rig.kill()
    manager = rig.start()
    manager.hello()
    manager.spawn("a#2", "/bin/sleep", "1000", **again)
    assert manager.news("spawned", "a#2")[2] == pid
    os.kill(pid, signal.SIGKILL)
    manager.news("ended", "a#2")
    manager.order("acknowledge", "a#2")
    manager.spawn("a#3", "/bin/sleep", "1000", **again)
    assert manager.news("spawned", "a#3")[2] != pid
