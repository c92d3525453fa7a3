"""The virtual machine is what the other tests take it for: otherwise they would pass for want of what they are about."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.system.harness import Daemon, patient
from tests.system.layout import layout

GUEST = os.environ.get("MAESTRO_VM_GUEST", "")

pytestmark = pytest.mark.skipif(not GUEST, reason="is about the virtual machine of bin/test --vm")


def test_it_is_the_host_that_was_asked_for() -> None:
    here = layout()
    assert (here.kind, here.tree, here.v1) == ("v2", Path("/sys/fs/cgroup"), {})
    assert {"cpu", "io", "memory", "pids"} <= here.controllers
    assert Path("/run/systemd/system").exists() == (GUEST == "systemd")
    assert (os.geteuid() == 0) == (GUEST != "user")
    assert patient(1) > 1


@pytest.mark.system
def test_a_keeper_that_may_protects_itself_and_nothing_that_it_starts(daemon: Daemon) -> None:
    """Where it may not it takes the quick way, which other hosts test; here both are met."""
    daemon.unit("a", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.unit("b", agent={"exec": ["/bin/sleep", "1000"], "working_directory": "/tmp"})
    daemon.start()
    daemon.call("start", units=["a", "b"])
    manager = daemon.manager()
    assert manager is not None
    started = [manager, *(daemon.wait_state(name, "active")["pid"] for name in ("a", "b"))]
    usual = Path("/proc/self/oom_score_adj").read_text()
    for pid in started:
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == usual
    expected = usual if os.geteuid() else "-1000\n"
    assert Path(f"/proc/{daemon.keeper}/oom_score_adj").read_text() == expected
    assert daemon.stop() == 0
