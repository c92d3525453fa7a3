"""The keeper's promises, with real processes: nothing that it started is lost, whoever dies."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro.keeper import reexec, wire
from maestro.keeper.proc import Proc
from tests.keeper.rig import PATIENCE, Manager, Rig, is_alive, rig_in, until

pytestmark = pytest.mark.system


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    with rig_in(folder) as one:
        yield one


def sleeper(manager: Manager, agent: str, **recipe: object) -> int:
    manager.spawn(agent, "sleep", "1000", env={"INVOCATION_ID": agent}, **recipe)
    return int(manager.news("spawned", agent)[2])


# ------------------------------------------------------------------------------------------------ the manager dies


def test_twenty_managers_killed_in_a_row_get_the_whole_table_each(rig: Rig) -> None:
    manager = rig.start()
    assert manager.hello() == {}
    pids = {f"stays#{n}": sleeper(manager, f"stays#{n}") for n in range(5)}
    keeper_id = manager.keeper_id
    for n in range(20):
        going = sleeper(manager, f"goes#{n}", stream="goes")
        manager.kill()
        os.kill(going, signal.SIGUSR1)  # while nobody listens
        manager = rig.manager()
        entries = manager.hello()
        if entries[f"goes#{n}"][4] is None:  # the manager may be faster than the signal
            assert manager.news("ended", f"goes#{n}")[2:4] == (None, signal.SIGUSR1)
        else:
            assert entries[f"goes#{n}"][4][:2] == (None, signal.SIGUSR1)
        manager.order("acknowledge", f"goes#{n}")
        assert {a: e[2] for a, e in entries.items() if a in pids} == pids
        assert len(entries) == len(pids) + 1
        assert manager.keeper_id == keeper_id
        assert ("stream", "goes") in manager.fds


def test_an_exit_is_kept_until_it_is_acknowledged(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.spawn("a#1", "sh", "-c", "exit 7")
    told = manager.news("ended", "a#1")
    manager.kill()
    manager = rig.manager()
    assert manager.hello()["a#1"][4] == told[2:7]
    manager.order("acknowledge", "a#1")
    manager.order("acknowledge", "unknown#1")
    assert manager.hello() == {}


def test_held_descriptors_outlive_the_manager(rig: Rig) -> None:
    manager = rig.start()
    read, write = os.pipe()
    manager.order("hold", "control", fd=write)
    manager.order("hold", "control", fd=read)  # instead of the one before
    manager.hello()
    os.close(read)
    manager.kill()
    manager = rig.manager()
    manager.hello()
    assert list(manager.fds) == [("held", "control")]
    os.write(write, b"still there")
    assert os.read(manager.fds["held", "control"], 100) == b"still there"
    os.close(write)


def test_a_manager_that_was_upgraded_is_started_at_once_and_one_that_died_with_a_pause(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.end(wire.EXIT_RESTART)
    manager = rig.manager()
    manager.hello()
    assert "the manager" not in rig.said()
    manager.end(3)
    rig.manager()
    assert "maestrod: the manager ended with 3 after" in rig.said()
    assert "next start in 0.01 s" in rig.said()


def test_a_manager_that_retires_is_not_replaced(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    pid = sleeper(manager, "a#1")
    manager.order("retire")
    manager.end(5)
    assert rig.wait() == 5
    assert is_alive(pid), "an agent was taken along"


def test_signals_are_told_and_kept_while_there_is_no_manager(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    os.kill(rig.pid, signal.SIGHUP)
    assert manager.news("told", "reload")
    os.kill(rig.pid, signal.SIGUSR2)
    assert manager.news("told", "reexec")
    os.kill(rig.pid, signal.SIGUSR1)  # as if it were a daemon that opens its logs again
    manager.kill()
    manager = rig.manager()
    os.kill(rig.pid, signal.SIGTERM)
    os.kill(rig.pid, signal.SIGINT)
    until(lambda: not _pending(rig.pid), "the keeper has heard both")
    manager.hello()
    assert manager.news("told", "terminate")
    assert manager.nothing_unread()
    os.kill(rig.pid, signal.SIGINT)
    assert manager.news("told", "terminate")


def _pending(pid: int) -> bool:
    """Whether the process has a signal to take, or runs just now."""
    status = Path(f"/proc/{pid}/status").read_text()
    waits = "State:\tS" in status
    return not waits or any(int(line.split()[1], 16) for line in status.splitlines() if "Pnd:" in line)


def test_told_to_end_and_with_managers_that_die_of_it_the_keeper_gives_up(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    pid = sleeper(manager, "a#1")
    os.kill(rig.pid, signal.SIGTERM)
    assert manager.news("told", "terminate")
    for _ in range(4):
        manager.end(1)
        manager = rig.manager()
        manager.hello()
        assert manager.news("told", "terminate")
    manager.end(1)
    assert rig.wait() == 1
    assert "no manager lives long enough to end the agents: leaving 1 running" in rig.said()
    assert is_alive(pid)


# ------------------------------------------------------------------------------------------------ the keeper dies

_COUNT = (
    "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; exit 9"  # 106 KiB: more than the pipe holds
)


def test_no_line_is_lost_though_manager_and_keeper_are_killed(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    environment = {"INVOCATION_ID": "one"}
    manager.spawn("count#1", "sh", "-c", _COUNT, stream="count", env=environment)
    _, _, pid, start = manager.news("spawned", "count#1")
    written = manager.read("count", 10_000)
    manager.kill()
    manager = rig.manager()
    assert manager.hello()["count#1"][2:5] == (pid, start, None)
    written += manager.read("count", 10_000)
    rig.kill()

    manager = rig.start()
    assert manager.hello() == {}
    manager.order("adopt", "count#1", pid, start, "one", "")
    manager.order("adopt", "count#1", pid, start, "one", "")  # every order may be repeated
    assert manager.news("spawned", "count#1")[2:] == (pid, start)
    while not written.endswith(b"\n20000\n"):
        written += manager.read("count")
    assert written.split() == [b"%d" % n for n in range(1, 20001)]
    assert manager.news("ended", "count#1")[2:6] == (None, None, 0.0, 0)


def test_an_adopted_agent_is_signalled_and_what_it_leaves_is_found(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    script = "setsid sleep 1000 & setsid sh -c 'sleep 1000 & exec sleep 1000' & sleep 1000"
    manager.spawn("a#1", "sh", "-c", script, env={"INVOCATION_ID": "of-a"})
    _, _, pid, start = manager.news("spawned", "a#1")
    until(lambda: len(Proc().children(pid)) == 3, "the agent has started its processes")
    rig.kill()
    manager = rig.start()
    manager.hello()
    manager.order("adopt", "a#1", 0, 0, "of-a", "")  # its pid was never recorded
    assert manager.news("spawned", "a#1")[2:] == (pid, start)
    manager.order("send", "a#1", signal.SIGTERM, False)
    left = manager.news("ended", "a#1")[-1]
    assert len(left) == 4
    manager.order("acknowledge", "a#1")
    assert manager.hello()["a#1"][5] == left
    manager.order("send", "a#1", signal.SIGKILL, True)
    manager.news("emptied", "a#1")
    assert manager.hello() == {}


def test_what_is_not_there_to_be_adopted_has_ended(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    pid = sleeper(manager, "other#1")
    manager.order("adopt", "a#1", pid, 1, "nobody's", "")  # the pid is another's by now
    assert manager.news("ended", "a#1")[2:4] == (None, None)
    manager.order("adopt", "b#1", 0, 0, "nobody's", "")
    assert manager.news("ended", "b#1")[2:4] == (None, None)
    manager.order("send", "a#1", signal.SIGKILL, True)
    manager.hello()
    assert is_alive(pid)


def test_the_last_keepers_manager_is_gone_before_the_next_ones_starts(rig: Rig) -> None:
    first = rig.start()
    first.hello()
    os.kill(first.pid, signal.SIGSTOP)
    assert rig.keeper is not None
    rig.keeper.kill()
    rig.keeper.wait(PATIENCE)
    rig.start()
    assert not is_alive(first.pid)


def test_a_second_keeper_is_refused(rig: Rig) -> None:
    rig.start().hello()
    second = subprocess.run(
        reexec.command(rig.setting()), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert second.returncode == 1
    assert second.stderr == f"maestrod: another maestrod (pid {rig.pid}) already runs with this root\n"


# ------------------------------------------------------------------------------------------------ re-exec


def image(pid: int) -> bytes:
    """Changes with every exec: where the kernel put the arguments."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[45]


def renewed(rig: Rig, before: bytes) -> None:
    until(lambda: image(rig.pid) != before, "the keeper is another")


def test_the_keeper_is_renewed_under_load_and_no_status_is_lost(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    keeper_id, wanted = manager.keeper_id, {}
    read, write = os.pipe()
    manager.order("hold", "control", fd=read)
    for n in range(200):
        wanted[f"a#{n}"] = n % 250
        script = f"sleep 0.{n * 37 % 100:02}; exit {n % 250}"
        manager.spawn(f"a#{n}", "sh", "-c", script, stream=f"s{n % 20}")
        if n % 50 == 20:
            before = image(rig.pid)
            manager.order("reexec")
            renewed(rig, before)
    assert {agent: manager.news("ended", agent)[2] for agent in wanted} == wanted
    assert len(manager.hello()) == 200
    assert manager.keeper_id == keeper_id
    assert len(manager.fds) == 21
    for fd in (read, write):
        os.close(fd)
    assert rig.keeper is not None
    assert rig.keeper.poll() is None
    assert os.getpgid(manager.pid) > 0, "the manager is gone"


TIED = "import ctypes, signal, time; ctypes.CDLL(None).prctl(1, signal.SIGKILL); print('tied', flush=True); time.sleep(99)"


def test_an_agent_that_asked_to_die_with_its_parent_outlives_renewals(rig: Rig) -> None:
    """A thread's end is a parent's end, too: the keeper must execute in the one that the agents are children of."""
    manager = rig.start()
    manager.hello()
    for n in range(3):
        manager.spawn(f"a#{n}", sys.executable, "-c", TIED, stream=f"s{n}")
        manager.news("spawned", f"a#{n}")
        assert manager.read(f"s{n}") == b"tied\n"
        before = image(rig.pid)
        manager.order("reexec")
        renewed(rig, before)
    assert [entry[4] for entry in manager.hello().values()] == [None] * 3, "none of them has ended"


def test_the_list_that_is_read_at_each_exit_holds_orphans_only(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    sleeper(manager, "a#1")
    assert Path(f"/proc/{rig.pid}/task/{rig.pid}/children").read_text() == ""


def test_a_successor_that_does_not_start_is_not_become(rig: Rig, folder: Path) -> None:
    rig.source = folder / "daemon"
    copy_of_keeper(rig.source)
    manager = rig.start()
    manager.hello()
    before = image(rig.pid)
    table = rig.source / "maestro/keeper/table.py"
    text = table.read_text()
    table.write_text("this is no Python")
    manager.order("reexec")
    until(lambda: "when tried out; going on with the old one" in rig.said(), "the trial has failed")
    sleeper(manager, "a#1")
    assert image(rig.pid) == before
    table.write_text(text)
    manager.order("reexec")
    renewed(rig, before)
    assert list(manager.hello()) == ["a#1"]


def copy_of_keeper(source: Path) -> None:
    here = Path(reexec.__file__).parent
    (source / "maestro/keeper").mkdir(parents=True)
    for file in (here.parent / "__init__.py", *here.glob("*.py")):
        (source / "maestro" / file.relative_to(here.parent)).write_bytes(file.read_bytes())


def test_processes_left_before_a_renewal_are_known_after_it(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    manager.spawn("a#1", "sh", "-c", "setsid sleep 1000 & exit 0", env={"INVOCATION_ID": "a"})
    assert manager.news("ended", "a#1")[-1]
    before = image(rig.pid)
    manager.order("reexec")
    renewed(rig, before)
    manager.order("send", "a#1", signal.SIGKILL, True)
    manager.news("emptied", "a#1")


# ------------------------------------------------------------------------------------------------ no descriptors


def test_without_descriptors_a_spawn_fails_in_words_and_the_keeper_lives(rig: Rig) -> None:
    manager = rig.start(files=64)
    manager.hello()
    started = 0
    while True:
        agent = f"a#{started}"
        manager.spawn(agent, "sleep", "1000", stream=f"s{started}")
        message = manager.next()
        while message[0] == "stream":
            message = manager.next()
        if message[0] == "cannot_spawn":
            break
        started += 1
    assert message == ("cannot_spawn", agent, "make a pipe", errno.EMFILE)
    manager.kill()
    manager = rig.manager()  # for which there is a reserve
    entries = manager.hello()
    assert len(entries) == started
    os.kill(entries["a#0"][2], signal.SIGKILL)
    assert manager.news("ended", "a#0")[2:4] == (None, signal.SIGKILL)
    manager.order("release_stream", "s0")
    manager.order("release_stream", "s1")
    manager.spawn("again#1", "true")
    assert manager.news("ended", "again#1")[2] == 0
    before = image(rig.pid)
    manager.order("reexec")
    renewed(rig, before)
    assert len(manager.hello()) == started + 1
