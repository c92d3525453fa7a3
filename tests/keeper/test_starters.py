"""Those who start agents beside the keeper, where many orders wait."""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.keeper import starters, vfork
from maestro.keeper.child import Nest
from maestro.keeper.proc import Proc
from maestro.keeper.spare import Spare
from maestro.keeper.starters import Starters
from maestro.keeper.table import open_again
from tests.keeper.rig import until

pytestmark = pytest.mark.system
FILES = (1024, 4096)
SLEEP = ("/bin/sleep", "1000")


class Bench:
    """Starters without a keeper: we are it."""

    def __init__(self, library: str) -> None:
        self.spawner = vfork.Spawner(Nest(Spare(), {signal.SIGPIPE}), library)
        self.proc = Proc()
        self.children: set[int] = set()
        self.starters = Starters(self.spawner, self.proc, self.children)
        self.read, write = os.pipe2(os.O_CLOEXEC)
        self.output = open_again(f"/proc/self/fd/{write}")
        os.close(write)
        self.made: list[int] = []

    def give(self, *argv: str, **more: Any) -> bool:
        return self.starters.give(argv, {"argv": argv, "env": {}, **more}, self.output, FILES)

    def take(self) -> int:
        _, pid = self.starters.take()
        if pid:
            self.made.append(pid)
        return pid

    def stopped(self) -> list[int]:
        """Hold all that there are."""
        for pid in self.children:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: {self.state(pid) for pid in self.children} == {"T"}, "they stand still")
        return sorted(self.children)

    def reaped(self, pid: int) -> None:
        """As the keeper does it."""
        self.children.discard(pid)
        self.starters.reaped(pid)

    def state(self, pid: int) -> str:
        process = self.proc.look(pid)
        return process.state if process else ""

    def end(self) -> None:
        while self.starters:
            self.take()
        for pid in self.made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.starters.end()
        for fd in (self.read, self.output):
            os.close(fd)


@pytest.fixture
def bench(library: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})  # also where there is one processor
    one = Bench(library)
    yield one
    one.end()


def test_what_they_start_is_ours(bench: Bench) -> None:
    for number in range(6):
        assert bench.give("/bin/sh", "-c", f"echo {number} $PPID; exec sleep 1000")
    pids = [bench.take() for _ in range(6)]
    assert len(set(pids)) == 6, "each by itself"
    assert set(pids) < set(bench.proc.children(os.getpid()))
    said = b""
    while said.count(b"\n") < 6:
        said += os.read(bench.read, 100)
    assert sorted(said.split(b"\n")[:-1]) == [b"%d %d" % (number, os.getpid()) for number in range(6)]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == signal.SIGTERM, "and we are told of its end"
    bench.made.clear()


def test_each_has_its_turn_and_only_so_much_room(bench: Bench) -> None:
    bench.give(*SLEEP)
    bench.give(*SLEEP)
    assert len(bench.stopped()) == 2
    while not bench.starters.next_is_busy():
        assert bench.give(*SLEEP)
    assert len(bench.starters._begun) in range(8, 10), "two of four plans each; what was done before counts"


def test_what_fails_is_left_to_a_fork_and_leaves_nothing(bench: Bench) -> None:
    bench.give("/no/such/program")
    bench.give(*SLEEP, tasks=("/no/such/group/tasks",))
    bench.give(*SLEEP, make=(("/no/such/directory/group", ()),))
    assert [bench.take() for _ in range(3)] == [0, 0, 0]
    left = {int(word) for word in Path("/proc/thread-self/children").read_text().split()}
    assert left == bench.children


def test_one_that_is_held_is_ended_and_what_it_had_not_begun_is_left_to_a_fork(bench: Bench) -> None:
    bench.give(*SLEEP)
    assert bench.take(), "it has begun"
    [held] = bench.stopped()
    bench.starters._most = 1
    for _ in range(3):
        bench.give(*SLEEP)
    assert [bench.take() for _ in range(3)] == [0, 0, 0]
    os.waitpid(held, 0)
    bench.reaped(held)
    bench.give(*SLEEP)
    assert bench.take(), "another has taken its place"
    assert bench.children, "and is known"


def test_one_that_was_killed_while_its_child_was_on_its_way_leaves_no_second_copy(
    bench: Bench, tmp_path: Path
) -> None:
    """The child hangs before its exec, where it opens what it is to write to: it is known, and ended."""
    page = bench.give(*SLEEP)
    assert page
    assert bench.take()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    bench.starters._most = 1
    bench.give(*SLEEP, tasks=(str(fifo),))  # opened for writing: it waits for a reader
    starter, _ = bench.starters._begun[0]
    plan = starter._pages[1].plan
    born = until(lambda: plan.born, "it is born")
    os.kill(starter.pid, signal.SIGKILL)
    assert bench.take() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(born, 0)


def test_one_that_was_killed_while_its_child_executed_has_made_an_agent_all_the_same(
    bench: Bench, tmp_path: Path
) -> None:
    """It may have done all of its work by now: ended, and started anew, it would do that twice, and its exit was lost."""
    bench.starters._most = 1
    bench.give(*SLEEP)
    assert bench.take()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    bench.give("/bin/sh", "-c", "exit 7", tasks=(str(fifo),))
    starter, _ = bench.starters._begun[0]
    plan = starter._pages[1].plan
    born = until(lambda: plan.born, "it is born")
    os.kill(starter.pid, signal.SIGKILL)
    until(lambda: bench.state(starter.pid) == "Z", "nobody waits for the child")
    reader = os.open(fifo, os.O_RDONLY)
    until(lambda: bench.state(born) == "Z", "the child goes on, executes, and ends")
    os.close(reader)
    assert bench.starters.take()[1] == born
    assert os.waitstatus_to_exitcode(os.waitpid(born, 0)[1]) == 7


def test_one_that_is_held_and_goes_on_is_waited_for_until_it_is_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look and our signal somebody may let it go on: what it makes then has to be known."""
    bench.starters._most = 1
    bench.give(*SLEEP)
    assert bench.take()
    [held] = bench.stopped()
    bench.give(*SLEEP)
    kill = os.kill

    def too_late(pid: int, number: int) -> None:
        assert (pid, number) == (held, signal.SIGKILL)
        kill(pid, signal.SIGCONT)  # it goes on for as long as ours takes to reach it

    with monkeypatch.context() as slow:
        slow.setattr(os, "kill", too_late)
        assert bench.take(), "and it is known"
    left = {int(word) for word in Path("/proc/thread-self/children").read_text().split()}
    assert left == bench.children | set(bench.made)


def test_a_pid_that_is_anothers_by_now_is_no_starters(bench: Bench) -> None:
    bench.starters._most = 1
    bench.give(*SLEEP)
    assert bench.take()
    [gone] = bench.children
    os.kill(gone, signal.SIGKILL)
    os.waitpid(gone, 0)
    bench.reaped(gone)
    bench.children.add(gone)  # the next manager's, say
    bench.give(*SLEEP)
    assert bench.starters._starters[0].pid != gone
    assert bench.take()
    bench.children.discard(gone)


def test_what_fails_takes_no_descriptor_from_them(bench: Bench) -> None:
    if os.geteuid() != 0 or not Path("/sys/fs/cgroup/pids/tasks").exists():
        pytest.skip("makes groups in a hierarchy of cgroup v1")
    bench.starters._most = 1
    bench.give(*SLEEP)
    assert bench.take()
    [one] = bench.children
    before = os.listdir(f"/proc/{one}/fd")
    wrong = f"/sys/fs/cgroup/pids/maestro-wrong-{os.getpid()}"
    for _ in range(3):
        bench.give(*SLEEP, make=((wrong, (("pids.max", "nonsense"),)), (f"{wrong}/inner", ())))
        assert bench.take() == 0
    assert os.listdir(f"/proc/{one}/fd") == before


def test_where_there_are_no_descriptors_there_is_none_and_nothing_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_flags: int) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "too many open files")

    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    with monkeypatch.context() as full:
        full.setattr(os, "pipe2", none)
        assert not bench.give(*SLEEP)
    assert said == []
    assert bench.give(*SLEEP), "and later there is one"
    assert bench.take()


def test_those_that_are_always_ended_are_done_without_at_last(bench: Bench) -> None:
    bench.starters._most = 1
    made = 0
    while bench.give(*SLEEP):
        assert bench.take()
        made += 1
        for pid in list(bench.children):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            bench.reaped(pid)
    assert made == 1 + starters._REPLACED


def test_what_is_too_long_for_a_plan_is_refused_and_the_next_is_not(bench: Bench) -> None:
    with pytest.raises(ValueError, match="too long"):
        bench.give("/bin/echo", "x" * starters._ROOM)
    assert bench.give(*SLEEP)
    assert bench.take()


def test_one_that_lost_its_keeper_before_it_asked_to_be_told_ends(bench: Bench) -> None:
    """Of a keeper that is killed one thread ends first, the parent; the other holds the descriptors for a moment more."""
    memory = os.memfd_create("plans")
    os.ftruncate(memory, starters._ROOM * 5)
    alarm, report = os.pipe()
    words = [b"maestrod: starter", *(b"%d" % one for one in (memory, report, starters._ROOM * 5, 1))]
    pid = bench.spawner.employ(words, (bench.spawner.library, memory, report))
    ends = os.pidfd_open(pid)
    has_ended = bool(select.select([ends], [], [], 5)[0])
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for fd in (memory, alarm, report, ends):
        os.close(fd)
    assert has_ended, "its parent is not the one that it was made by"


def test_with_one_processor_there_is_none(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    bench = Bench(library)
    assert not bench.give(*SLEEP)
    bench.end()


def test_their_groups_are_made_with_their_limits(bench: Bench) -> None:
    pids = Path("/sys/fs/cgroup/pids")
    if os.geteuid() != 0 or not (pids / "tasks").exists():
        pytest.skip("makes groups in a hierarchy of cgroup v1")
    outer = pids / f"maestro-starters-{os.getpid()}"
    inner = outer / "inner"
    recipe: dict[str, Any] = {
        "make": ((str(outer), (("pids.max", "77"),)), (str(inner), (("pids.max", "7"),))),
        "tasks": (f"{inner}/tasks",),
    }
    try:
        for _ in range(2):  # and what is there, is left as it is
            bench.give(*SLEEP, **recipe)
            pid = bench.take()
            assert str(pid) in (inner / "tasks").read_text().split()
            found = [(one / "pids.max").read_text().strip() for one in (outer, inner)]
            assert found == ["77", "7"]
        wrong = outer / "wrong"
        bench.give(*SLEEP, make=((str(wrong), (("pids.max", "nonsense"),)), (str(wrong / "inner"), ())))
        assert bench.take() == 0
        assert not wrong.exists(), "whoever finds a group has nothing more to write"
    finally:
        for pid in bench.made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        bench.made.clear()
        for group in (inner, outer):
            group.rmdir()
