"""The owner of a slice, by a real uid: what it sees, what it may do, and that all else is not there for it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, is_alive, until
from tests.system.people import ask_as, watch_as

pytestmark = [pytest.mark.system, pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")]
ACME, RIVAL, NOBODYS, GROUP = 471101, 471102, 471103, 471200
SLEEP = ["/bin/sh", "-c", "echo hello; exec sleep 1000"]
OWN, OTHERS = "tenants-acme.slice", "tenants-rival.slice"


@pytest.fixture
def two(daemon: Daemon) -> Daemon:
    """Two tenants with an agent each, and one agent that is nobody's."""
    daemon.unit(OWN, slice={"owner": ACME})
    daemon.unit(OTHERS, slice={"owner": RIVAL, "owner_group": GROUP}, resources={"tasks_max": 50})
    daemon.unit("web", agent={"exec": SLEEP}, resources={"slice": OWN})
    daemon.unit("deep", agent={"exec": SLEEP}, resources={"slice": "tenants-acme-inner.slice"})
    daemon.unit("theirs", agent={"exec": SLEEP}, resources={"slice": OTHERS})
    daemon.unit("free", agent={"exec": SLEEP}, install={"wanted_by": ["default.target"]})
    daemon.start()
    daemon.call("start", units=["web", "theirs", "free"])
    return daemon


def names(view: dict[str, Any]) -> set[str]:
    return {unit["name"] for unit in view["units"]}


def test_a_tenant_sees_only_its_own(two: Daemon) -> None:
    assert ask_as(ACME, two, "hello")["role"] == "tenant"
    seen = ask_as(ACME, two, "status")
    assert names(seen) == {OWN, "tenants-acme-inner.slice", "web", "deep"}
    assert seen["notices"] == []
    assert names(ask_as(ACME, two, "status", units=["*"])) == names(seen)
    hidden = ask_as(ACME, two, "status", units=["theirs", "free", OTHERS, "tenants.slice"])
    assert hidden["units"] == []
    absent = ask_as(ACME, two, "status", units=["absent"])["errors"]["absent"]
    for name, error in hidden["errors"].items():
        assert error == {**absent, "message": f"no unit {name}"}, "as one that there is not"
    for do in ("show", "cat"):
        assert ask_as(ACME, two, do, units=["theirs"])["message"].startswith("no unit theirs")
        assert ask_as(ACME, two, do, units=["web"])["items"][0]["name"] == "web"


def test_a_tenant_reads_logs_and_events_of_its_own(two: Daemon) -> None:
    until(lambda: b"hello" in two.log("web"), what="what web says is in its log")
    lines = watch_as(ACME, two, "logs", units=["web"])
    assert "hello" in [line["text"] for line in lines]
    assert watch_as(ACME, two, "logs", units=["theirs"])[0]["code"] == "no-such-unit"
    told = watch_as(ACME, two, "events", cursor=0, follow=False)
    assert {event["unit"] for event in told if event["kind"] != "mark"} == {OWN, "web"}
    two.unit("slow", agent={"exec": SLEEP}, unit={"requires": ["late"], "after": ["late"]})
    two.unit("late", agent={"exec": SLEEP, "type": "notify"})
    two.call("daemon-reload")
    two.call("start", units=["slow"], wait=False)
    [job] = two.call("jobs")["items"]
    assert ask_as(ACME, two, "jobs")["items"] == []
    answer = ask_as(ACME, two, "cancel", units=["slow", str(job["id"])])
    assert [error["code"] for error in answer["errors"].values()] == ["no-such-unit", "no-job"]
    assert two.call("jobs")["items"]


def test_a_tenant_acts_within_its_slice(two: Daemon) -> None:
    pid = two.status("web")["pid"]
    assert ask_as(ACME, two, "freeze", units=["web"])["errors"] == {}
    assert two.status("web")["fine"] == "frozen"
    assert ask_as(ACME, two, "thaw", units=["web"])["errors"] == {}
    assert ask_as(ACME, two, "restart", units=["web"])["jobs"][0]["state"] == "done"
    assert not is_alive(pid)
    assert ask_as(ACME, two, "start", units=["deep"])["jobs"][0]["state"] == "done"
    assert ask_as(ACME, two, "kill", units=["deep"], signal="KILL")["errors"] == {}
    assert ask_as(ACME, two, "stop", units=["*"])["errors"] == {}
    assert two.status("web")["state"] == "inactive"
    assert two.status("free")["state"] == two.status("theirs")["state"] == "active"
    assert two.call("audit")["items"][-1]["uid"] == ACME


def test_a_tenant_sees_what_its_own_uses(two: Daemon) -> None:
    assert {one["name"] for one in ask_as(ACME, two, "usage")["units"]} == {"web"}
    assert ask_as(ACME, two, "usage", units=["free"])["errors"]["free"]["code"] == "no-such-unit"


@pytest.mark.parametrize(
    "do", ["start", "stop", "restart", "reload", "freeze", "thaw", "kill", "reset-failed"]
)
def test_a_tenant_touches_nobody_elses(two: Daemon, do: str) -> None:
    for name in ("theirs", "free", OTHERS, "tenants.slice", "default.target"):
        error = ask_as(ACME, two, do, units=[name])["errors"][name]
        assert (error["code"], error["message"]) == ("no-such-unit", f"no unit {name}")
    error = ask_as(ACME, two, do, units=[OWN])["errors"][OWN]
    assert error["code"] == "not-allowed", "who gave it the slice may have stopped it"
    assert two.status("free")["fine"] == two.status("theirs")["fine"] == two.status(OWN)["fine"] == "running"


REFUSED: dict[str, dict[str, Any]] = {
    "daemon-reload": {},
    "daemon-reexec": {},
    "shutdown": {},
    "enable": {"units": ["web"]},
    "disable": {"units": ["web"]},
    "mask": {"units": ["web"]},
    "isolate": {"units": ["web"]},
    "run": {"unit": "mine", "properties": ["agent.exec=[/bin/true]", f"resources.slice={OTHERS}"]},
    "audit": {},
    "links": {},
    "emergency-stop": {},
}


def test_a_tenant_changes_no_configuration(two: Daemon) -> None:
    for do, fields in REFUSED.items():
        assert ask_as(ACME, two, do, **fields)["code"] == "not-allowed", do


def test_whose_a_slice_is_follows_its_file_and_its_group(two: Daemon) -> None:
    assert ask_as(NOBODYS, two, "hello")["role"] == "none"
    assert ask_as(NOBODYS, two, "status")["code"] == "not-allowed"
    assert ask_as(GROUP, two, "hello")["role"] == "tenant", "its group is the owner"
    assert names(ask_as(GROUP, two, "status")) == {OTHERS, "theirs"}
    two.unit(OWN, slice={"owner": NOBODYS})
    two.call("daemon-reload")
    assert ask_as(ACME, two, "status")["code"] == "not-allowed"
    assert names(ask_as(NOBODYS, two, "status", units=["web"])) == {"web"}


def test_the_owner_of_an_outer_slice_has_all_within_it(two: Daemon) -> None:
    two.unit("tenants.slice", slice={"owner": NOBODYS})
    two.call("daemon-reload")
    assert names(ask_as(NOBODYS, two, "status")) >= {"tenants.slice", OWN, OTHERS, "web", "theirs"}
    assert ask_as(NOBODYS, two, "stop", units=[OTHERS])["jobs"][0]["state"] == "done"
    assert two.status("theirs")["state"] == "inactive"


def opened_by(uid: int, path: Path) -> bool:
    child = os.fork()
    if child == 0:
        os.setgroups(())
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os._exit(0 if os.access(path, os.R_OK) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_log_files_of_its_agents_are_a_tenants_to_read(two: Daemon) -> None:
    try:
        os.getxattr(two.root, "system.posix_acl_access")
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            pytest.skip("this file system has no access control lists")
    logs = two.root / "var/log/maestro"
    until(lambda: b"hello" in two.log("web"))
    mine, others = logs / "web/current", logs / "theirs/current"
    until(others.exists)
    assert {uid: opened_by(uid, mine) for uid in (ACME, RIVAL, NOBODYS)} == {
        ACME: True,
        RIVAL: False,
        NOBODYS: False,
    }
    assert (opened_by(RIVAL, others), opened_by(ACME, others), opened_by(GROUP, others)) == (
        True,
        False,
        True,
    )
    assert not opened_by(ACME, logs / "free"), "what is nobody's is root's"
    two.unit(OWN, slice={"owner": NOBODYS})
    two.call("daemon-reload")
    until(lambda: opened_by(NOBODYS, mine) and not opened_by(ACME, mine), what="the files follow the slice")


def test_logs_of_a_slice_keep_to_its_quota(daemon: Daemon) -> None:
    write = ["/bin/sh", "-c", "while :; do head -c 20000 /dev/zero | tr '\\0' x; echo; sleep 0.02; done"]
    daemon.unit(OWN, slice={"owner": ACME, "log_quota": "256K"})
    for name in ("web", "deep"):
        daemon.unit(
            name,
            agent={"exec": write},
            logs={"max_size": "64K", "max_files": 50},
            resources={"slice": OWN if name == "web" else "tenants-acme-inner.slice"},
        )
    quiet = ["/bin/sh", "-c", "head -c 200000 /dev/zero | tr '\\0' y; echo; exec sleep 1000"]
    daemon.unit("outside", agent={"exec": quiet}, logs={"max_size": "64K", "max_files": 50})
    daemon.start()
    daemon.call("start", units=["web", "deep", "outside"])
    logs = daemon.root / "var/log/maestro"

    def size(name: str) -> int:
        return sum(file.stat().st_size for file in (logs / name).glob("*.log"))

    def told() -> list[str]:
        return [event["words"] for event in daemon.events() if event["kind"] == "log-quota"]

    until(lambda: len(told()) >= 1, 60, "output was removed, and that is told")
    daemon.call("stop", units=["web", "deep"])
    until(lambda: size("web") + size("deep") <= 256 << 10, 60, "the sum is within the quota")
    assert told()[0].startswith("removed ")
    assert "log_quota, 256K" in told()[0]
    assert size("outside") > 200_000, "what is in no slice is left"
    assert daemon.ctl("logs", "web", "-n", "1").stdout.strip("x\n") == ""
