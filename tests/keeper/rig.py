"""A real keeper with a stand-in for its manager, which hands the link over to the test."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.keeper import reexec, wire
from maestro.keeper.proc import Proc
from tests.system.harness import patient

DAEMON = Path(__file__).resolve().parents[2] / "daemon"
PATIENCE = patient(15.0)

# Connects to the test, passes the link on, and ends with the code that the test sends it.
_STAND_IN = """
import os, socket, sys
test = socket.socket(socket.AF_UNIX)
test.connect(sys.argv[1])
socket.send_fds(test, [str(os.getpid()).encode()], [int(os.environ["MAESTRO_KEEPER_FD"])])
os._exit(int(test.recv(10) or b"0"))
"""


def until(question: Callable[[], Any], what: str) -> Any:
    """Ask until the answer is yes, or fail. Gives the processor away between two questions."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {PATIENCE} s: {what}")
        select.select([], [], [], 0.005)
    return answer


class Manager:
    """The manager's end of the link, in the test's hands."""

    def __init__(self, pid: int, link: int, control: socket.socket, token: str) -> None:
        self.pid = pid
        self._token = token
        self._link = socket.socket(fileno=link)
        self._link.setblocking(True)
        self._control = control
        self._unread: list[wire.Message] = []
        self.hangs = False  # leaves pings unanswered
        self.fds: dict[tuple[str, str], int] = {}  # ("stream", name) -> descriptor

    def order(self, *message: object, fd: int = -1) -> None:
        if message[0] == "send" and len(message) == 4:
            message = (*message, 0)  # no number: always carried out
        plain = tuple(int(field) if isinstance(field, signal.Signals) else field for field in message)
        wire.send(self._link, wire.encode(plain), fd)

    def spawn(self, agent: str, *argv: str, **recipe: Any) -> None:
        environment = {"PATH": os.environ["PATH"], "MAESTRO_TEST": self._token}
        recipe["env"] = {**environment, **recipe.pop("env", {})}
        self.order("spawn", agent, {"argv": argv, "cwd": "/", **recipe})

    def hello(self, version: int = wire.VERSION) -> dict[str, wire.Message]:
        """agent -> entry; descriptors are in `fds`."""
        self.order("hello", version)
        entries = {}
        while (message := self.next())[0] != "table_end":
            if message[0] == "entry":
                entries[message[1]] = message
        self.keeper_id = message[1]
        return entries

    def next(self, patience: float = PATIENCE) -> wire.Message:
        deadline = time.monotonic() + patience
        while (message := self._receive(deadline, patience)) == ("ping",) and not self.hangs:
            self.order("pong")
        return message

    def _receive(self, deadline: float, patience: float) -> wire.Message:
        if not select.select([self._link], [], [], max(deadline - time.monotonic(), 0))[0]:
            pytest.fail(f"no news within {patience} s")
        data, fd, lost = wire.receive(self._link)
        assert data, "the keeper closed the link"
        assert not lost
        message = wire.decode(data, wire.NEWS)
        if fd >= 0:
            self.fds[message[0], message[1]] = fd
        return message

    def next_ping(self) -> None:
        """Wait for the keeper's next beat, and answer it."""
        self.hangs = True
        while self.next() != ("ping",):
            pass
        self.hangs = False
        self.order("pong")

    def news(self, kind: str, of: str) -> wire.Message:
        """The next message of that kind about that agent; others are kept for later."""
        for message in self._unread:
            if message[:2] == (kind, of):
                self._unread.remove(message)
                return message
        while (message := self.next())[:2] != (kind, of):
            self._unread.append(message)
        return message

    def nothing_unread(self) -> bool:
        return not self._unread and not select.select([self._link], [], [], 0)[0]

    def read(self, stream: str, size: int = 65536) -> bytes:
        """What is in the pipe; waits for the first byte."""
        fd = self.fds["stream", stream]
        assert select.select([fd], [], [], PATIENCE)[0], "nothing was written"
        return os.read(fd, size)

    def end(self, code: int) -> None:
        self._control.sendall(str(code).encode())
        self.close()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        self._link.close()
        self._control.close()
        while self.fds:
            os.close(self.fds.popitem()[1])


class Rig:
    """Keepers in one run directory, one after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.source = DAEMON
        self.heartbeat = reexec.HEARTBEAT
        self.environ: dict[str, str] = {}
        self.prefix: tuple[str, ...] = ()  # a command that executes the keeper
        self.token = uuid.uuid4().hex  # in the environment of all that is started: nothing is left behind
        self.nameless: list[int] = []  # what is started without it
        self.errors = directory / "stderr"
        self.keeper: subprocess.Popen[bytes] | None = None
        self.managers: list[Manager] = []
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(directory / "door"))
        self._door.listen(16)
        self._door.settimeout(PATIENCE)

    def setting(self) -> reexec.Setting:
        manager = [sys.executable, "-I", "-S", "-c", _STAND_IN, str(self.directory / "door")]
        source, directory = str(self.source), str(self.directory)
        return reexec.Setting(sys.executable, source, directory, manager, 0.01, self.heartbeat)

    def start(self, files: int = 0, fds: tuple[int, ...] = ()) -> Manager:
        """A keeper and its first manager. `files`: its limit on open files."""

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        with self.errors.open("ab") as errors:
            self.keeper = subprocess.Popen(
                [*self.prefix, *reexec.command(self.setting())],
                env={**os.environ, **self.environ, "MAESTRO_TEST": self.token},
                stderr=errors,
                preexec_fn=limit if files else None,
                pass_fds=fds,
                restore_signals=False,
            )
        return self.manager()

    def manager(self) -> Manager:
        """The next manager that the keeper starts."""
        control, _ = self._door.accept()
        data, fds, _, _ = socket.recv_fds(control, 32, 1)
        manager = Manager(int(data), fds[0], control, self.token)
        self.managers.append(manager)
        return manager

    @property
    def pid(self) -> int:
        assert self.keeper is not None
        return self.keeper.pid

    def kill(self) -> None:
        """SIGKILL to the keeper; returns when it and its manager are gone."""
        assert self.keeper is not None
        self.keeper.kill()
        self.keeper.wait(PATIENCE)
        for manager in self.managers:
            manager.close()
        self.managers.clear()

    def wait(self) -> int:
        assert self.keeper is not None
        return self.keeper.wait(PATIENCE)

    def said(self) -> str:
        return self.errors.read_text()

    def close(self) -> None:
        if self.keeper is not None:
            self.keeper.kill()
            self.keeper.wait()
        for manager in self.managers:
            manager.close()
        self._door.close()
        until(lambda: not self._kill_the_rest(), "the last process is gone")

    def _kill_the_rest(self) -> bool:
        needle = b"MAESTRO_TEST=" + self.token.encode()
        found = [p.pid for p in Proc().all() if p.lives and needle in environment_of(p.pid)]
        found += filter(is_alive, self.nameless)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(found)


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@contextlib.contextmanager
def rig_in(directory: Path) -> Iterator[Rig]:
    rig = Rig(directory)
    try:
        yield rig
    finally:
        rig.close()


def is_alive(pid: int) -> bool:
    process = Proc().look(pid)
    return process is not None and process.lives
