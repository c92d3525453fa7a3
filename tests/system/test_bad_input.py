"""One bad unit file, one bad name, one bad datagram: only that one, with a clear word, and nothing else is touched."""

from __future__ import annotations

import array
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.control.trouble import CallError
from tests.system.harness import Daemon, is_alive, until

pytestmark = pytest.mark.system

GOOD = "agent: {exec: [sleep, '1000']}\n"


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is no agent."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


# ------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/b",
        "..",
        ".",
        "a\0b",
        "a\nb",
        "a\x1b[2J",
        "ä" * 100,
        "a b",
        "-",
        "@",
        "a@../b",
        "x" * 255,
        "%i",
    ],
)
def test_a_bad_name_names_no_unit(daemon: Daemon, name: str) -> None:
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    daemon.unit("w@", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    for do in ("start", "stop", "restart", "reload", "enable", "disable", "kill", "status"):
        answer = daemon.call(do, units=[name])
        assert list(answer["errors"]) == [name], (do, answer)
        assert answer["errors"][name]["code"] == "no-such-unit"
        assert not answer.get("units")
        assert not answer.get("jobs")
    for do in ("show", "cat", "logs"):
        with pytest.raises(CallError) as refusal:
            daemon.call(do, units=[name])
        assert refusal.value.code == "no-such-unit"
    if name not in ("..", ".", "-", "@", "x" * 255):  # an instance may be called like the first ones
        assert daemon.call("status", units=[f"w@{name}"])["errors"] != {}
    assert not list((daemon.root / "var/log/maestro").glob("*"))
    assert daemon.call("start", units=["a"])["jobs"][0]["state"] == "done"


# ------------------------------------------------------------------------------------------------ files


def _a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


def _written(text: str | bytes, mode: int = 0o644, uid: int = -1) -> Any:
    def make(path: Path) -> None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        if uid >= 0:
            os.chown(path, uid, -1)

    return make


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)

BAD: dict[str, tuple[Any, str]] = {
    "directory": (Path.mkdir, "a directory"),
    "dangling": (lambda path: path.symlink_to("/nonexistent/file"), "link"),
    "fifo": (os.mkfifo, "named pipe"),
    "socket": (_a_socket, "socket"),
    "writable": (_written(GOOD, 0o666), "writable by"),
    "large": (_written(GOOD + "#" * (10 << 20)), "bytes"),
    "deep": (_written("agent: " + "[" * 30_000), "deep"),
    "closed-deep": (_written("agent: {exec: " + "[" * 30_000 + "]" * 30_000 + "}"), "deep"),
    "bomb": (_written(_BOMB + GOOD), "alias"),
    "latin": (_written(b"agent: {exec: [sleep, '\xe4\xff']}\n"), "UTF-8"),
    "nul": (_written(b"agent: {exec: [sleep, '\0']}\n"), ""),
    "empty": (_written(""), "exec"),
    "unknown": (_written("agnet: {exec: [sleep]}\n"), "did you mean"),
}


def test_bad_files_harm_nobody_else_and_each_is_told(daemon: Daemon, folder: Path) -> None:
    for name, (make, _) in BAD.items():
        make(daemon.units / f"{name}.agent.yaml")
    wanted = {name: word for name, (_, word) in BAD.items()}
    if os.geteuid() == 0:
        _written(GOOD, uid=12345)(daemon.units / "foreign.agent.yaml")
        wanted["foreign"] = "belongs to user 12345"
    else:
        _written(GOOD, 0o000)(daemon.units / "unreadable.agent.yaml")
        wanted["unreadable"] = "ermission denied"
    daemon.unit("default.target", unit={"wants": ["good", *wanted]})
    daemon.unit("good", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.wait_state("good", "running")
    answer = daemon.call("status", detail=False)
    units = {unit["name"]: unit for unit in answer["units"]}
    for name, word in wanted.items():
        assert units[name]["load"] == "bad", name
        problems = units[name]["problems"]
        assert problems, name
        said = " ".join(f"{problem['option']} {problem['message']} {problem['hint']}" for problem in problems)
        assert word.lower() in said.lower(), f"{name}: {said}"
        assert problems[0]["path"] == str(daemon.units / f"{name}.agent.yaml")
        assert len(said) < 1000
        refused = daemon.call("start", units=[name])["errors"]
        assert name in refused, f"{name} can be started"
    assert any(f"{len(wanted)} unit files do not load" in notice for notice in answer["notices"]), answer[
        "notices"
    ]
    assert daemon.stop() == 0


def test_a_file_that_goes_bad_or_away_leaves_its_agent_alone(daemon: Daemon) -> None:
    path = daemon.unit("a", unit={"description": "before"}, agent={"exec": ["sleep", "1000"]})
    gone = daemon.unit("gone", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["a", "gone"])
    pids = {name: daemon.status(name)["pid"] for name in ("a", "gone")}
    path.write_text("agent: {exce: [sleep]}\n")
    gone.unlink()
    answer = daemon.call("daemon-reload")
    assert any("exce" in problem["option"] + problem["message"] for problem in answer["problems"])

    def check() -> None:
        unit = daemon.status("a")
        assert (unit["pid"], unit["load"], unit["description"]) == (pids["a"], "bad", "before")
        assert unit["problems"]
        assert (daemon.status("gone")["pid"], daemon.status("gone")["load"]) == (pids["gone"], "missing")

    check()
    daemon.new_manager(daemon.kill_manager())
    check()
    os.kill(pids["a"], 9)  # it is started again as it was
    until(lambda: daemon.status("a")["pid"] not in (0, pids["a"]))
    assert daemon.call("stop", units=["a", "gone"])["errors"] == {}
    assert not any(map(is_alive, pids.values()))
    assert daemon.call("daemon-reload")["units"] >= 0
    assert "gone" not in [unit["name"] for unit in daemon.call("status")["units"]]


# ------------------------------------------------------------------------------------------------ notifications


def tell(daemon: Daemon, data: bytes, fds: list[int] | None = None) -> None:
    """A datagram from this process, which is no agent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sock.sendmsg([data], extra, 0, str(daemon.root / "run/maestro/notify.sock"))


SAY = """
import array, os, socket, sys, time
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
def say(data, fds=()):
    extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], extra, 0, os.environ["NOTIFY_SOCKET"])
"""


def saying(lines: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", SAY + lines + "\ntime.sleep(1000)\n"]


def test_a_stranger_cannot_speak_for_an_agent(daemon: Daemon, folder: Path) -> None:
    go = folder / "go"
    waits = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    daemon.unit("waits", agent={"exec": saying(waits + "say(b'READY=1')"), "type": "notify"})
    daemon.unit("speaks", agent={"exec": saying(waits + "say(b'STATUS=heard')")})
    daemon.unit("speaker", agent={"exec": saying("say(b'STATUS=up\\nREADY=1')"), "type": "notify"})
    daemon.start()
    daemon.call("start", units=["waits"], wait=False)
    pid = daemon.wait_state("waits", "start")["pid"]
    for data in (b"READY=1", f"READY=1\nMAINPID={os.getpid()}".encode(), b"STOPPING=1", b"STATUS=mine"):
        tell(daemon, data)
    # What was sent before is taken before: when the agent's own word has arrived, the stranger's was refused.
    daemon.call("start", units=["speaker"])
    unit = daemon.status("waits")
    assert (unit["fine"], unit["pid"], unit["status"]) == ("start", pid, "")
    go.touch()
    daemon.wait_state("waits", "running")


def test_garbage_on_the_notify_socket_is_left_out(daemon: Daemon, folder: Path) -> None:
    bad = [
        b"", b"\0", b"\xff\xfe", b"=", b"READY", b"READY=", b"MAINPID=x\nSTATUS=y", b"MAINPID=-1", b"MAINPID=99999999999999999999",
        b"EXTEND_TIMEOUT_USEC=inf", b"WATCHDOG_USEC=-5", "STATUS=\u202e\x1b[2J".encode(), b"A" * 60_000, b"\n" * 4000, b"X=1\n" * 1000,
    ]  # fmt: skip
    lines = (
        f"for data in {bad!r}: say(data)\nsay(b'FDSTORE=1\\nFDNAME=x', [0, 1, 2])\nsay(b'X=1', [0] * 200)\n"
    )
    lines += "say(b'STATUS=done\\nREADY=1')\n"
    daemon.unit("noisy", agent={"exec": saying(lines), "type": "notify"})
    daemon.start()
    manager = until(daemon.manager)
    open_before = len(os.listdir(f"/proc/{manager}/fd"))
    for data in bad:
        tell(daemon, data)
    for _ in range(50):
        tell(daemon, b"READY=1", [0] * 60)
    assert daemon.call("start", units=["noisy"])["jobs"][0]["state"] == "done"
    unit = daemon.status("noisy")
    assert (unit["fine"], unit["status"]) == ("running", "done")
    assert daemon.manager() == manager
    assert len(os.listdir(f"/proc/{manager}/fd")) < open_before + 20
    assert "Traceback" not in daemon.said()


@pytest.mark.parametrize("foreign", ["bystander", "init", "nobody"])
def test_an_agent_cannot_point_us_at_a_foreign_process(
    daemon: Daemon, bystander: subprocess.Popen[bytes], foreign: str
) -> None:
    daemon.unit("other", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["other"])
    target = {"bystander": bystander.pid, "init": 1, "nobody": 4_000_000}[foreign]
    lines = f"say(b'MAINPID={target}\\nREADY=1')"
    stop = {"sequence": ["TERM 1s", "KILL"], "kill_mode": "mixed"}
    daemon.unit("liar", agent={"exec": saying(lines), "type": "notify", "stop": stop})
    daemon.call("daemon-reload")
    daemon.call("start", units=["liar"])
    unit = daemon.status("liar")
    mine = [
        pid for pid in daemon.agents_of_this_root() if b"MAINPID" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert [unit["pid"]] == mine, f"status shows {unit['pid']}: {unit['processes']}"
    assert daemon.call("kill", units=["liar"], signal="CONT", whole=False)["errors"] == {}
    assert daemon.call("stop", units=["liar"])["jobs"][0]["state"] == "done"
    assert bystander.poll() is None
    assert not any(map(is_alive, mine))


def test_an_agent_may_name_another_of_its_own_processes(daemon: Daemon, folder: Path) -> None:
    lines = "child = os.fork()\nif child: say(b'MAINPID=' + str(child).encode() + b'\\nREADY=1')"
    daemon.unit("forks", agent={"exec": saying(lines), "type": "notify"})
    daemon.start()
    daemon.call("start", units=["forks"])
    unit = daemon.status("forks")
    pids = daemon.agents_of_this_root()
    assert len(pids) == 2
    assert unit["pid"] in pids
    daemon.call("stop", units=["forks"])
    assert not daemon.agents_of_this_root()


def test_systemd_notify_is_heard(daemon: Daemon) -> None:
    """A child that is gone when its word is read: its credentials name a process that nobody can look at any more."""
    quoted = shlex.join([sys.executable, "-I", "-S", "-c", SAY + "say(b'READY=1\\nSTATUS=by a child')"])
    daemon.unit("child", agent={"exec": ["/bin/sh", "-c", f"{quoted}; exec sleep 1000"], "type": "notify"})
    daemon.start()
    daemon.call("start", units=["child"])
    assert daemon.status("child")["status"] == "by a child"
