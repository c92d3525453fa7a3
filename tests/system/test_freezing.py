"""A frozen agent stands still with all its processes, whatever becomes of us, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.system.harness import Daemon, daemon_in, pause, until
from tests.system.standing import is_still
from tests.system.test_trees import WAYS, flat, pids, tree

pytestmark = pytest.mark.system


def all_still(found: list[int]) -> bool:
    return all(map(is_still, found))


def all_going(found: list[int]) -> bool:
    return not any(map(is_still, found))


@pytest.fixture(params=["", "none"], ids=["group", "signals"])
def daemon(folder: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Where there are control groups, and where there are none."""
    with daemon_in(folder, MAESTRO_CGROUPS=request.param) as one:
        yield one


def frozen(daemon: Daemon, folder: Path) -> list[int]:
    daemon.unit("tree", agent={"exec": tree(folder, *WAYS), "stop": {"sequence": ["TERM 500ms", "KILL"]}})
    daemon.start()
    daemon.call("start", units=["tree"])
    found = flat(pids(folder, *WAYS))
    assert daemon.call("freeze", units=["tree"])["changes"] == ["tree: frozen"]
    until(lambda: all_still(found), what="all stand still")
    return found


def test_every_process_stands_still_and_goes_on(daemon: Daemon, folder: Path) -> None:
    found = frozen(daemon, folder)
    seen = daemon.status("tree")
    assert (seen["state"], seen["fine"]) == ("active", "frozen")
    daemon.call("thaw", units=["tree"])
    until(lambda: all_going(found), what="all go on")
    assert daemon.status("tree")["fine"] == "running"


def test_it_stays_frozen_when_manager_and_keeper_die(daemon: Daemon, folder: Path) -> None:
    found = frozen(daemon, folder)
    dead = daemon.kill_manager()
    daemon.new_manager(dead)
    assert daemon.status("tree")["fine"] == "frozen"
    assert all_still(found)
    daemon.kill_keeper()
    daemon.start()
    daemon.wait_state("tree", "active")
    assert daemon.status("tree")["fine"] == "frozen"
    assert all_still(found)
    daemon.call("thaw", units=["tree"])
    until(lambda: all_going(found), what="all go on")


def test_a_frozen_one_stops_by_its_first_signal(daemon: Daemon) -> None:
    daemon.unit("web", agent={"exec": ["/bin/sleep", "1000"], "stop": {"sequence": ["TERM 10s", "KILL"]}})
    daemon.start()
    daemon.call("start", units=["web"])
    daemon.call("freeze", units=["web"])
    daemon.call("stop", units=["web"])
    said = " ".join(event["words"] for event in daemon.events())
    assert "SIGKILL" not in said, said


def test_what_forks_all_the_time_is_caught(daemon: Daemon, folder: Path) -> None:
    """Each process is gone in a moment and another there: one that is missed would go on."""
    count = folder / "count"
    script = f"i=0; while :; do i=$((i+1)); (exec /bin/echo $i > {count}) ; done"
    daemon.unit("busy", agent={"exec": ["/bin/sh", "-c", script]})
    daemon.start()
    daemon.call("start", units=["busy"])
    until(count.exists)
    main = daemon.status("busy")["pid"]
    for _ in range(10):
        daemon.call("freeze", units=["busy"])
        until(partial(is_still, main))
        pause(0.05)  # its child is found a round later
        before = count.read_bytes()
        pause(0.05)
        assert count.read_bytes() == before
        daemon.call("thaw", units=["busy"])
        until(partial(has_changed, count, before))


def has_changed(path: Path, before: bytes) -> bool:
    return path.read_bytes() not in (b"", before)
