"""An agent stays an agent at the control socket, whatever it does to its number, its user, its groups and its descriptors."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from maestro.control import routes
from maestro.control.frames import encode
from maestro.control.roles import Role
from maestro.drivers.cgroups.layout import directory, mounts
from tests.control.fake import fields_of
from tests.system.harness import Daemon, is_alive, until

pytestmark = [pytest.mark.system, pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")]
PYTHON = "/usr/bin/python3"
NO_POLICY = {"restart": {"policy": "no"}}

# What all the scripts of agents begin with. Requests come ready made, so that nothing of ours has to be imported.
HEAD = """
import os, socket, sys, time
path, request, folder = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3]
def connected():
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock
def answer(sock, name="answer"):
    size = sock.recv(4, socket.MSG_WAITALL)
    body = sock.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
    tell(name, body)
def tell(name, body):
    with open(f"{folder}/{name}.new", "wb") as file:
        file.write(body)
    os.rename(f"{folder}/{name}.new", f"{folder}/{name}")
def wait(name):
    while not os.path.exists(f"{folder}/{name}"):
        time.sleep(0.01)
"""
ASK = HEAD + "sock = connected(); sock.sendall(request); answer(sock)\n"


def frame(do: str, **fields: Any) -> bytes:
    return encode({"v": 1, "id": do, "do": do, **fields})


def script(daemon: Daemon, text: str, do: str, *before: str, **fields: Any) -> list[str]:
    """The command of an agent that runs this."""
    path = daemon.root / f"{len(list(daemon.root.glob('*.py')))}.py"
    path.write_text(text)
    control = f"{daemon.root}/run/maestro/control.sock"
    return [*(before or (PYTHON,)), str(path), control, frame(do, **fields).hex(), str(daemon.root)]


def told(daemon: Daemon, name: str = "answer") -> Any:
    """What an agent was answered: of a refusal, its code; else the whole."""
    path = daemon.root / name
    until(path.exists, what=f"{name} is there")
    said = msgspec.msgpack.decode(path.read_bytes())
    path.unlink()
    return said["error"]["code"] if "error" in said else said["done"]


def ended(daemon: Daemon, name: str) -> None:
    daemon.wait_state(name, "inactive", "failed")


# ------------------------------------------------------------------------------------------- what an agent may


def test_an_agent_restarts_nothing_and_changes_nothing_of_its_own(daemon: Daemon) -> None:
    """Though it runs as root."""
    named = [one.do for one in routes.ROUTES if one.least > Role.AGENT]
    asked = [frame(do, **fields_of(routes.BY_NAME[do].request, "me")).hex() for do in named]
    loop = HEAD + (
        "for at, one in enumerate(sys.argv[4:]):\n"
        "    sock = connected(); sock.sendall(bytes.fromhex(one)); answer(sock, f'a{at}')\n"
        "time.sleep(1000)\n"
    )
    daemon.unit("me", agent={"exec": [*script(daemon, loop, "hello"), *asked]})
    daemon.start()
    daemon.call("start", units=["me"])
    assert {do: told(daemon, f"a{at}") for at, do in enumerate(named)} == dict.fromkeys(named, "not-allowed")
    assert daemon.status("me")["fine"] == "running"


# ------------------------------------------------------------------------------------------- who it is


@pytest.fixture
def helper(daemon: Daemon) -> Iterator[Path]:
    """A program that belongs to root and has its set-user-id bit."""
    if os.statvfs(daemon.root).f_flag & os.ST_NOSUID:
        pytest.skip("the folder for tests is on a file system without set-user-id")
    path = daemon.root / "helper"
    shutil.copy(os.path.realpath(PYTHON), path)
    path.chmod(0o4755)
    yield path
    path.unlink()


def test_a_helper_that_becomes_root_is_still_the_agents(daemon: Daemon, helper: Path) -> None:
    show_uid = ASK + "tell('uid', str(os.geteuid()).encode())\n"
    shell = " ".join(script(daemon, show_uid, "stop", str(helper), units=["victim"]))
    daemon.unit("victim", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.unit("low", agent={"exec": ["/bin/sh", "-c", f"{shell}; exit 0"], "user": "nobody", **NO_POLICY})
    daemon.root.chmod(0o777)
    daemon.start()
    daemon.call("start", units=["victim", "low"])
    assert told(daemon) == "not-allowed"
    until((daemon.root / "uid").exists)
    assert (daemon.root / "uid").read_text() == "0"
    assert daemon.status("victim")["state"] == "active"


def test_one_that_leaves_its_control_group_is_known_by_its_family(daemon: Daemon) -> None:
    """Also one that has no parent of its own any more, leads a session of its own, and has another environment."""
    move = HEAD + (
        "for top in sys.argv[4:]:\n"
        "    open(f'{top}/cgroup.procs', 'w').write('0')\n"
        "tell('moved', b'')\n"
        "sock = connected(); sock.sendall(request); answer(sock)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    leader = os.getpid()\n"
        "    if os.fork() == 0:\n"
        "        null = os.open('/dev/null', 2); os.dup2(null, 1); os.dup2(null, 2)\n"
        "        while os.getppid() == leader: time.sleep(0.01)\n"
        "        os.execve('/usr/bin/env', ['env', '-i', sys.executable, *again], {})\n"
        "    os._exit(0)\n"
        "time.sleep(1000)\n"
    ).replace("*again", f"'{daemon.root}/ask.py', *sys.argv[1:4]")
    (daemon.root / "ask.py").write_text(ASK.replace('name="answer"', 'name="orphan"'))
    tops = [one.at for one in mounts(Path("/proc/self/mountinfo").read_text()) if _is_ours_to_enter(one.at)]
    daemon.unit("victim", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.unit("free", agent={"exec": [*script(daemon, move, "stop", units=["victim"]), *tops]})
    daemon.start()
    daemon.call("start", units=["victim", "free"])
    until((daemon.root / "moved").exists)
    assert told(daemon) == "not-allowed"
    groups = Path(f"/proc/{daemon.status('free')['pid']}/cgroup").read_text()
    assert "free.agent" not in groups, "it did leave"
    assert told(daemon, "orphan") == "not-allowed"
    assert daemon.status("victim")["state"] == "active"


def _is_ours_to_enter(top: str) -> bool:
    return os.access(f"{top}/cgroup.procs", os.W_OK)


def test_one_that_moves_into_the_group_of_another_is_nobody(daemon: Daemon) -> None:
    move = HEAD + (
        "wait('go')\n"
        "open(open(f'{folder}/go').read(), 'w').write('0')\n"
        "sock = connected(); sock.sendall(request); answer(sock)\n"
        "time.sleep(1000)\n"
    )
    daemon.unit("other", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.unit("thief", agent={"exec": script(daemon, move, "hello")})
    daemon.start()
    daemon.call("start", units=["other", "thief"])
    files = _group_files(daemon.status("other")["pid"])
    if not files:
        pytest.skip("no group of its own is seen here")
    (daemon.root / "new").write_text(files[0])
    (daemon.root / "new").rename(daemon.root / "go")
    answer = told(daemon)
    assert answer["role"] == "none"


def _group_files(pid: int) -> list[str]:
    """The lists of processes of the groups by which an agent is known."""
    told = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    found = []
    for mount in mounts(Path("/proc/self/mountinfo").read_text()):
        for line in told:
            _, names, path = line.split(":", 2)
            same = not names if mount.version == 2 else "freezer" in mount.controllers and "freezer" in names
            file = f"{directory(mount, path)}/cgroup.procs"
            if same and ".agent/" in path and os.path.exists(file):
                found.append(file)
    return found


# ------------------------------------------------------------------------------------------- numbers given again


class _Clone(ctypes.Structure):
    """struct clone_args."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls"),
            *("set_tid", "set_tid_size", "cgroup"),
        )
    ]


def born_as(pid: int) -> None:
    """A child of ours with this number, that sleeps."""
    wanted = ctypes.c_int(pid)
    given = _Clone(exit_signal=signal.SIGCHLD, set_tid=ctypes.addressof(wanted), set_tid_size=1)
    libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock: the child goes on with it
    born = libc.syscall(435, ctypes.byref(given), ctypes.sizeof(given))
    if born == 0:
        os.execv("/bin/sleep", ["sleep", "1000"])
    if born < 0 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
        pytest.skip("this host lets nobody choose the number of a process")
    assert born == pid, os.strerror(ctypes.get_errno())


def test_a_number_that_was_given_to_another_brings_no_rights(daemon: Daemon) -> None:
    """An agent asks and ends before it is heard; its number goes to a process of root's. Its connection lives on in its child."""
    ask = HEAD + (
        "wait('go')\n"
        "if (child := os.fork()) == 0:\n"
        "    sock = connected()\n"
        "    sock.sendall(request)\n"
        "    if os.fork() == 0:\n"
        "        answer(sock)\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "tell('gone', str(child).encode())\n"
        "time.sleep(1000)\n"
    )
    daemon.unit("victim", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.unit("evil", agent={"exec": script(daemon, ask, "stop", units=["victim"])})
    daemon.start()
    daemon.call("start", units=["victim", "evil"])
    manager = until(daemon.manager)
    os.kill(manager, signal.SIGSTOP)
    pid = 0
    try:
        (daemon.root / "go").touch()
        gone = daemon.root / "gone"
        until(gone.exists)
        pid = int(gone.read_text())
        born_as(pid)
        os.kill(manager, signal.SIGCONT)
        assert told(daemon) == "not-allowed"
    finally:
        os.kill(manager, signal.SIGCONT)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if pid and is_alive(pid):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    assert daemon.status("victim")["state"] == "active"


# ------------------------------------------------------------------------------------------- descriptors handed on


def test_a_connection_stays_that_of_who_made_it(daemon: Daemon) -> None:
    """So an operator must not hand one to an agent; and an agent that hands one on gives no more than it has."""
    swap = HEAD + (
        "own = connected()\n"
        "door = socket.socket(socket.AF_UNIX); door.bind(f'{folder}/door'); door.listen()\n"
        "tell('open', b'')\n"
        "peer, _ = door.accept()\n"
        "_, [given], _, _ = socket.recv_fds(peer, 1, 1)\n"
        "socket.send_fds(peer, [b'x'], [own.fileno()])\n"
        "sock = socket.socket(fileno=given); sock.sendall(request); answer(sock)\n"
        "time.sleep(1000)\n"
    )
    daemon.unit("other", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.unit("swap", agent={"exec": script(daemon, swap, "hello")})
    daemon.start()
    daemon.call("start", units=["other", "swap"])
    until((daemon.root / "open").exists)
    with socket.socket(socket.AF_UNIX) as mine, socket.socket(socket.AF_UNIX) as peer:
        mine.connect(str(daemon.root / "run/maestro/control.sock"))
        peer.connect(str(daemon.root / "door"))
        socket.send_fds(peer, [b"x"], [mine.fileno()])
        _, [theirs], _, _ = socket.recv_fds(peer, 1, 1)
        assert told(daemon)["role"] == "admin"
        with socket.socket(fileno=theirs) as sock:
            sock.sendall(frame("stop", units=["other"]))
            [size] = struct.unpack(">I", sock.recv(4, socket.MSG_WAITALL))
            said = msgspec.msgpack.decode(sock.recv(size, socket.MSG_WAITALL))
    assert said["error"]["code"] == "not-allowed"
    assert daemon.status("other")["state"] == "active"
