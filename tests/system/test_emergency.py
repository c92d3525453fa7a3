"""Every agent stands still at once: by the daemon, without its disk, and without the daemon."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, daemon_in, is_alive, until
from tests.system.test_freezing import all_going, all_still

pytestmark = pytest.mark.system

COUNT = 50


@pytest.fixture(params=["", "none"], ids=["group", "signals"])
def daemon(folder: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with daemon_in(folder, MAESTRO_CGROUPS=request.param) as one:
        yield one


def herd(daemon: Daemon, count: int = COUNT) -> list[int]:
    """So many agents that run, each with a child; their main processes."""
    for number in range(count):
        script = "trap '' TERM; /bin/sleep 1000 & wait"
        agent = {"exec": ["/bin/sh", "-c", script], "stop": {"sequence": ["KILL"]}}
        daemon.unit(f"x{number}", agent=agent)
    daemon.start()
    answer = daemon.call("start", units=["x*"])
    assert not answer["errors"]
    return [unit["pid"] for unit in daemon.call("status", units=["x*"], detail=False)["units"]]


def emergency(daemon: Daemon, *options: str) -> dict[str, Any]:
    done = daemon.ctl("emergency-stop", "-o", "json", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def fines(daemon: Daemon) -> set[str]:
    return {unit["fine"] for unit in daemon.call("status", units=["x*"], detail=False)["units"]}


def test_all_stand_still_and_go_on(daemon: Daemon) -> None:
    found = herd(daemon)
    manager = daemon.manager()
    daemon.call("freeze", units=["x0"])
    answer = emergency(daemon)
    assert (answer["agents"], answer["by"], answer["still"]) == (COUNT, "daemon", True)
    until(lambda: all_still(found), what="all stand still")
    assert fines(daemon) == {"frozen"}
    assert any("emergency-stop" in words for words in daemon.call("hello")["notices"])
    refused = daemon.ctl("restart", "x1")
    assert "every agent is held by emergency-stop" in refused.stderr
    emergency(daemon, "--thaw")
    until(lambda: all_going(found[1:]), what="all go on")
    assert all_still(found[:1]), "what was frozen by name stays so"
    assert daemon.status("x1")["fine"] == "running"
    daemon.call("thaw", units=["x0"])
    until(lambda: all_going(found[:1]), what="that one, too")
    assert daemon.manager() == manager


def test_what_is_frozen_meanwhile_stays_so(daemon: Daemon) -> None:
    """By name or with its slice, also where a manager died in between."""
    daemon.unit("team.slice", unit={})
    agent = {"exec": ["/bin/sleep", "1000"]}
    for number in range(4):
        section = {"resources": {"slice": "team.slice"}} if number == 1 else {}
        daemon.unit(f"x{number}", agent=agent, **section)
    daemon.start()
    assert not daemon.call("start", units=["x*"])["errors"]
    found = [daemon.status(f"x{number}")["pid"] for number in range(4)]
    emergency(daemon)
    until(lambda: all_still(found), what="all stand still")
    for unit in ("x0", "team.slice"):
        assert not daemon.call("freeze", units=[unit])["errors"]
    daemon.new_manager(daemon.kill_manager())
    assert daemon.ctl("freeze", "x0").stdout == "x0 is frozen already\n"
    emergency(daemon, "--thaw")
    until(lambda: all_going(found[2:]), what="the others go on")
    assert all_still(found[:2])
    assert [daemon.status(f"x{number}")["fine"] for number in range(4)] == ["frozen"] * 2 + ["running"] * 2
    for unit in ("x0", "team.slice"):
        assert not daemon.call("thaw", units=[unit])["errors"]
    until(lambda: all_going(found), what="those, too")
    assert fines(daemon) == {"running"}


def test_it_outlives_the_manager(daemon: Daemon) -> None:
    found = herd(daemon, 5)
    emergency(daemon)
    daemon.new_manager(daemon.kill_manager())
    assert fines(daemon) == {"frozen"}
    assert all_still(found)
    emergency(daemon, "--thaw")
    until(lambda: all_going(found), what="all go on")
    assert fines(daemon) == {"running"}


def test_all_are_killed_where_they_stand(daemon: Daemon) -> None:
    found = herd(daemon, 5)
    emergency(daemon)
    emergency(daemon, "--stop")
    until(lambda: not any(map(is_alive, found)), what="all are gone")
    until(lambda: fines(daemon) == {"dead"}, what="they are known to be")
    assert daemon.call("hello")["notices"] == []


def test_while_the_manager_hangs(daemon: Daemon) -> None:
    found = herd(daemon)
    manager = daemon.manager()
    assert manager is not None
    os.kill(manager, signal.SIGSTOP)
    try:
        answer = emergency(daemon)
        assert (answer["agents"], answer["by"], answer["still"]) == (COUNT, "kernel", True)
        until(lambda: all_still(found), what="all stand still")
    finally:
        os.kill(manager, signal.SIGCONT)
    if answer["how"] == "signals":  # of that the kernel says nothing to a manager that runs
        daemon.new_manager(daemon.kill_manager())
    until(lambda: fines(daemon) == {"frozen"}, what="it finds that out")
    emergency(daemon, "--thaw")
    until(lambda: all_going(found), what="all go on")


def test_without_any_daemon(daemon: Daemon) -> None:
    found = herd(daemon)
    daemon.kill_keeper()
    until(lambda: daemon.ctl("is-active", "x0").returncode == 7, what="nobody answers")
    answer = emergency(daemon)
    assert (answer["by"], answer["still"]) == ("kernel", True)
    until(lambda: all_still(found), what="all stand still")
    daemon.start()
    until(lambda: fines(daemon) == {"frozen"}, what="the next one knows")
    assert all_still(found)
    emergency(daemon, "--thaw")
    until(lambda: all_going(found), what="all go on")
    assert fines(daemon) == {"running"}


def test_nothing_is_left_held_when_the_daemon_ends(daemon: Daemon) -> None:
    found = herd(daemon, 3)
    emergency(daemon)
    assert daemon.stop() == 0
    assert not any(map(is_alive, found))


def test_while_another_process_has_the_database(daemon: Daemon) -> None:
    """The manager does not come up without it: this is done in the kernel, and found by the one that comes."""
    daemon.first_pause = 0.5  # until the next manager: time to take the database
    found = herd(daemon, 5)
    first = daemon.kill_manager()
    locked = f"state.db is locked by process {os.getpid()}: trying again"
    with closing(sqlite3.connect(daemon.root / "var/lib/maestro/state.db", timeout=20)) as store:
        store.execute("PRAGMA locking_mode=EXCLUSIVE")
        store.execute("BEGIN EXCLUSIVE")
        until(lambda: locked in daemon.said(), what="who has it")
        answer = emergency(daemon)
        assert (answer["agents"], answer["by"], answer["still"]) == (5, "kernel", True)
        until(lambda: all_still(found), what="all stand still")
        store.rollback()
    daemon.new_manager(first)
    until(lambda: fines(daemon) == {"frozen"}, what="the next one knows")
    assert all_still(found)
    emergency(daemon, "--thaw")
    until(lambda: all_going(found), what="all go on")
