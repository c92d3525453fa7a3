"""The packaged unit under systemd as PID 1. It installs into the host itself, so it runs in the virtual machine only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.harness import REPOSITORY, children, cmdline, is_alive, patient, until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        os.environ.get("MAESTRO_VM_GUEST") != "systemd",
        reason="installs a service: bin/test --vm --systemd runs it in a virtual machine",
    ),
]

UNITS = Path("/etc/maestro/units")
SERVICE = Path("/etc/systemd/system/maestrod.service")


def systemctl(*words: str, check: bool = True) -> str:
    done = subprocess.run(
        ["systemctl", *words], capture_output=True, text=True, timeout=patient(60), check=False
    )
    assert not check or done.returncode == 0, f"systemctl {words}: {done.stderr}{journal()}"
    return done.stdout.strip()


def journal() -> str:
    command = ["journalctl", "-u", "maestrod", "--no-pager", "-o", "cat", "-n", "60"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def shown(name: str) -> str:
    return systemctl("show", "-P", name, "maestrod")


def ctl(*words: str, statuses: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        ["maestroctl", *words], capture_output=True, text=True, timeout=patient(60), check=False
    )
    assert done.returncode in statuses, f"maestroctl {words}: {done.stdout}{done.stderr}"
    return done.stdout


def status(name: str) -> dict[str, Any]:
    """What `maestroctl status` knows: 3 says that a unit does not run, 4 that there is none."""
    answer = json.loads(ctl("status", "--output", "json", name, statuses=(0, 3, 4)))
    found: dict[str, Any] = answer["units"][0] if answer["units"] else {}
    return found


def main_pid(name: str) -> int:
    """The main process of a unit that is active, once it is."""
    until(lambda: (unit := status(name))["state"] == "active" and unit, what=f"{name} is active")
    pid: int = status(name)["pid"]
    return pid


def keeper_after(dead: int) -> int:
    """The keeper that systemd has started after the one that died."""
    until(
        lambda: shown("ActiveState") == "active" and shown("MainPID") not in ("0", str(dead)),
        what=f"systemd starts it again:\n{journal()}",
    )
    return int(shown("MainPID"))


def manager(keeper: int) -> int:
    def look() -> int:
        return next((pid for pid in children(keeper) if cmdline(pid).startswith("maestrod: manager")), 0)

    pid: int = until(look, what="a manager")
    return pid


def log(name: str) -> str:
    return "".join(path.read_text() for path in sorted(Path(f"/var/log/maestro/{name}").glob("*.log")))


@pytest.fixture
def service() -> Iterator[int]:
    """maestrod as a package installs it, enabled and started with two agents, one of which is enabled. Its keeper's pid."""
    programs = [Path("/usr/bin") / name for name in ("maestrod", "maestroctl")]
    for program in programs:
        program.symlink_to(Path(sys.executable).parent / program.name)
    shutil.copy(REPOSITORY / "packaging/maestrod.service", SERVICE)
    UNITS.mkdir(parents=True)
    forever = "trap 'echo told; exit' TERM; echo here; while :; do sleep 1000 & wait; done"
    for name in ("enabled", "other"):
        unit = {"agent": {"exec": ["/bin/sh", "-c", forever]}, "install": {"wanted_by": ["default.target"]}}
        (UNITS / f"{name}.agent.yaml").write_text(yaml.safe_dump(unit))
    (UNITS / "default.target.yaml").write_text(yaml.safe_dump({"unit": {"description": "all"}}))
    systemctl("daemon-reload")
    try:
        systemctl("enable", "--now", "maestrod.service")
        ctl("enable", "enabled")
        ctl("start", "enabled", "other")
        yield int(shown("MainPID"))
    finally:
        systemctl("disable", "--now", "maestrod.service", check=False)
        for path in (SERVICE, *programs):
            path.unlink(missing_ok=True)
        for folder in ("/etc/maestro", "/var/lib/maestro", "/var/log/maestro", "/run/maestro"):
            shutil.rmtree(folder, ignore_errors=True)
        systemctl("daemon-reload")


def test_the_unit_is_what_systemd_takes_it_for() -> None:
    """No key of it is unknown to this systemd, and what the manual promises of it is in force."""
    with contextlib.suppress(FileExistsError):
        Path("/usr/bin/maestrod").symlink_to(Path(sys.executable).parent / "maestrod")
    try:
        said = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(REPOSITORY / "packaging/maestrod.service")],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        Path("/usr/bin/maestrod").unlink()
    assert (said.returncode, said.stderr) == (0, "")


def test_it_is_enabled_protected_and_has_its_tree_to_itself(service: int) -> None:
    assert systemctl("is-enabled", "maestrod") == "enabled"
    assert [shown(name) for name in ("Delegate", "KillMode", "OOMPolicy", "TasksMax")] == [
        "yes",
        "process",
        "continue",
        "infinity",
    ]
    assert "memory" in shown("DelegateControllers").split()
    agent = main_pid("enabled")
    score = "/proc/{}/oom_score_adj"
    assert Path(score.format(service)).read_text().strip() == "-1000"
    assert Path(score.format(agent)).read_text().strip() == "0"


def test_agents_outlive_the_manager_and_the_keeper(service: int) -> None:
    before = [main_pid("enabled"), main_pid("other")]
    dead = manager(service)
    os.kill(dead, signal.SIGKILL)
    until(lambda: manager(service) != dead, what="the next manager")
    assert [main_pid("enabled"), main_pid("other")] == before
    assert int(shown("MainPID")) == service
    assert shown("NRestarts") == "0"
    os.kill(service, signal.SIGKILL)
    keeper_after(service)
    assert [main_pid("enabled"), main_pid("other")] == before
    assert shown("NRestarts") == "1"
    assert log("enabled") == log("other") == "here\n"
    ctl("stop", "other")  # what was found again is stopped as ever
    assert not is_alive(before[1])
    assert log("other") == "here\ntold\n"


def test_it_is_reloaded_and_renewed_in_place(service: int) -> None:
    agent = main_pid("enabled")
    (UNITS / "late.agent.yaml").write_text(yaml.safe_dump({"agent": {"exec": ["/bin/sleep", "1000"]}}))
    systemctl("reload", "maestrod")
    until(lambda: status("late").get("load") == "loaded", what="the unit that was added")
    ctl("daemon-reexec")
    assert main_pid("enabled") == agent
    assert int(shown("MainPID")) == service
    assert shown("ActiveState") == "active"


def test_a_stop_ends_all_in_order_and_a_start_brings_back_what_is_enabled(service: int) -> None:
    before = [main_pid("enabled"), main_pid("other")]
    systemctl("stop", "maestrod")
    assert not any(is_alive(pid) for pid in before)
    assert log("enabled") == log("other") == "here\ntold\n"
    assert shown("ActiveState") == "inactive"
    assert shown("Result") == "success"
    systemctl("start", "maestrod")
    assert main_pid("enabled") not in before
    assert status("other")["state"] == "inactive"


def test_a_restart_ends_all_in_order_too(service: int) -> None:
    """systemd tells a restart by no other signal than a stop; what keeps agents is daemon-reexec."""
    before = main_pid("enabled")
    systemctl("restart", "maestrod")
    assert main_pid("enabled") != before
    assert log("enabled") == "here\ntold\nhere\n"


def test_after_a_shutdown_it_stays_ended(service: int) -> None:
    agent = main_pid("enabled")
    ctl("shutdown")
    until(lambda: shown("ActiveState") == "inactive", what="the service has ended")
    assert not is_alive(agent)
    assert shown("NRestarts") == "0"
