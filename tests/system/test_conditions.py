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


def test_a_target_with_conditions(daemon: Daemon) -> None:
    file = daemon.root / "there"
    daemon.unit("db", agent=SLEEPS)
    daemon.unit("all.target", unit={"wants": ["db"]}, condition={"path_exists": str(file)})
    daemon.unit("sure.target", unit={"wants": ["db"]}, **{"assert": {"path_exists": str(file)}})
    daemon.unit("web", unit={"requires": ["all.target"], "after": ["all.target"]}, agent=SLEEPS)
    daemon.start()
    assert daemon.ctl("start", "web").returncode == 0
    assert [daemon.status(name)["state"] for name in ("db", "web")] == ["active", "active"]
    assert f"skipped: condition path_exists={file} was not met" in daemon.ctl("status", "all.target").stdout
    told = daemon.ctl("start", "sure.target")
    assert told.returncode == 1
    assert f"assert path_exists={file} was not met" in told.stdout + told.stderr
    file.touch()
    daemon.kill_manager()
    assert daemon.ctl("start", "all.target", "sure.target").returncode == 0
    assert daemon.status("all.target")["state"] == "active"
    daemon.kill_manager()
    assert daemon.status("all.target")["state"] == "active"
    assert daemon.ctl("stop", "all.target").returncode == 0
