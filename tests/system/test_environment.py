"""What an agent finds when it begins: who it is, where it is, and what is in its environment."""

from __future__ import annotations

import os
import pwd
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, daemon_in, until

pytestmark = pytest.mark.system

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def output(daemon: Daemon, code: str, name: str = "one", file: str = "", **agent: Any) -> list[str]:
    """The lines that a shell says as this agent."""
    command = ["/bin/sh", "-c", code.replace("%", "%%").replace("$", "$$") + "; echo END"]
    daemon.unit(file or name, agent={"exec": command, "type": "oneshot", **agent})
    if daemon.process is None:
        daemon.start()
    else:
        daemon.call("daemon-reload")
    answer = daemon.call("start", units=[name])
    assert not answer["errors"], answer
    assert answer["jobs"][0]["state"] == "done", answer
    until(lambda: daemon.log(name).endswith(b"END\n"))
    return daemon.log(name).decode().splitlines()[:-1]


def _differs(daemon: Daemon, before: bytes) -> bool:
    return daemon.log("one") != before and daemon.log("one").endswith(b"\n")


def test_little_is_passed_on(folder: Path) -> None:
    with daemon_in(folder, SECRET="x", LANG="C.UTF-8") as daemon:
        lines = output(daemon, "env")
    env = dict(line.split("=", 1) for line in lines)
    assert env.keys() - {"PWD", "OLDPWD", "_", "SHLVL", "TZ", "LC_ALL", "LC_CTYPE"} == {
        "HOME", "INVOCATION_ID", "LANG", "MAESTRO_CONTROL", "MAESTRO_UNIT", "PATH",
    }  # fmt: skip
    assert env["MAESTRO_UNIT"] == "one"


def test_variables_are_passed_on_by_name(folder: Path) -> None:
    with daemon_in(folder, MINE="x y", OTHER="z") as daemon:
        lines = output(daemon, 'echo "$MINE|$OTHER"', pass_environment=["MINE", "NONE"])
    assert lines == ["x y|"]


def test_variables_and_files(daemon: Daemon) -> None:
    file = daemon.root / "env"
    file.write_text("# comment\nA=from file\nB='quoted'\n")
    lines = output(
        daemon,
        'echo "$A|$B|$C"',
        environment={"C": "from unit", "A": "overridden"},
        environment_file=[str(file), "-/no/such/file"],
    )
    assert lines == ["from file|quoted|from unit"]


def test_the_log_says_which_lines_of_a_file_set_nothing(daemon: Daemon) -> None:
    file = daemon.root / "env"
    file.write_text("A=1\njunk\n")
    note, line = output(daemon, 'echo "$A"', environment_file=[str(file)])
    assert note == f"-- maestro: {file}:2: left out: expected NAME=VALUE --"
    assert line == "1"


def test_the_command_is_expanded_once(daemon: Daemon) -> None:
    daemon.unit(
        "one",
        agent={
            "exec": ["/bin/echo", "${A}", "$A", "$$A", "x${A}y", "%n", "${MISSING}"],
            "environment": {"A": "two words"},
            "type": "oneshot",
        },
    )
    daemon.start()
    daemon.call("start", units=["one"])
    until(lambda: daemon.log("one"))
    assert daemon.log("one") == b"two words two words $A xtwo wordsy one \n"


def test_streams_are_the_log_and_nothing(daemon: Daemon) -> None:
    lines = output(
        daemon,
        "readlink /proc/self/fd/0; echo out; echo err >&2; echo again > /dev/stdout; cat; ls /proc/self/fd | wc -l",
    )
    assert lines == ["/dev/null", "out", "err", "again", "4"]


def test_a_session_of_its_own_and_default_signals(daemon: Daemon) -> None:
    lines = output(
        daemon, "cut -d' ' -f1,5,6 /proc/$$/stat; grep -E 'SigBlk|SigIgn' /proc/self/status; echo $$"
    )
    pid = lines[-1]
    assert lines[0] == f"{pid} {pid} {pid}"
    c_library = (
        0b11 << 31
    )  # 32 and 33 are its own: posix_spawn has them ignored, and its threads take them back
    assert [int(line.split()[1], 16) & ~c_library for line in lines[1:3]] == [0, 0]


def test_where_and_with_which_mask(daemon: Daemon) -> None:
    here = daemon.root / "here"
    here.mkdir()
    assert output(daemon, "pwd; umask", working_directory=str(here), umask="0027") == [str(here), "0027"]
    assert output(daemon, "pwd; umask", name="two") == ["/", "0022"]


@as_root
def test_another_user(daemon: Daemon) -> None:
    nobody = pwd.getpwnam("nobody")
    lines = output(
        daemon, 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME"; echo x > /dev/stdout', user="nobody"
    )
    groups = " ".join(map(str, sorted(os.getgrouplist("nobody", nobody.pw_gid))))
    assert lines[:2] == [str(nobody.pw_uid), str(nobody.pw_gid)]
    assert " ".join(sorted(lines[2].split(), key=int)) == groups
    assert lines[3] == f"{nobody.pw_dir} nobody nobody"
    assert lines[4] == "x"


@as_root
def test_another_group(daemon: Daemon) -> None:
    assert output(daemon, "id -u; id -g", group="4242") == ["0", "4242"]
    assert output(daemon, "id -u; id -g", name="two", user="nobody", group="4242") == [
        str(pwd.getpwnam("nobody").pw_uid),
        "4242",
    ]


@as_root
def test_another_user_may_notify(daemon: Daemon) -> None:
    code = "from speaker import *; say('READY=1'); forever()"
    programs = daemon.root / "programs"
    programs.mkdir()
    (programs / "speaker.py").write_text((Path(__file__).parent / "programs/speaker.py").read_text())
    daemon.unit(
        "talker",
        agent={
            "exec": ["/usr/bin/python3", "-B", "-c", code],
            "environment": {"PYTHONPATH": str(programs)},
            "type": "notify",
            "user": "nobody",
        },
    )
    daemon.start()
    assert daemon.call("start", units=["talker"])["jobs"][0]["state"] == "done", daemon.said()
    assert Path(f"/proc/{daemon.status('talker')['pid']}").stat().st_uid == pwd.getpwnam("nobody").pw_uid


def test_home_is_a_place_to_begin(daemon: Daemon) -> None:
    assert output(daemon, "pwd", working_directory="~") == [
        os.path.realpath(pwd.getpwuid(os.geteuid()).pw_dir)
    ]


def test_instances_of_a_template(daemon: Daemon) -> None:
    daemon.unit(
        "worker@",
        unit={"description": "Worker %i"},
        agent={
            "exec": ["/bin/sh", "-c", "echo $$1 $$WHO; exec sleep 1000", "sh", "%i"],
            "environment": {"WHO": "%n in %p"},
        },
    )
    daemon.start()
    answer = daemon.call("start", units=["worker@eu", "worker@us-1"])
    assert {job["state"] for job in answer["jobs"]} == {"done"}
    for name in ("eu", "us-1"):
        until(partial(daemon.log, f"worker@{name}"))
        assert daemon.log(f"worker@{name}") == f"{name} worker@{name} in worker\n".encode()
    assert daemon.status("worker@eu")["description"] == "Worker eu"
    assert "name an instance" in daemon.call("start", units=["worker"])["errors"]["worker"]["hint"]
    daemon.call("stop", units=["worker@*"])
    assert {daemon.status(f"worker@{name}")["state"] for name in ("eu", "us-1")} == {"inactive"}


def test_each_start_has_an_invocation_of_its_own(daemon: Daemon) -> None:
    daemon.unit("one", agent={"exec": ["/bin/sh", "-c", "echo $$INVOCATION_ID"], "type": "oneshot"})
    daemon.start()
    for _ in range(2):
        before = daemon.log("one")
        daemon.call("start", units=["one"])
        until(partial(_differs, daemon, before))
    first, second = daemon.log("one").split()
    assert first != second
    assert len(first) == len(second) == 32
