"""The phases of a service with real processes: commands around it, one that forks, reloads with an answer, managers that die meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.system.harness import Daemon, is_alive, pause, until
from tests.system.speakers import SLEEP, speaker, start

pytestmark = pytest.mark.system


def note(daemon: Daemon, text: str, then: str = "") -> list[str]:
    """A command that writes a line to a file, and to its output."""
    return ["/bin/sh", "-c", f"echo {text} | tee -a {daemon.root}/noted; {then}"]


def noted(daemon: Daemon) -> list[str]:
    path = daemon.root / "noted"
    return path.read_text().splitlines() if path.exists() else []


def around(daemon: Daemon, name: str = "web", then: str = "", **agent: Any) -> None:
    """A unit with a command in each phase that notes its name; `then` is what each does afterwards."""
    phases = {
        "exec_start_pre": [note(daemon, "pre1", then), note(daemon, "pre2", then)],
        "exec_start_post": [note(daemon, "post-$MAINPID", then)],
        "exec_stop": [note(daemon, "stop-$MAINPID", then)],
        "exec_stop_post": [note(daemon, "after-$SERVICE_RESULT-$EXIT_CODE-$EXIT_STATUS", then)],
    }
    # a shell's variables, and not ours
    plain = {phase: [[f":{line[0]}", *line[1:]] for line in lines] for phase, lines in phases.items()}
    daemon.unit(name, agent={"exec": SLEEP, "restart": {"policy": "no"}, **plain, **agent})


@contextmanager
def managers_dying(daemon: Daemon, every: float) -> Iterator[None]:
    """Meanwhile, one manager after the other is killed."""
    over = threading.Event()

    def strike() -> None:
        while not over.wait(every):
            if (pid := daemon.manager()) is not None:
                os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(20)


def runs_anew(daemon: Daemon, pid: int) -> bool:
    """It runs, and no longer as that process."""
    status = daemon.status("web")
    return bool(status["fine"] == "running" and status["pid"] != pid)


def test_commands_run_around_the_process_and_write_to_its_log(daemon: Daemon) -> None:
    around(daemon)
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "done"
    pid = daemon.status("web")["pid"]
    daemon.call("stop", units=["web"], wait=True)
    expected = ["pre1", "pre2", f"post-{pid}", f"stop-{pid}", "after-success-killed-TERM"]
    assert noted(daemon) == expected
    until(lambda: daemon.log("web").decode().split() == expected)


def test_managers_die_in_every_phase_and_nothing_runs_twice(daemon: Daemon) -> None:
    around(daemon, then="sleep 0.4")
    daemon.start()
    with managers_dying(daemon, 0.3):
        assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "done"
        pid = daemon.status("web")["pid"]
        daemon.call("stop", units=["web"], wait=True)
    assert noted(daemon) == ["pre1", "pre2", f"post-{pid}", f"stop-{pid}", "after-success-killed-TERM"]


def test_a_preparation_that_fails_is_named(daemon: Daemon) -> None:
    around(daemon, exec_start_pre=["/bin/false"])
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "failed"
    assert daemon.status("web")["cause"] == "exec_start_pre[0] (/bin/false) ended with exit status 1"
    assert noted(daemon) == ["after-exit-code--"]


def test_a_command_that_is_not_there_is_named(daemon: Daemon) -> None:
    daemon.unit("web", agent={"exec": SLEEP, "restart": {"policy": "no"}, "exec_start_pre": ["/nowhere/x"]})
    daemon.start()
    start(daemon, "web", wait=True)
    cause = daemon.status("web")["cause"]
    assert cause.startswith("exec_start_pre[0] (/nowhere/x): cannot execute"), cause
    assert "no such file" in cause


def test_what_a_command_leaves_running_is_killed(daemon: Daemon) -> None:
    leaver = ["/bin/sh", "-c", f"sleep 1000 & echo $! > {daemon.root}/left"]
    daemon.unit("web", agent={"exec": SLEEP, "exec_start_pre": [leaver]})
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "done"
    assert not is_alive(int((daemon.root / "left").read_text()))


FORKER = """
import os, sys, time
if os.fork():
    time.sleep(0.1)
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
time.sleep(0.3)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()}\\n")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(1000)
"""


def test_one_that_forks_is_known_by_its_pid_file(daemon: Daemon) -> None:
    path = daemon.root / "web.pid"
    exec_ = [sys.executable, "-c", FORKER, str(path)]
    daemon.unit(
        "web", agent={"exec": exec_, "type": "forking", "pid_file": str(path), "restart": {"delay": "50ms"}}
    )
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "done"
    pid = daemon.status("web")["pid"]
    assert pid == int(path.read_text())
    daemon.new_manager(daemon.kill_manager())
    assert daemon.status("web")["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: runs_anew(daemon, pid))
    second = daemon.status("web")["pid"]
    daemon.call("stop", units=["web"], wait=True)
    assert not is_alive(second)
    assert not path.exists()


def test_a_manager_dies_while_it_waits_for_the_pid_file(daemon: Daemon) -> None:
    path = daemon.root / "web.pid"
    exec_ = [sys.executable, "-c", FORKER.replace("0.3", "2"), str(path)]
    daemon.unit("web", agent={"exec": exec_, "type": "forking", "pid_file": str(path)})
    daemon.start()
    start(daemon, "web")
    until(lambda: "pid to name" in (cause := daemon.status("web")["cause"]) or "web.pid" in cause)
    daemon.kill_manager()
    assert daemon.wait_state("web", "running")["pid"] == int(path.read_text())


HIDER = """
import os, sys, time
if os.fork():
    time.sleep(0.2)
    os._exit(0)
os.setsid()
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()}\\n")
os.rename(sys.argv[1] + ".new", sys.argv[1])
os.execve("/bin/sh", ["sh", "-c", f"/bin/sleep 1000 & echo $! > {sys.argv[1]}.left; wait"], {})
"""


@pytest.mark.parametrize("reexec", [False, True])
def test_one_that_hides_is_known_with_all_that_it_starts(daemon: Daemon, reexec: bool) -> None:
    """It leaves its session and has no environment: only its pid file ties it to its unit."""
    path = daemon.root / "web.pid"
    agent = {"exec": [sys.executable, "-c", HIDER, str(path)], "type": "forking", "pid_file": str(path)}
    daemon.unit("web", agent={**agent, "restart": {"delay": "50ms"}})
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "done"
    if reexec:
        dead = daemon.manager()
        assert dead is not None
        daemon.call("daemon-reexec")
        daemon.new_manager(dead)
    first, left = daemon.status("web")["pid"], int(path.with_suffix(".pid.left").read_text())
    os.kill(first, signal.SIGKILL)
    until(lambda: runs_anew(daemon, first))
    assert not is_alive(left)
    left = int(path.with_suffix(".pid.left").read_text())
    daemon.call("stop", units=["web"], wait=True)
    assert not is_alive(left)


def test_one_that_forks_is_known_by_being_left(daemon: Daemon) -> None:
    exec_ = ["/bin/sh", "-c", "setsid sh -c 'sleep 1000; exit' & exit 0"]
    daemon.unit("web", agent={"exec": exec_, "type": "forking", "restart": {"delay": "50ms"}})
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "done"
    pid = daemon.status("web")["pid"]
    daemon.new_manager(daemon.kill_manager())
    assert daemon.status("web")["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: runs_anew(daemon, pid))
    daemon.call("stop", units=["web"], wait=True)
    assert not daemon.agents_of_this_root()


def test_which_of_two_that_are_left_is_not_guessed(daemon: Daemon) -> None:
    exec_ = ["/bin/sh", "-c", "sleep 1000 & sleep 1000 & exit 0"]
    daemon.unit("web", agent={"exec": exec_, "type": "forking", "restart": {"policy": "no"}})
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "failed"
    cause = daemon.status("web")["cause"]
    assert ", and either may be the main one: write pid_file" in cause
    assert not daemon.agents_of_this_root()


def test_a_pid_file_that_names_a_stranger_makes_nothing_ready(daemon: Daemon) -> None:
    path = daemon.root / "web.pid"
    path.write_text(f"{os.getpid()}\n")
    forks = ["/bin/sh", "-c", "sleep 1000 & exit 0"]
    agent = {"exec": forks, "type": "forking", "pid_file": str(path), "start_timeout": "1s"}
    daemon.unit("web", agent={**agent, "restart": {"policy": "no"}})
    daemon.start()
    assert start(daemon, "web", wait=True)["jobs"][0]["state"] == "failed"
    cause = daemon.status("web")["cause"]
    assert f"{path} names {os.getpid()} (" in cause
    assert "which is none of its processes" in cause
    assert path.exists()
    assert not daemon.agents_of_this_root()


RELOADER = """
import time
def reload():
    say(f'RELOADING=1\\nMONOTONIC_USEC={time.monotonic_ns() // 1000}')
    print('reloading', flush=True)
    linger(0.3)
    say('READY=1')
on('HUP', reload)
say('READY=1')
forever()
"""


def test_a_reload_ends_when_the_agent_says_so(daemon: Daemon) -> None:
    daemon.unit("web", agent={"exec": speaker(daemon, "web", RELOADER), "type": "notify-reload"})
    daemon.start()
    start(daemon, "web", wait=True)
    pid = daemon.status("web")["pid"]
    [job] = daemon.call("reload", units=["web"], wait=True)["jobs"]
    assert job["state"] == "done", job
    assert job["words"].startswith("reloaded in"), job
    with managers_dying(daemon, 0.2):
        [job] = daemon.call("reload", units=["web"], wait=True)["jobs"]
    assert job["state"] == "done", job
    assert daemon.status("web")["pid"] == pid
    assert daemon.log("web").decode().split() == ["reloading"] * 2


def test_a_manager_that_was_stopped_blames_no_agent(daemon: Daemon) -> None:
    beat = "import time\nsay('READY=1')\nwhile True:\n    say('WATCHDOG=1')\n    linger(0.1)\n"
    agent = {
        "exec": speaker(daemon, "web", beat),
        "type": "notify",
        "watchdog": "1s",
        "restart": {"policy": "no"},
    }
    daemon.unit("web", agent=agent)
    daemon.start()
    start(daemon, "web", wait=True)
    manager = daemon.manager()
    assert manager is not None
    os.kill(manager, signal.SIGSTOP)
    pause(2.5)
    os.kill(manager, signal.SIGCONT)
    pause(1.5)
    assert daemon.status("web")["fine"] == "running", daemon.status("web")["cause"]


def test_several_commands_of_a_oneshot_go_on_under_a_new_manager(daemon: Daemon) -> None:
    book, gate = daemon.root / "book", daemon.root / "gate"
    wait = ["/bin/sh", "-c", f"echo two >> {book}; until [ -e {gate} ]; do sleep 0.01; done"]
    write = ["/bin/sh", "-c", f"echo one >> {book}; sleep 1000 &"]
    more = [wait, "-/bin/false", "-/no/such/program", ["/bin/sh", "-c", f"echo five >> {book}"]]
    agent = {"type": "oneshot", "exec": write, "exec_more": more, "restart": {"policy": "no"}}
    daemon.unit("job", agent=agent)
    daemon.unit("bad", agent=agent | {"exec": "/bin/true", "exec_more": ["/bin/false", more[3]]})
    daemon.start()
    daemon.call("start", units=["job"], wait=False)
    until(lambda: book.exists() and book.read_text() == "one\ntwo\n")
    assert [one.endswith("#2") for one in [daemon.status("job")["agent"]]] == [True]
    daemon.kill_manager()
    gate.touch()
    daemon.wait_state("job", "inactive")
    assert book.read_text() == "one\ntwo\nfive\n"
    assert daemon.agents_of_this_root() == []
    assert daemon.ctl("start", "bad").returncode == 1
    assert daemon.status("bad")["cause"] == "/bin/false ended with exit status 1"
    assert book.read_text() == "one\ntwo\nfive\n"
