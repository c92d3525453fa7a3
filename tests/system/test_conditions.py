"""Conditions and asserts of real agents, as maestroctl shows them."""

from __future__ import annotations

import pytest

from tests.system.harness import Daemon

pytestmark = pytest.mark.system
SLEEPS = {"exec": ["/bin/sleep", "1000"]}


def test_a_skipped_unit_is_done_and_says_why(daemon: Daemon) -> None:
    file = daemon.root / "there"
    daemon.unit("db", condition={"path_exists": str(file)}, agent=SLEEPS)
    daemon.unit("web", unit={"requires": ["db"], "after": ["db"]}, agent=SLEEPS)
    daemon.start()
    told = daemon.ctl("start", "web", "db")
    assert told.returncode == 0, told
    assert daemon.status("web")["state"] == "active"
    shown = daemon.ctl("status", "db")
    assert shown.returncode == 3
    assert f"skipped: condition path_exists={file} was not met" in shown.stdout
    file.touch()
    daemon.kill_manager()
    assert daemon.ctl("start", "db").returncode == 0
    assert daemon.status("db")["state"] == "active"


def test_an_unmet_assert_is_a_failure(daemon: Daemon) -> None:
    daemon.unit("db", **{"assert": {"path_exists": "/no/such/file"}}, agent=SLEEPS)
    daemon.start()
    told = daemon.ctl("start", "db")
    assert told.returncode == 1
    assert "assert path_exists=/no/such/file was not met" in told.stdout + told.stderr
    assert daemon.status("db")["state"] == "failed"
