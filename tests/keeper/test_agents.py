"""Agents of a real keeper: how they are started, signalled and reaped."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from maestro.keeper.proc import Proc
from tests.keeper.rig import Manager, Rig, is_alive, until
from tests.system.harness import patient

pytestmark = pytest.mark.system

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


# ------------------------------------------------------------------------------------------------ exits


@pytest.mark.parametrize(
    ("script", "code", "number"),
    [
        ("exit 0", 0, None),
        ("exit 3", 3, None),
        ("exit 255", 255, None),
        ("kill -TERM $$", None, signal.SIGTERM),
        ("kill -KILL $$", None, signal.SIGKILL),
    ],
)
def test_an_exit_has_its_true_status(manager: Manager, script: str, code: int, number: int) -> None:
    before = time.monotonic()
    manager.spawn("a#1", "sh", "-c", script)
    manager.news("spawned", "a#1")
    _, _, found_code, found_number, cpu, max_rss, at, left = manager.news("ended", "a#1")
    assert (found_code, found_number, left) == (code, number, ())
    assert before <= at <= time.monotonic()
    assert 0 <= cpu < 1
    assert max_rss > 100_000


def test_what_an_agent_used_is_told(manager: Manager) -> None:
    burn = "import resource as r\nb = b'x' * (60 << 20)\nwhile sum(r.getrusage(0)[:2]) < 0.2: pass"  # not every kernel tells them apart
    manager.spawn("a#1", sys.executable, "-I", "-S", "-c", burn)
    *_, cpu, max_rss, _, _ = manager.news("ended", "a#1")
    assert 0.2 <= cpu < patient(5)
    assert 60 << 20 < max_rss < 200 << 20


def test_an_order_may_be_repeated(manager: Manager) -> None:
    manager.spawn("a#1", "sleep", "1000")
    first = manager.news("spawned", "a#1")
    manager.spawn("a#1", "sleep", "1000")
    assert manager.news("spawned", "a#1") == first
    manager.order("send", "a#1", signal.SIGTERM, False)
    ended = manager.news("ended", "a#1")
    manager.spawn("a#1", "sleep", "1000")
    assert manager.news("ended", "a#1") == ended
    manager.order("send", "a#1", signal.SIGTERM, False)
    manager.order("send", "unknown#1", signal.SIGTERM, True)
    assert len(manager.hello()) == 1


def test_a_signal_that_overtakes_the_exec_is_the_agents(manager: Manager) -> None:
    for n in range(100):
        manager.spawn(f"a#{n}", "sleep", "1000")
        manager.order("send", f"a#{n}", signal.SIGTERM, False)
    for n in range(100):
        assert manager.news("spawned", f"a#{n}")
        assert manager.news("ended", f"a#{n}")[2:4] == (None, signal.SIGTERM)
    assert manager.nothing_unread(), "the keeper was told to end"


# ------------------------------------------------------------------------------------------------ steps that fail


def failure(manager: Manager, *argv: str, **recipe: Any) -> tuple[str, int]:
    manager.spawn("bad#1", *argv, **recipe)
    _, _, stage, number = manager.news("cannot_spawn", "bad#1")
    manager.spawn("good#1", "true")
    assert manager.news("ended", "good#1")[2] == 0, "the keeper goes on"
    assert list(manager.hello()) == ["good#1"], "an agent that never was is not kept"
    return stage, number


def test_a_missing_directory_is_named(manager: Manager) -> None:
    assert failure(manager, "true", cwd="/nowhere") == ("change directory to /nowhere", errno.ENOENT)


def test_a_missing_program_is_named(manager: Manager) -> None:
    assert failure(manager, "no-such-program") == ("execute no-such-program", errno.ENOENT)


def test_a_missing_path_is_named(manager: Manager) -> None:
    assert failure(manager, "/bin/nowhere/x") == ("execute /bin/nowhere/x", errno.ENOENT)


def test_a_file_that_may_not_be_executed_is_named(manager: Manager) -> None:
    assert failure(manager, "/etc/passwd") == ("execute /etc/passwd", errno.EACCES)


def test_a_program_that_is_none_is_named(manager: Manager, folder: Path) -> None:
    text = folder / "text"
    text.write_text("echo\n")
    text.chmod(0o755)
    path = f"/nowhere:{folder}"
    assert failure(manager, "text", env={"PATH": path}) == ("execute text", errno.ENOEXEC)


def test_no_command_line_at_all_is_a_failure_too(manager: Manager) -> None:
    assert failure(manager) == ("execute ", errno.EINVAL)


@as_root
def test_a_bad_user_is_named(manager: Manager) -> None:
    assert failure(manager, "true", uid=2**40) == (f"become user {2**40}", errno.EINVAL)


@as_root
def test_a_bad_group_is_named(manager: Manager) -> None:
    assert failure(manager, "true", uid=1, gid=-5) == ("become group -5", errno.EINVAL)
    manager.order("acknowledge", "good#1")
    assert failure(manager, "true", groups=(2**40,)) == (f"set its groups {2**40}", errno.EINVAL)


def test_a_bad_limit_is_named(manager: Manager) -> None:
    limits = ((resource.RLIMIT_NOFILE, 100, 50),)
    assert failure(manager, "true", rlimits=limits) == ("set its limit NOFILE to 100:50", errno.EINVAL)


@as_root
def test_a_directory_that_the_user_may_not_enter_is_named(manager: Manager, folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    expected = (f"change directory to {closed}", errno.EACCES)
    assert failure(manager, "true", uid=65534, gid=65534, cwd=str(closed)) == expected


# ------------------------------------------------------------------------------------------------ what it is given

_CONFESS = """
import ctypes, json, os, resource, signal, stat
guard = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(guard), 0, 0, 0)
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
fds = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if int(fd) < 3 or
       os.path.exists(f"/proc/self/fd/{fd}")}
umask = os.umask(0)
print(json.dumps({
    "fds": fds, "ignored": status["SigIgn"].strip(), "blocked": status["SigBlk"].strip(),
    "guard": guard.value, "session": os.getsid(0) == os.getpid(), "umask": umask, "cwd": os.getcwd(),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE), "core": resource.getrlimit(resource.RLIMIT_CORE),
    "ids": (os.getresuid(), os.getresgid(), os.getgroups()), "env": dict(os.environ),
    "again": bool(os.close(os.open("/dev/stdout", os.O_WRONLY)) is None),
    "oom": int(open("/proc/self/oom_score_adj").read()),
}))
"""


def confession(manager: Manager, **recipe: Any) -> dict[str, Any]:
    manager.spawn("a#1", sys.executable, "-I", "-c", _CONFESS, stream="a", **recipe)
    assert manager.news("ended", "a#1")[2] == 0, manager.read("a").decode()
    return dict(json.loads(manager.read("a")))


def test_an_agent_inherits_nothing_but_three_descriptors(rig: Rig) -> None:
    ours = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(ours, True)
    manager = rig.start(fds=(ours,))
    manager.hello()
    os.close(ours)
    manager.spawn("other#1", "sleep", "1000", stream="other")
    manager.order("hold", "control", fd=0)
    seen = confession(manager, cwd="/tmp", umask=0o027, rlimits=((resource.RLIMIT_CORE, 0, 0),))
    fds = {number: target for number, target in seen["fds"].items() if not target.startswith("/proc/")}
    assert fds.keys() == {"0", "1", "2"}
    assert fds["0"] == "/dev/null"
    assert fds["1"] == fds["2"]
    assert fds["1"].startswith("pipe:")
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25); nothing else is.
    assert int(seen["ignored"], 16) == 1 << 12 | 1 << 24
    assert int(seen["blocked"], 16) == 0
    assert seen["guard"] == 0
    assert seen["session"]
    assert seen["umask"] == 0o027
    assert seen["cwd"] == "/tmp"
    assert seen["files"] == [1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]]
    assert seen["core"] == [0, 0]
    assert seen["env"].keys() - {"LC_CTYPE"} == {"PATH", "MAESTRO_TEST"}
    assert seen["oom"] == int(Path("/proc/self/oom_score_adj").read_text())
    manager.order("send", "other#1", signal.SIGKILL, False)


def test_signals_are_as_at_birth(manager: Manager) -> None:
    manager.spawn("a#1", "cat", "/proc/self/status", stream="a")
    manager.news("ended", "a#1")
    lines = dict(line.split(":\t") for line in manager.read("a").decode().splitlines() if "Sig" in line)
    assert {lines[name] for name in ("SigIgn", "SigBlk", "SigCgt")} == {"0" * 16}


@as_root
def test_an_agent_becomes_its_user(manager: Manager) -> None:
    script = "id -u; id -g; id -G; echo x >/dev/stdout"
    manager.spawn("a#1", "sh", "-c", script, uid=65534, gid=4, groups=(4, 20), stream="a")
    assert manager.news("ended", "a#1")[2] == 0
    assert manager.read("a").split() == [b"65534", b"4", b"4", b"20", b"x"]


def test_a_soft_limit_may_be_asked_for(manager: Manager) -> None:
    manager.spawn("a#1", "sh", "-c", "ulimit -n", rlimits=((resource.RLIMIT_NOFILE, 77, 99),), stream="a")
    manager.news("ended", "a#1")
    assert manager.read("a") == b"77\n"


def test_a_tiny_limit_does_not_trip_the_set_up(manager: Manager) -> None:
    limits = (
        (resource.RLIMIT_NOFILE, 4, 4),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_AS, 1 << 24, 1 << 24),
    )
    manager.spawn("a#1", "/bin/sh", "-c", "echo up", rlimits=limits, stream="a")
    assert manager.news("ended", "a#1")[2] == 0
    assert manager.read("a") == b"up\n"


def test_a_stream_is_one_pipe_for_all_that_write_to_it(manager: Manager) -> None:
    for n in range(3):
        manager.spawn(f"a#{n}", "sh", "-c", f"echo {n}; echo {n} >&2", stream="a")
        manager.news("ended", f"a#{n}")
    assert manager.read("a") == b"0\n0\n1\n1\n2\n2\n"
    manager.order("release_stream", "a")
    manager.order("release_stream", "a")
    manager.spawn("a#3", "sh", "-c", "echo 3", stream="a")
    manager.news("ended", "a#3")
    assert manager.read("a") == b"3\n"


# ------------------------------------------------------------------------------------------------ trees

# The main process has a child that it knows, and a daemon that forked twice and has a session of its own.
_FAMILY = """
sleep 1000 &
setsid sh -c 'sleep 1000 & setsid sleep 1000 & echo daemon; wait' &
exec sleep 1000
"""


def family(manager: Manager) -> tuple[int, list[int]]:
    """(main, the pids of all)."""
    manager.spawn("a#1", "sh", "-c", _FAMILY, env={"INVOCATION_ID": "family"}, stream="a")
    main = manager.news("spawned", "a#1")[2]
    assert manager.read("a") == b"daemon\n"

    def members() -> list[int]:
        found = [p.pid for p in Proc().all() if Proc().invocation(p.pid) == "family"]
        return found if len(found) == 5 and _names(found).count("sleep") == 4 else []

    return main, until(members, "the whole family is there")


def _names(pids: list[int]) -> list[str]:
    return [process.name for pid in pids if (process := Proc().look(pid))]


def test_a_daemon_that_an_agent_left_is_found_and_killed(manager: Manager) -> None:
    main, pids = family(manager)
    manager.order("send", "a#1", signal.SIGKILL, False)
    left = manager.news("ended", "a#1")[-1]
    assert {int(one.split()[0]) for one in left} == set(pids) - {main}
    assert sorted(one.split()[1] for one in left) == ["(sh)", "(sleep)", "(sleep)", "(sleep)"]
    manager.order("acknowledge", "a#1")
    assert manager.hello()["a#1"][5] == left, "kept while something is left"
    manager.order("send", "a#1", signal.SIGKILL, True)
    manager.news("emptied", "a#1")
    assert not [pid for pid in pids if is_alive(pid)]
    assert manager.hello() == {}


def test_a_tree_is_killed_at_one_blow(manager: Manager) -> None:
    _, pids = family(manager)
    manager.order("send", "a#1", signal.SIGKILL, True)
    assert (ended := manager.news("ended", "a#1"))[3] == signal.SIGKILL
    assert not ended[-1] or manager.news("emptied", "a#1"), "what was not reaped by then is told of later"
    assert not [pid for pid in pids if is_alive(pid)]
    manager.order("acknowledge", "a#1")
    assert manager.hello() == {}, "nothing of it is left to be told"


def test_a_signal_to_the_tree_reaches_each_and_one_to_the_main_only_that(manager: Manager) -> None:
    main, pids = family(manager)
    manager.order("send", "a#1", signal.SIGSTOP, True)
    until(lambda: {_state(pid) for pid in pids} == {"T"}, "all have stopped")
    manager.order("send", "a#1", signal.SIGCONT, False)
    until(lambda: _state(main) == "S", "the main process goes on")
    assert {_state(pid) for pid in pids if pid != main} == {"T"}
    manager.order("send", "a#1", signal.SIGCONT, True)
    manager.order("send", "a#1", signal.SIGTERM, True)
    manager.news("ended", "a#1")
    until(lambda: not [pid for pid in pids if is_alive(pid)], "all are gone")


def _state(pid: int) -> str:
    process = Proc().look(pid)
    return process.state if process else ""


def test_an_orphan_without_name_or_session_is_known_from_an_earlier_look(manager: Manager, rig: Rig) -> None:
    script = "setsid env -i /bin/sh -c 'sleep 1000 & echo $$ $!; wait' & wait"
    manager.spawn("a#1", "sh", "-c", script, env={"INVOCATION_ID": "a"}, stream="a")
    manager.news("spawned", "a#1")
    rig.nameless += map(int, manager.read("a").split())
    manager.order("send", "a#1", signal.SIGCONT, True)  # a look at the tree
    manager.order("send", "a#1", signal.SIGTERM, False)
    assert len(manager.news("ended", "a#1")[-1]) == 2
    manager.order("send", "a#1", signal.SIGKILL, True)
    manager.news("emptied", "a#1")


# Each process starts the next and ends: there is never one that stays to be found. Burns out by itself.
_BOMB = """
import os, time
end = time.monotonic() + 8
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    if os.getpid() % 3 == 0:
        os.setsid()
"""


def test_a_fork_bomb_is_killed(manager: Manager, rig: Rig) -> None:
    (rig.directory / "bomb.py").write_text(_BOMB)
    light = f"{sys.executable} -I -S {rig.directory}/bomb.py &"
    manager.spawn("a#1", "sh", "-c", f"{light} {light} sleep 1000", env={"INVOCATION_ID": rig.token})
    manager.news("spawned", "a#1")
    until(lambda: _cpu(rig.pid) > 0.1, "the bomb is at work: its orphans keep the keeper busy")
    manager.order("send", "a#1", signal.SIGKILL, True)
    if manager.news("ended", "a#1")[-1]:
        manager.news("emptied", "a#1")
    for _ in range(5):
        assert not [p for p in Proc().all() if p.lives and Proc().invocation(p.pid) == rig.token]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ------------------------------------------------------------------------------------------------ a thousand


def test_a_thousand_are_started_and_killed(manager: Manager, rig: Rig) -> None:
    agents = [f"a#{n}" for n in range(1000)]
    for agent in agents:
        manager.spawn(agent, "/bin/sleep", "1000")
    assert {manager.next()[0] for _ in agents} == {"spawned"}
    rollup = Path(f"/proc/{rig.pid}/smaps_rollup").read_text()
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    begun = time.monotonic()
    for agent in agents:
        manager.order("send", agent, signal.SIGKILL, True)
    ended = [manager.next() for _ in agents]
    took = time.monotonic() - begun
    assert {message[1:4] for message in ended} == {(agent, None, signal.SIGKILL) for agent in agents}
    assert took < patient(5), "well under a second on a quiet machine"
    assert pss < 16_000, "8 MB is the aim; here libpython may be counted as the keeper's alone"


def test_hundreds_that_leave_others_behind_and_end_at_once_are_told_of_at_once(
    manager: Manager, rig: Rig
) -> None:
    agents = [f"a#{n}" for n in range(200)]
    script = "sleep 1000 & exec sleep 1000"
    for agent in agents:
        manager.spawn(agent, "/bin/sh", "-c", script, env={"INVOCATION_ID": rig.token})
    for agent in agents:
        manager.news("spawned", agent)
    until(lambda: len(_sleepers(rig)) == 400, "each has a child")
    before = _cpu(rig.pid)
    for agent in agents:
        manager.order("send", agent, signal.SIGKILL, False)
    assert {len(manager.news("ended", agent)[-1]) for agent in agents} == {1}
    took = _cpu(rig.pid) - before
    for agent in agents:
        manager.order("send", agent, signal.SIGKILL, True)
        manager.news("emptied", agent)
    assert took < patient(1), "a look at all that are left, for each that has ended, takes some seconds"


def _sleepers(rig: Rig) -> list[int]:
    found = [p for p in Proc().all() if p.lives and Proc().invocation(p.pid) == rig.token]
    return [p.pid for p in found if Path(f"/proc/{p.pid}/comm").read_text() == "sleep\n"]
