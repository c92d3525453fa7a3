"""Control groups of version 1 with no tree of version 2 beside them, as hosts of some years ago have it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import Daemon, children, daemon_in, is_alive, until
from tests.system.layout import layout, only_on
from tests.system.test_freezing import all_going, all_still

pytestmark = [
    pytest.mark.system,
    only_on("hybrid"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own takes root"),
]
# One process that nothing but its control group ties to the agent.
TREE = "sleep 1000 & (exec env -i setsid sleep 1000 <&- >&- 2>&-) & wait"
HOG = "x=$(head -c 200000000 /dev/zero | tr '\\0' a); echo no"


@pytest.fixture
def daemon(folder: Path) -> Iterator[Daemon]:
    with daemon_in(folder) as one:
        tree = layout().tree
        forget = f"umount {tree}; " if tree is not None else ""
        private = ("unshare", "--mount", "--propagation", "private")
        one.prefix = (*private, "/bin/sh", "-c", forget + 'exec "$@"', "sh")
        yield one


def test_a_whole_tree_is_held_to_its_limits_stood_still_and_ended(daemon: Daemon) -> None:
    daemon.unit("tree", agent={"exec": ["/bin/sh", "-c", TREE]})
    once = {"restart": {"policy": "no"}}
    daemon.unit(
        "hog",
        agent={"exec": ["/bin/sh", "-c", HOG.replace("$", "$$")], **once},
        resources={"memory_max": "32M"},
    )
    daemon.start()
    assert "cgroup v1: " in daemon.ctl("doctor").stdout
    daemon.call("start", units=["tree", "hog"])
    main = daemon.status("tree")["pid"]
    until(lambda: len(children(main)) == 2)
    found = [main, *children(main)]
    until(lambda: daemon.status("tree")["usage"]["tasks"] == 3)
    for held, seen in (("freeze", all_still), ("thaw", all_going)):
        assert not daemon.call(held, units=["tree"])["errors"]
        until(lambda seen=seen: seen(found), what=held)  # type: ignore[misc]
    assert daemon.ctl("emergency-stop").returncode == 0
    until(lambda: all_still(found), what="all stand still")
    assert daemon.ctl("emergency-stop", "--thaw").returncode == 0
    cause = daemon.wait_state("hog", "failed")["cause"]
    assert cause.startswith("killed for want of memory: used 32M of memory_max 32M"), cause
    daemon.kill_keeper()
    daemon.start()
    assert daemon.status("tree")["pid"] == main
    daemon.call("stop", units=["tree"])
    until(lambda: not any(map(is_alive, found)), what="all of it is gone")
    assert daemon.status("tree")["fine"] == "dead"
