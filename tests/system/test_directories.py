"""Directories of an agent's own, and users that exist for it alone, as the kernel shows them."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may give directories away"),
]
BASES = {
    "state": "var/lib",
    "cache": "var/cache",
    "logs": "var/log",
    "runtime": "run",
    "configuration": "etc",
}


def forever(daemon: Daemon, name: str, **agent: Any) -> None:
    daemon.unit(name, agent={"exec": ["/bin/sleep", "1000"], **agent})


def start(daemon: Daemon, name: str) -> dict[str, Any]:
    if daemon.process is None:
        daemon.start()
    else:
        daemon.call("daemon-reload")
    assert daemon.call("start", units=[name])["jobs"][0]["state"] == "done", daemon.status(name)
    return daemon.status(name)


def said(daemon: Daemon, name: str, code: str, **agent: Any) -> list[str]:
    """The lines that a shell says as this agent, which ends with that."""
    command = ["/bin/sh", "-c", code.replace("%", "%%").replace("$", "$$") + "; echo END"]
    daemon.unit(name, agent={"exec": command, "type": "oneshot", **agent})
    before = daemon.log(name)
    start(daemon, name)
    until(lambda: daemon.log(name)[len(before) :].endswith(b"END\n"), what=f"{name} has said all")
    return daemon.log(name)[len(before) :].decode().splitlines()[:-1]


def look(path: Path) -> tuple[int, int, str]:
    found = path.lstat()
    return found.st_uid, found.st_gid, f"{stat.S_IMODE(found.st_mode):04o}"


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


# ------------------------------------------------------------------------------------------- directories


def test_each_kind_is_made_owned_and_told(daemon: Daemon) -> None:
    nobody = pwd.getpwnam("nobody")
    options = {f"{kind}_directory": [f"{kind}-a", f"{kind}-b/deep"] for kind in BASES}
    lines = said(
        daemon,
        "one",
        'for k in STATE CACHE LOGS RUNTIME CONFIGURATION; do eval "echo \\$${k}_DIRECTORY"; done; '
        'touch "${STATE_DIRECTORY%%:*}/made"; echo $BASES',
        user="nobody",
        state_directory_mode="0700",
        umask="0077",
        environment={"BASES": "%S %C %L %t %E"},
        runtime_directory_preserve="yes",
        **options,
    )
    bases = {kind: daemon.root / base for kind, base in BASES.items()}
    assert lines.pop().split() == list(map(str, bases.values()))
    assert lines == [f"{base}/{kind}-a:{base}/{kind}-b/deep" for kind, base in bases.items()]
    for kind, base in bases.items():
        owner = (0, 0) if kind == "configuration" else (nobody.pw_uid, nobody.pw_gid)
        mode = "0700" if kind == "state" else "0755"
        assert look(base / f"{kind}-a") == (*owner, mode)
        assert look(base / f"{kind}-b/deep") == (*owner, mode)
        assert look(base / f"{kind}-b") == (0, 0, "0755")
    assert look(bases["state"] / "state-a/made")[0] == nobody.pw_uid


def test_what_is_there_changes_hands_with_the_user_and_only_then(daemon: Daemon) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    top, outside = daemon.root / "var/lib/app", daemon.root / "outside"
    (top / "deep/er").mkdir(parents=True)
    outside.write_text("x")
    (top / "deep/er/file").write_text("x")
    (top / "link").symlink_to(outside)
    os.link(outside, top / "second-name")
    os.chown(top, 1, 1)
    forever(daemon, "one", user="nobody", state_directory="app", state_directory_mode="0750")
    start(daemon, "one")
    changed = (top, top / "deep", top / "deep/er", top / "deep/er/file", top / "link")
    assert {look(path)[0] for path in changed} == {nobody}
    assert look(outside)[0] == 0, "what is linked from it is not the agent's"
    assert look(top)[2] == "0750"
    os.chown(top / "deep", 1, 1)
    daemon.call("restart", units=["one"])
    assert look(top / "deep")[0] == 1, "its top is the agent's, so nothing below is looked at"


def test_a_configuration_directory_that_is_there_is_left_alone(daemon: Daemon) -> None:
    there = daemon.root / "etc/app"
    there.mkdir(mode=0o711)
    os.chown(there, 1, 1)
    forever(daemon, "one", user="nobody", configuration_directory="app", configuration_directory_mode="0700")
    start(daemon, "one")
    assert look(there) == (1, 1, "0711")


@pytest.mark.parametrize("place", ["app", "app/deep"])
def test_a_link_in_its_place_is_not_followed(daemon: Daemon, place: str) -> None:
    target = daemon.root / "target"
    (target / "deep").mkdir(parents=True)
    (daemon.root / "var/lib").mkdir(parents=True)
    (daemon.root / "var/lib/app").symlink_to(target)
    forever(daemon, "one", user="nobody", state_directory=place, restart={"policy": "no"})
    daemon.start()
    daemon.call("start", units=["one"])
    cause = daemon.wait_state("one", "failed")["cause"]
    path = daemon.root / "var/lib" / place
    assert (
        f"cannot make its state directory {path} (a symbolic link on the way to it is not followed)" in cause
    )
    assert look(target)[0] == look(target / "deep")[0] == 0


def test_a_link_that_an_agent_puts_in_place_of_its_own_directory(daemon: Daemon) -> None:
    """Both are its own, so it may replace the inner one, and hopes that the start gives it what the link leads to."""
    target = daemon.root / "target"
    target.mkdir()
    options = {"user": "nobody", "state_directory": ["app", "app/deep"], "restart": {"policy": "no"}}
    said(
        daemon,
        "one",
        f"cd $STATE_DIRECTORY; cd {daemon.root}/var/lib/app && rmdir deep && ln -s {target} deep",
        **options,
    )
    daemon.call("start", units=["one"])
    assert "is not followed" in daemon.wait_state("one", "failed")["cause"]
    assert look(target)[0] == 0


def test_a_name_behind_a_colon_is_a_link(daemon: Daemon) -> None:
    options = {
        "state_directory": ["app/data:shown", "app/data:other/shown"],
        "runtime_directory": "app:run-link",
    }
    forever(daemon, "one", **options)
    start(daemon, "one")
    lib = daemon.root / "var/lib"
    assert os.readlink(lib / "shown") == "app/data"
    assert os.readlink(lib / "other/shown") == "../app/data"
    assert (daemon.root / "run/run-link").resolve() == daemon.root / "run/app"
    daemon.call("restart", units=["one"])
    daemon.call("stop", units=["one"])
    until(lambda: not os.path.lexists(daemon.root / "run/run-link"))
    assert (lib / "app/data").is_dir()


# ------------------------------------------------------------------------------------------- runtime directories


def left(daemon: Daemon) -> bool:
    gone = daemon.root / "run/maestro/gone"
    return (daemon.root / "run/app").exists() or (gone.exists() and any(gone.iterdir()))


def test_a_runtime_directory_goes_with_its_agent(daemon: Daemon) -> None:
    deep = "d/" * 1500  # deeper than a path may be long, and than Python recurses
    forever(
        daemon,
        "one",
        runtime_directory="app",
        exec_start_pre=[["/bin/sh", "-c", f"cd $$RUNTIME_DIRECTORY && mkdir -p {deep}"]],
    )
    start(daemon, "one")
    assert (daemon.root / "run/app/d").is_dir()
    daemon.call("stop", units=["one"])
    until(lambda: not left(daemon), what="it is gone, deep as it is")


@pytest.mark.parametrize(
    ("preserve", "after_restart", "after_stop"),
    [("no", False, False), ("restart", True, False), ("yes", True, True)],
)
def test_what_outlives_what(daemon: Daemon, preserve: str, after_restart: bool, after_stop: bool) -> None:
    forever(daemon, "one", runtime_directory="app", runtime_directory_preserve=preserve)
    start(daemon, "one")
    mark = daemon.root / "run/app/mark"
    mark.touch()
    daemon.call("restart", units=["one"])
    assert (mark.exists(), mark.parent.is_dir()) == (after_restart, True)
    daemon.call("stop", units=["one"])
    if after_stop:
        assert mark.exists()
    else:
        until(lambda: not left(daemon))


def test_a_manager_that_died_leaves_it_to_the_next(daemon: Daemon) -> None:
    forever(daemon, "one", runtime_directory="app")
    start(daemon, "one")
    daemon.call("stop", units=["one"])
    until(lambda: not left(daemon))
    (daemon.root / "run/app/inside").mkdir(parents=True)  # as if that had not been done
    (daemon.root / "run/maestro/gone/1-1/inside").mkdir(parents=True)
    daemon.new_manager(daemon.kill_manager())
    until(lambda: not left(daemon))
    assert not (daemon.root / "run/app").exists()
    assert list((daemon.root / "run/maestro").rglob("inside")) == []


# ------------------------------------------------------------------------------------------- dynamic users


def test_a_dynamic_user_is_the_same_whatever_dies(daemon: Daemon) -> None:
    forever(daemon, "one", dynamic_user=True, state_directory="app")
    forever(daemon, "two", dynamic_user=True)
    pid = start(daemon, "one")["pid"]
    uid = uid_of(pid)
    assert 61184 <= uid <= 65519
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    assert uid_of(start(daemon, "two")["pid"]) != uid
    daemon.call("restart", units=["one"])
    assert uid_of(daemon.status("one")["pid"]) == uid
    daemon.new_manager(daemon.kill_manager())
    daemon.call("restart", units=["one"])
    assert uid_of(daemon.status("one")["pid"]) == uid
    daemon.stop()
    daemon.reboot()
    daemon.start()
    daemon.call("start", units=["one"])
    assert uid_of(daemon.status("one")["pid"]) == uid


@pytest.mark.parametrize("loses", ["the run directory", "the store, too"])
def test_what_a_dynamic_user_keeps_is_there_after_the_host_was_off(daemon: Daemon, loses: str) -> None:
    """/run is empty then, and /var/lib as it was."""
    code = "echo x >> $STATE_DIRECTORY/f; id -u; wc -l < $STATE_DIRECTORY/f; touch $RUNTIME_DIRECTORY/new"
    options = {"dynamic_user": True, "state_directory": "app", "runtime_directory": "app"}
    user, count = said(daemon, "one", code, **options)
    assert count == "1"
    daemon.kill_keeper()
    until(lambda: not daemon.named_after_this_root(), what="nothing runs")
    shutil.rmtree(daemon.root / "run")
    if loses == "the store, too":
        shutil.rmtree(daemon.root / "var/lib/maestro")
    else:
        daemon.reboot()
    daemon.start()
    assert said(daemon, "one", code, **options) == [user, "2"]
    assert os.readlink(daemon.root / "var/lib/app") == "private/app"
    assert look(daemon.root / "var/lib/private/app")[0] == int(user)


def test_who_a_dynamic_user_is(daemon: Daemon) -> None:
    lines = said(daemon, "my-agent", 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME"', dynamic_user=True)
    assert lines[0] == lines[1] == lines[2]
    assert lines[3] == "/ my-agent my-agent"


def test_what_a_dynamic_user_keeps_is_private(daemon: Daemon) -> None:
    code = "echo $STATE_DIRECTORY; cd $STATE_DIRECTORY; echo x >> file; cat ../../app/file; ls ../../private"
    options = {"dynamic_user": True, "state_directory": "app"}
    (daemon.root / "var/lib/private/foreign").mkdir(parents=True)
    lines = said(daemon, "one", code, **options)
    lib = daemon.root / "var/lib"
    assert lines == [f"{lib}/app", "x", "app"], "nor does it see what others have there"
    uid = look(lib / "private/app")[0]
    assert look(lib / "private") == (0, 0, "0700")
    assert 61184 <= uid <= 65519
    assert os.readlink(lib / "app") == "private/app"
    assert said(daemon, "one", code, **options)[1:3] == ["x", "x"]
    refused = f"cat {lib}/app/file 2>&1; cat {lib}/private/app/file 2>&1"
    assert all("ermission denied" in line for line in said(daemon, "two", refused, dynamic_user=True))
    said(daemon, "one", "cat $STATE_DIRECTORY/file", user="nobody", state_directory="app")
    assert look(lib / "app")[0] == look(lib / "app/file")[0] == pwd.getpwnam("nobody").pw_uid
    said(daemon, "one", code, **options)
    assert look(lib / "private/app/file")[0] == uid
