"""maestrod in the foreground: what a terminal, a shell or `timeout` sends to the whole group is for the keeper alone."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import sys

import pytest

from maestro.keeper import reexec
from tests.system.harness import REPOSITORY, Daemon, is_alive, patient, until

pytestmark = pytest.mark.system


def test_a_signal_to_the_group_ends_the_agents_in_order(daemon: Daemon) -> None:
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["a"])
    assert daemon.process is not None
    os.killpg(daemon.keeper, signal.SIGTERM)
    assert daemon.process.wait(patient(20)) == 0
    assert "the manager was killed" not in daemon.said()


def test_the_manager_has_a_session_and_a_group_of_its_own(daemon: Daemon) -> None:
    daemon.start()
    manager = until(daemon.manager)
    assert os.getsid(manager) == os.getpgid(manager) == manager


def test_ctrl_c_in_a_terminal_ends_all_in_order(daemon: Daemon) -> None:
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    run = daemon.root / "run/maestro"
    run.mkdir(parents=True)
    command = reexec.command(
        reexec.Setting(
            sys.executable, f"{REPOSITORY}/daemon", str(run), [sys.executable, "-m", "maestro.wiring"]
        )
    )
    keeper, terminal = pty.fork()
    if keeper == 0:
        paths = f"{REPOSITORY}/daemon:{REPOSITORY}/plugins"
        os.execve(command[0], command, {**os.environ, "MAESTRO_ROOT": str(daemon.root), "PYTHONPATH": paths})
    try:
        daemon.call("hello")
        daemon.call("start", units=["a"])
        agent = daemon.status("a")["pid"]
        os.write(terminal, b"\x03")
        said = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
            while more := os.read(terminal, 4096):
                said += more
        assert os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1]) == 0, said
        keeper = 0
        assert b"stopping" in said
        assert b"was killed" not in said
        assert not is_alive(agent)
    finally:
        os.close(terminal)
        if keeper:
            os.kill(keeper, signal.SIGKILL)
            os.waitpid(keeper, 0)
