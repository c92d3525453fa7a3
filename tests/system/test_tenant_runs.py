"""What the owner of a slice runs by itself, as a real user: within its slice, as that user, and never with the daemon's rights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, until
from tests.system.people import ask_as, ctl_as, watch_as

pytestmark = [pytest.mark.system, pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")]
ACME, RIVAL = 471101, 471102
OWN, OTHERS = "tenants-acme.slice", "tenants-rival.slice"
SLEEP = "agent.exec=[/bin/sleep, '1000']"


@pytest.fixture
def two(daemon: Daemon) -> Daemon:
    daemon.unit("tenants.slice", slice={"uid_range": "471000-471999"})
    daemon.unit(OWN, slice={"owner": ACME, "uid_range": "471110-471119"})
    daemon.unit(OTHERS, slice={"owner": RIVAL})
    daemon.unit("theirs", agent={"exec": ["/bin/sleep", "1000"]}, resources={"slice": OTHERS})
    daemon.unit("mine", agent={"exec": ["/bin/sleep", "1000"]}, resources={"slice": OWN})
    daemon.start()
    daemon.call("start", units=["theirs", "mine"])
    return daemon


def ids(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def run(two: Daemon, *properties: str, unit: str = "job") -> dict[str, Any]:
    return ask_as(ACME, two, "run", unit=unit, properties=[SLEEP, *properties])


def test_it_runs_in_its_slice_as_its_user_and_gains_nothing(two: Daemon) -> None:
    said = ctl_as(ACME, two, "run", "--unit", "job", "/bin/sleep", "1000")
    assert (said.returncode, said.stdout, said.stderr) == (0, "Running as tenants-acme-job\n", "")
    seen = two.status("tenants-acme-job")
    [shown] = two.call("show", units=["tenants-acme-job"])["items"]
    assert shown["options"]["resources.slice"] == OWN
    found = ids(seen["pid"])
    assert found["Uid"] == found["Gid"] == " ".join([str(ACME)] * 4)
    assert (found["Groups"], found["NoNewPrivs"], found["CapEff"]) == (str(ACME), "1", "0" * 16)
    again = ctl_as(ACME, two, "run", "--unit", "tenants-acme-job", "/bin/true")
    assert "there is a unit of this name already" in again.stderr
    assert ctl_as(ACME, two, "stop", "tenants-acme-job").returncode == 0
    assert two.call("audit")["items"][-1]["uid"] == ACME


def test_its_output_is_its_own_also_when_it_is_gone(two: Daemon) -> None:
    said = ctl_as(ACME, two, "run", "--unit", "job", "-f", "/bin/sh", "-c", "id -u; exit 3")
    assert (said.returncode, said.stdout.split()) == (3, [str(ACME)])
    two.call("reset-failed")
    until(lambda: "tenants-acme-job" not in {one["name"] for one in two.call("status")["units"]})
    assert ctl_as(ACME, two, "logs", "tenants-acme-job").stdout.split() == [str(ACME)]
    assert watch_as(RIVAL, two, "logs", units=["tenants-acme-job"])[0]["code"] == "no-such-unit"
    dead = two.kill_manager()
    two.new_manager(dead)
    assert ctl_as(ACME, two, "logs", "tenants-acme-job").stdout.split() == [str(ACME)]


def test_the_log_of_another_unit_that_took_the_name_of_one_that_is_gone_is_not_its_own(two: Daemon) -> None:
    name = "tenants-acme-job"
    assert ctl_as(ACME, two, "run", "--unit", "job", "-f", "/bin/true").returncode == 0
    until(lambda: name not in {one["name"] for one in two.call("status")["units"]})
    path = two.unit(name, agent={"exec": ["/bin/echo", "secret"], "type": "oneshot"})
    two.call("daemon-reload")
    two.call("start", units=[name])
    until(lambda: b"secret" in two.log(name), what="it has said it")
    path.unlink()
    assert two.call("daemon-reload")["removed"] == [name]
    seen = ctl_as(ACME, two, "logs", name)
    assert (seen.returncode, "secret" in seen.stdout) == (4, False), seen.stdout + seen.stderr


def test_a_log_that_another_unit_left_is_not_brought_into_sight(two: Daemon) -> None:
    path = two.unit("tenants-acme-old", agent={"exec": ["/bin/echo", "secret"], "type": "oneshot"})
    two.call("daemon-reload")
    two.call("start", units=["tenants-acme-old"])
    until(lambda: b"secret" in two.log("tenants-acme-old"))
    path.unlink()
    two.call("daemon-reload")
    assert watch_as(ACME, two, "logs", units=["tenants-acme-old"])[0]["code"] == "no-such-unit"
    answer = run(two, unit="old")
    assert answer["message"].endswith("a unit of this name has left a log that is not yours"), answer


@pytest.mark.parametrize("slice_", [OTHERS, "tenants.slice", "free.slice", "tenants-acmes.slice"])
def test_it_runs_in_no_slice_of_others(two: Daemon, slice_: str) -> None:
    answer = run(two, f"resources.slice={slice_}")
    assert answer["code"] == "not-allowed"
    assert f"resources.slice: {slice_} is not yours" in answer["message"]
    assert run(two, "resources.slice=tenants-acme-inner.slice")["jobs"][0]["state"] == "done"


@pytest.mark.parametrize("user", ["root", "0", "nobody", str(RIVAL), "471120"])
def test_it_becomes_nobody_else(two: Daemon, user: str) -> None:
    answer = run(two, f'agent.user="{user}"')
    assert answer["code"] == "not-allowed"
    assert (
        f"agent.user: it cannot run as {user}; you may run agents as yourself, uid {ACME}"
        in answer["message"]
    )


def test_what_is_set_for_it_mends_no_mistake_of_its_own(two: Daemon, folder: Path) -> None:
    for mistake in ('agent.user="4294967295"', "resources.slice=x", "agent.keyring_mode=none"):
        answer = run(two, mistake, f"agent.stdout=file:{folder}/written")
        assert answer["code"] == "bad-unit", answer
    assert not (folder / "written").exists()


@pytest.mark.parametrize("group", ["root", "0", "disk", str(RIVAL)])
def test_it_gets_no_group_of_others(two: Daemon, group: str) -> None:
    answer = run(two, f'agent.group="{group}"')
    assert (answer["code"], "agent.group: user" in answer["message"]) == ("not-allowed", True), answer


def test_it_may_be_a_user_of_its_range(two: Daemon) -> None:
    assert run(two, 'agent.user="471110"')["jobs"][0]["state"] == "done"
    found = ids(two.status("tenants-acme-job")["pid"])
    assert found["Uid"] == found["Gid"] == " ".join(["471110"] * 4)


def test_what_the_daemon_would_do_for_it_is_refused_and_leaves_nothing(two: Daemon, folder: Path) -> None:
    target = folder / "written"
    secret = folder / "secret"
    secret.write_text("NAME=value\n")
    secret.chmod(0o600)
    for properties, option in (
        ([f"agent.stdout=file:{target}"], "agent.stdout"),
        ([f"agent.environment_file=[{secret}]"], "agent.environment_file"),
        ([f"agent.load_credential={{key: {secret}}}"], "agent.load_credential"),
        ([f"agent.exec_start_pre=['+/bin/touch {target}']"], "agent.exec_start_pre"),
        ([f"agent.exec=['+/bin/touch', {target}]"], "agent.exec"),
        ([f"sandbox.bind_paths=['{folder}:/mnt']"], "sandbox.bind_paths"),
        (["agent.type=forking", f"agent.pid_file={secret}"], "agent.pid_file"),
        (["unit.conflicts=[theirs]"], "unit.conflicts"),
        (["unit.essential=true"], "unit.essential"),
        (["agent.state_directory=[maestro-stolen]"], "agent.state_directory"),
        (["agent.state_directory=[maestro-stolen]", "agent.nice=-3"], "agent.nice"),
        (["sandbox.no_new_privileges=false"], "sandbox.no_new_privileges"),
    ):
        answer = run(two, *properties)
        assert option in answer["message"], (option, answer)
        assert answer["code"] in ("not-allowed", "bad-unit"), (option, answer)
    assert not target.exists()
    assert secret.exists()
    assert list((two.root / "run/maestro/units/transient").glob("*")) == []
    assert two.status("theirs")["fine"] == "running"


def test_it_starts_where_its_user_may_be_and_nowhere_else(two: Daemon, folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "inner").mkdir(mode=0o755)
    answer = run(two, f"agent.working_directory={closed}/inner")
    assert "cannot change directory" in answer["jobs"][0]["words"], answer


def test_its_directories_are_below_its_slices(two: Daemon) -> None:
    answer = run(two, f"agent.state_directory=[{OWN}/papers]", "agent.state_directory_mode='0700'")
    assert answer["jobs"][0]["state"] == "done", answer
    made = two.root / "var/lib" / OWN / "papers"
    assert (made.stat().st_uid, made.stat().st_mode & 0o777) == (ACME, 0o700)
    assert made.parent.stat().st_uid == 0


def test_specifiers_are_looked_at_as_they_come_to_be(two: Daemon) -> None:
    answer = run(two, "agent.state_directory=['%p/x']", unit="papers")
    assert "write tenants-acme.slice/tenants-acme-papers/x" in answer["message"]
    answer = run(two, "agent.environment={A: '%n'}", "agent.nice=1", unit="papers")
    assert answer["jobs"][0]["state"] == "done"


def test_a_drop_in_for_all_agents_makes_it_nobody_else(two: Daemon) -> None:
    folder = two.root / "etc/maestro/units/agent.d"
    folder.mkdir()
    (folder / "user.yaml").write_text("agent: {user: nobody}\n")
    two.call("daemon-reload")
    answer = run(two)
    assert answer["code"] == "not-allowed"
    assert f"agent.user is set by {folder}/user.yaml" in answer["message"]


def test_an_owner_of_two_slices_names_one_and_who_owns_none_runs_nothing(two: Daemon) -> None:
    two.unit("second.slice", slice={"owner": ACME})
    two.call("daemon-reload")
    answer = run(two)
    assert answer["message"] == f"you own several slices: second.slice, {OWN}"
    assert run(two, "resources.slice=second.slice")["unit"] == "second-job"
    assert ask_as(471199, two, "run", unit="job", properties=[SLEEP])["code"] == "not-allowed"


def test_what_it_has_made_is_its_own_and_no_other_tenants(two: Daemon) -> None:
    assert run(two, "agent.set_credential={key: hidden}")["jobs"][0]["state"] == "done"
    for do in ("stop", "restart", "freeze", "kill"):
        fields: dict[str, Any] = {"signal": "KILL"} if do == "kill" else {}
        error = ask_as(RIVAL, two, do, units=["tenants-acme-job"], **fields)["errors"]["tenants-acme-job"]
        assert error["code"] == "no-such-unit"
    assert ask_as(RIVAL, two, "cat", units=["tenants-acme-job"])["code"] == "no-such-unit"
    [cat] = ask_as(ACME, two, "cat", units=["tenants-acme-job"])["items"]
    assert "hidden" not in str(cat)
    assert ask_as(ACME, two, "stop", units=["tenants-acme-job"])["errors"] == {}
