"""Credentials: read by their agent and by nobody else, gone with it, and in no output and no file of ours."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers.views import is_in_memory
from tests.system.harness import Daemon, daemon_in, until
from tests.system.test_directories import forever, said, start

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount, and become somebody else"),
]
SECRET, OTHER = "s3cr3t-of-the-file", "s3cr3t-of-the-unit"


@pytest.fixture
def key(daemon: Daemon) -> Path:
    """A file that only root may read."""
    path = daemon.root / "etc/maestro/credentials/api-key"
    path.parent.mkdir(mode=0o700)
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


def inside(daemon: Daemon, pid: int, name: str) -> list[tuple[str, str, int]]:
    """What the process sees in its directory of credentials: name, content and mode of each file."""
    folder = Path(f"/proc/{pid}/root{daemon.root}/run/maestro/credentials/{name}")
    return sorted((one.name, one.read_text(), one.stat().st_mode & 0o7777) for one in folder.iterdir())


def test_its_agent_reads_them_as_files_of_its_own(daemon: Daemon, key: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    code = (
        "cd $CREDENTIALS_DIRECTORY; pwd; for f in *; do echo $f:$(cat $f):$(stat -c %a:%u $f); done; stat -c %a:%u .; "
        "stat -f -c %T .; grep -w $PWD /proc/self/mounts | cut -d' ' -f4; touch new 2>&1; env | grep s3cr3t; echo $D"
    )
    lines = said(
        daemon,
        "one",
        code,
        user="nobody",
        environment={"D": "%d"},
        load_credential={"api-key": "api-key", "again": str(key), "fallback": "/no/such/file"},
        set_credential={"fallback": OTHER, "100%": "%n"},
    )
    here = f"{daemon.root}/run/maestro/credentials/one"
    assert lines[0] == here
    assert lines[1:5] == [
        f"100%:%n:400:{nobody}",
        f"again:{SECRET}:400:{nobody}",
        f"api-key:{SECRET}:400:{nobody}",
        f"fallback:{OTHER}:400:{nobody}",
    ]
    assert lines[5] == f"500:{nobody}"
    assert lines[6] in ("tmpfs", "ramfs")
    assert {"ro", "nosuid", "nodev", "noexec"} < set(lines[7].split(","))
    assert "ermission denied" in lines[8] or "ead-only" in lines[8]
    assert lines[9:] == [here]
    until(lambda: not os.path.exists(here), what="their place is gone")


def test_nobody_else_reads_them(daemon: Daemon, key: Path) -> None:
    """Not the host, and no other agent; one of the same user would have to look into the process itself."""
    forever(daemon, "one", user="nobody", load_credential="api-key")
    pid = start(daemon, "one")["pid"]
    here = f"{daemon.root}/run/maestro/credentials/one"
    assert [name for name, *_ in inside(daemon, pid, "one")] == ["api-key"]
    assert os.listdir(here) == []
    peek = (
        f"cat {here}/api-key 2>&1; ls -A {here} 2>&1; cat /proc/{pid}/root{here}/api-key 2>&1; cat {key} 2>&1"
    )
    for name, user in (("same", "nobody"), ("another", "daemon")):
        lines = said(daemon, name, peek, user=user)
        if user == "daemon":
            assert len(lines) == 4
            assert all("denied" in line or "No such" in line for line in lines), lines
        else:
            assert SECRET not in lines[0]
    daemon.call("stop", units=["one"])
    until(lambda: not os.path.exists(here), what="their place is gone")


def test_commands_around_it_have_them_too(daemon: Daemon, key: Path) -> None:
    code = ["/bin/sh", "-c", "cat $$CREDENTIALS_DIRECTORY/api-key >> $$STATE_DIRECTORY/seen"]
    phases = {phase: [code] for phase in ("exec_start_pre", "exec_start_post", "exec_stop", "exec_stop_post")}
    forever(daemon, "one", user="nobody", state_directory="one", load_credential="api-key", **phases)
    start(daemon, "one")
    daemon.call("stop", units=["one"])
    assert (daemon.root / "var/lib/one/seen").read_text() == SECRET * 4
    until(lambda: not (daemon.root / "run/maestro/credentials/one").exists())


def test_in_a_variable_only_where_that_is_asked_for(daemon: Daemon, key: Path) -> None:
    options: dict[str, Any] = {
        "load_credential": "api-key",
        "credentials_in_environment": {"api-key": "API_KEY"},
    }
    assert said(daemon, "one", "echo $API_KEY; cat /proc/$$/cmdline | tr -d '\\0'", **options)[0] == SECRET
    daemon.unit("two", agent={"exec": ["/bin/echo", "[${API_KEY}]"], "type": "oneshot", **options})
    start(daemon, "two")
    until(lambda: daemon.log("two"))
    assert daemon.log("two") == b"[]\n", "arguments are seen by everybody"


def test_a_dynamic_user_has_them(daemon: Daemon, key: Path) -> None:
    code = "cat $CREDENTIALS_DIRECTORY/api-key; echo; echo x > $STATE_DIRECTORY/x; ls $STATE_DIRECTORY"
    options: dict[str, Any] = {"dynamic_user": True, "load_credential": "api-key", "state_directory": "app"}
    assert said(daemon, "one", code, **options) == [SECRET, "x"]


# ------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"load_credential": {"k": "/no/such"}}, "cannot load credential k: no such file: /no/such"),
        ({"load_credential": {"k": "/etc"}}, "cannot load credential k from /etc: "),
        (
            {"load_credential": {"k": "/dev/zero"}},
            "cannot load credential k from /dev/zero: it is not a regular file",
        ),
        (
            {"load_credential": {"k": "large"}},
            "cannot hand over its credentials: they have more than 128 KiB in all",
        ),
    ],
)
def test_what_cannot_be_handed_over_fails_the_start(
    daemon: Daemon, key: Path, options: Any, why: str
) -> None:
    (key.parent / "large").write_bytes(bytes(129 << 10))
    forever(daemon, "one", restart={"policy": "no"}, **options)
    daemon.start()
    daemon.call("start", units=["one"])
    assert why in daemon.wait_state("one", "failed")["cause"]


def test_as_much_as_may_be(daemon: Daemon, key: Path) -> None:
    (key.parent / "large").write_bytes(bytes(127 << 10))
    assert said(daemon, "one", "wc -c < $CREDENTIALS_DIRECTORY/large", load_credential="large") == [
        str(127 << 10)
    ]


# ------------------------------------------------------------------------------------------- rotation


@pytest.mark.parametrize("how", ["signal", "command"])
def test_a_reload_brings_what_they_are_now(daemon: Daemon, key: Path, how: str) -> None:
    seen = daemon.root / "seen"
    seen.mkdir(mode=0o777)
    seen.chmod(0o777)
    note = f"cp $CREDENTIALS_DIRECTORY/api-key {seen}/new; mv {seen}/new {seen}/key"
    code = f"trap '{note}' HUP; touch {seen}/ready; while :; do sleep 0.05; done".replace("$", "$$")
    agent: dict[str, Any] = {"exec": ["/bin/sh", "-c", code], "user": "nobody", "load_credential": "api-key"}
    by_command = {"exec_reload": ["/bin/kill -HUP $MAINPID"]}
    agent |= {"reload_signal": "HUP"} if how == "signal" else by_command
    daemon.unit("one", agent=agent)
    pid = start(daemon, "one")["pid"]
    until((seen / "ready").exists)
    key.write_text("changed")
    assert inside(daemon, pid, "one")[0][1] == SECRET
    daemon.call("reload", units=["one"])
    until((seen / "key").exists)
    assert (seen / "key").read_text() == "changed"
    assert inside(daemon, pid, "one") == [("api-key", "changed", 0o400)]
    assert daemon.status("one")["pid"] == pid


def test_a_reload_with_what_cannot_be_read_leaves_them_as_they_were(daemon: Daemon, key: Path) -> None:
    trap = ["/bin/sh", "-c", "trap 'echo reloaded' HUP; echo ready; while :; do sleep 0.05; done"]
    daemon.unit("one", agent={"exec": trap, "load_credential": "api-key", "reload_signal": "HUP"})
    forever(daemon, "two", load_credential="api-key", exec_reload=["/bin/true"])
    pids = {name: start(daemon, name)["pid"] for name in ("one", "two")}
    until(lambda: b"ready" in daemon.log("one"))
    key.unlink()
    daemon.call("reload", units=["one"])
    until(lambda: b"reloaded" in daemon.log("one"))
    assert b"its credential api-key is as it was: no such file: " in daemon.log("one")
    key.mkdir()
    daemon.call("reload", units=["one"])
    until(lambda: daemon.log("one").count(b"reloaded") == 2)
    assert b"its credentials are as they were: cannot load credential api-key" in daemon.log("one")
    job = daemon.call("reload", units=["two"])["jobs"][0]
    assert job["state"] == "failed", "its command could not be given them"
    for name, pid in pids.items():
        assert inside(daemon, pid, name) == [("api-key", SECRET, 0o400)]
        assert daemon.status(name)["pid"] == pid


# ------------------------------------------------------------------------------------------- secrets


def below(root: Path, besides: set[Path]) -> Iterator[Path]:
    """All regular files of the daemon."""
    for folder, _, names in os.walk(root):
        paths = (Path(folder, name) for name in names)
        yield from (path for path in paths if path.is_file() and path not in besides)


def test_a_secret_is_in_no_output_and_in_no_file(daemon: Daemon, key: Path) -> None:
    agent = {"load_credential": "api-key", "set_credential": {"set": OTHER, "number": 987654321012}}
    forever(daemon, "one", exec_start_pre=[["/no/such/program"]], restart={"policy": "no"}, **agent)
    forever(daemon, "two", reload_signal="HUP", **agent)
    daemon.start()
    daemon.call("start", units=["one", "two"])
    daemon.call("reload", units=["two"])
    property_ = f"agent.set_credential={{k: {OTHER}}}"
    outputs = [
        daemon.ctl("run", "--unit", "three", "-p", property_, "sleep", "1000"),
        daemon.ctl("run", "--unit", "four", "--dry-run", "-p", property_, "sleep", "1000"),
        daemon.ctl("run", "--unit", "five", "-p", f"agent.set_credential={OTHER}", "sleep", "1000"),
        *(
            daemon.ctl(*words, *more)
            for words in (
                ("show", "one", "two", "three"),
                ("cat", "one", "two", "three"),
                ("status", "one", "two", "three"),
                ("logs", "one", "two", "three"),
                ("blame",),
                ("delta",),
                ("verify",),
                ("events",),
                ("audit",),
                ("why", "one"),
            )
            for more in ((), ("--json",))
        ),
    ]
    assert "[redacted]" in outputs[3].stdout
    os.kill(daemon.manager() or 0, signal.SIGABRT)  # it tells where it was
    until(lambda: b"Fatal Python error" in daemon.output.read_bytes() and daemon.manager())
    daemon.call("status")
    texts = [text for one in outputs for text in (one.stdout, one.stderr)]
    allowed = {key, *daemon.units.iterdir(), daemon.root / "run/maestro/units/transient/three.agent.yaml"}
    texts += [path.read_bytes().decode("latin-1") for path in below(daemon.root, allowed)]
    for secret in (SECRET, OTHER, "987654321012"):
        assert not [text[:300] for text in texts if secret in text]
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in daemon.agents_of_this_root()]
    assert environments
    assert not [one for one in environments if b"s3cr3t" in one]


def test_an_agent_whose_file_is_gone_is_not_started_with_what_stands_for_a_secret(daemon: Daemon) -> None:
    path = daemon.unit("one", agent={"exec": ["/bin/sleep", "1000"], "set_credential": {"k": OTHER}})
    pid = start(daemon, "one")["pid"]
    path.unlink()
    daemon.new_manager(daemon.kill_manager())
    daemon.wait_state("one", "active")
    os.kill(pid, signal.SIGKILL)
    until(lambda: "its unit's file is gone, and no secret of it is kept" in daemon.status("one")["cause"])
    assert daemon.agents_of_this_root() == [], "it is not started"
    assert OTHER not in daemon.status("one")["cause"]


# ------------------------------------------------------------------------------------------- without root


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="maestro-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def check_in_memory(daemon: Daemon, mode: int, **agent: Any) -> None:
    there = daemon.root / "run/maestro/credentials/one"
    forever(daemon, "one", set_credential={"k": OTHER}, reload_signal="HUP", **agent)
    pid = start(daemon, "one")["pid"]
    assert (there / "k").read_text() == OTHER
    assert [one.stat().st_mode & 0o7777 for one in (there, there / "k")] == [mode, 0o400]
    assert (there / "k").stat().st_uid == Path(f"/proc/{pid}").stat().st_uid
    daemon.call("stop", units=["one"])
    until(lambda: not there.exists(), what="they are gone")


def test_where_nothing_may_be_mounted_they_are_in_memory_all_the_same(memory: Path) -> None:
    with daemon_in(memory) as daemon:
        daemon.prefix = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
        check_in_memory(daemon, 0o500, user="nobody")


def test_an_ordinary_user_has_them_in_memory(memory: Path) -> None:
    with daemon_in(memory) as daemon:
        as_ordinary_user(daemon)
        check_in_memory(daemon, 0o700)
        lines = said(
            daemon, "two", "echo $STATE_DIRECTORY; stat -c %a:%u $STATE_DIRECTORY", state_directory="app"
        )
        assert lines == [f"{memory}/var/lib/app", "755:4242"]
        forever(daemon, "three", dynamic_user=True, restart={"policy": "no"})
        daemon.call("daemon-reload")
        daemon.call("start", units=["three"])
        assert "only root may change users" in daemon.wait_state("three", "failed")["cause"]


def test_on_a_disk_they_are_only_where_the_unit_says_so(daemon: Daemon) -> None:
    daemon.prefix = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    if is_in_memory(str(daemon.root)):
        pytest.skip("the folder for temporary files is in memory")
    forever(daemon, "one", set_credential={"k": OTHER}, restart={"policy": "no"})
    forever(daemon, "two", set_credential={"k": OTHER}, credentials_on_disk=True)
    daemon.start()
    daemon.call("start", units=["one", "two"])
    assert "write agent.credentials_on_disk: true" in daemon.wait_state("one", "failed")["cause"]
    assert (daemon.root / "run/maestro/credentials/two/k").read_text() == OTHER


def as_ordinary_user(daemon: Daemon) -> None:
    """Run all of it as somebody who is root nowhere: in a user namespace, so that what root may read can still be read."""
    daemon.prefix = ("unshare", "--user", "--map-user=4242", "--map-group=4242")
    if subprocess.run([*daemon.prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are not allowed here")
