"""The run directory, or what is in it, is deleted under a running daemon: all of it comes back by itself."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from maestro.keeper import reexec
from tests.keeper.rig import PATIENCE, Manager, Rig, rig_in
from tests.system.harness import REPOSITORY, Daemon, patient, until

pytestmark = pytest.mark.system


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    with rig_in(folder) as one:
        one.heartbeat = 0.1
        yield one


def second(rig: Rig) -> subprocess.CompletedProcess[str]:
    command = reexec.command(rig.setting())
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


# ------------------------------------------------------------------------------------------------ the lock


def until_said(rig: Rig, manager: Manager, words: str) -> None:
    """Answer pings until the keeper has said it."""
    while words not in rig.said():
        manager.next_ping()


def test_a_lock_that_was_deleted_is_taken_again(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    path = rig.directory / "keeper.lock"
    path.unlink()
    until_said(rig, manager, "keeper.lock was deleted: made and locked again")
    owner, _, noted, _ = path.read_text().split()
    assert (owner, noted) == (str(rig.pid), str(manager.pid)), "whom the next keeper is to see off"
    assert second(rig).returncode == 1
    manager.order("reexec")
    for _ in range(8):
        manager.next_ping()
    assert rig.said().count("\n") == 1, "a successor knows its lock"


def test_a_lock_that_somebody_else_has_by_now_is_named_once_and_taken_later(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    path = rig.directory / "keeper.lock"
    path.unlink()
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("4711\n")
        other.flush()
        until_said(
            rig, manager, "another maestrod (pid 4711) already runs with this root: end one of the two"
        )
        manager.next_ping()
        manager.next_ping()
        assert rig.said().count("4711") == 1
    until_said(rig, manager, "made and locked again")


# ------------------------------------------------------------------------------------------------ the sockets


_READY = """
import os, socket, time
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(1000)
"""


def test_a_run_directory_that_was_deleted_comes_back_with_all_that_was_in_it(daemon: Daemon) -> None:
    daemon.heartbeat = 0.5
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    daemon.unit("b", agent={"type": "notify", "exec": [sys.executable, "-I", "-S", "-c", _READY]})
    daemon.start()
    daemon.call("start", units=["a"])
    pid, manager = daemon.status("a")["pid"], daemon.manager()
    run = daemon.root / "run/maestro"
    with closing(daemon.client) as client:
        client.call("hello")
        shutil.rmtree(run)
        until(lambda: all((run / name).exists() for name in ("control.sock", "notify.sock", "keeper.lock")))
        assert client.call("status", {"units": ["a"]})["units"][0]["pid"] == pid, "a connection stays"
    assert daemon.status("a")["pid"] == pid
    assert daemon.call("start", units=["b"])["jobs"][0]["state"] == "done"
    assert daemon.manager() == manager
    daemon.new_manager(daemon.kill_manager())
    assert daemon.status("a")["pid"] == pid, "the keeper holds the new sockets"
    assert daemon.stop() == 0


# ------------------------------------------------------------------------------------------------ a second maestrod


def begin_second(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    """Another maestrod of the same root, until it ends by itself."""
    manager = [sys.executable, "-m", "maestro.wiring"]
    source, run = f"{REPOSITORY}/daemon", daemon.root / "run/maestro"
    run.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        reexec.command(reexec.Setting(sys.executable, source, str(run), manager)),
        env={**os.environ, "MAESTRO_ROOT": str(daemon.root), "PYTHONPATH": f"{source}:{REPOSITORY}/plugins"},
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )


def test_a_second_maestrod_whom_no_lock_stops_ends_with_one_sentence(daemon: Daemon) -> None:
    daemon.start()
    shutil.rmtree(daemon.root / "run/maestro")  # the first one finds out in a few seconds
    done = begin_second(daemon)
    assert done.returncode == 1
    store = daemon.root / "var/lib/maestro"
    assert (
        done.stderr
        == f"maestrod: another maestrod uses {store} (pid {daemon.keeper}): this one ends, and leaves it alone\n"
    )
    assert daemon.manager()


def test_a_store_that_a_stranger_has_locked_is_waited_for(daemon: Daemon) -> None:
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["a"])
    pid = daemon.status("a")["pid"]
    first = daemon.kill_manager()
    locked = f"state.db is locked by process {os.getpid()}: trying again"
    with closing(sqlite3.connect(daemon.root / "var/lib/maestro/state.db", timeout=20)) as store:
        store.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            store.execute("BEGIN EXCLUSIVE")
            until(lambda: locked in daemon.said(), what="who has it")
            store.rollback()
        except sqlite3.OperationalError:
            pytest.skip("the next manager was faster")
    daemon.new_manager(first)
    assert daemon.status("a")["pid"] == pid
    assert "Traceback" not in daemon.said()
