"""What an agent in strict tries on those beside it: to take what they share, to be taken for another, to read what others keep."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maestro.control.frames import encode
from maestro.drivers.abilities import probe
from tests.forked import answers
from tests.system.harness import Daemon, until
from tests.system.ordinary import NOBODY, become_ordinary

PYTHON = "/usr/bin/python3"  # ours may lie in a home, or in /tmp, which a sandbox hides
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users"),
    pytest.mark.skipif(not probe().mounts, reason="this host lets us make no mounts"),
]
STRICT = {"level": "strict", "protect_home": "no"}
KINDS = {"state": "var/lib", "cache": "var/cache", "logs": "var/log", "runtime": "run"}

HEAD = """
import ctypes, errno, os, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
root = sys.argv[1]
def kernel(result):
    if result < 0: raise OSError(ctypes.get_errno(), "")
    return result
def say(*words): os.write(1, (" ".join(map(str, words)) + "\\n").encode())
def wait(name):
    while not os.path.exists(f"{root}/{name}"): time.sleep(0.01)
def tried(name, act):
    try:
        say("escaped:", name, act())
    except OSError as error:
        say(name, errno.errorcode[error.errno])
"""


@pytest.fixture(params=["root", "nobody", "ordinary"])
def user(daemon: Daemon, request: pytest.FixtureRequest) -> dict[str, str]:
    """Who the agents are: root, another user, or that of an ordinary user's daemon. It has a view of the host of its own."""
    if request.param == "ordinary":
        become_ordinary(daemon)
    else:
        daemon.prefix = ("unshare", "--mount", "--uts", "--propagation", "private")
    return {"user": "nobody", "group": "nogroup"} if request.param == "nobody" else {}


def spy(daemon: Daemon, code: str, user: dict[str, str], *arguments: str, **sandbox: Any) -> None:
    text = (HEAD + code + "say('end')\ntime.sleep(1000)\n").replace("$", "$$").replace("%", "%%")
    command = [PYTHON, "-I", "-S", "-c", text, str(daemon.root), *arguments]
    daemon.unit(
        "spy", agent={"exec": command, "restart": {"policy": "no"}, **user}, sandbox={**STRICT, **sandbox}
    )
    daemon.start() if daemon.process is None else daemon.call("daemon-reload")
    assert not daemon.call("start", units=["spy"])["errors"]


def told(daemon: Daemon) -> list[str]:
    """What it says; all of it."""
    try:
        until(lambda: b"end\n" in daemon.log("spy"), what="the spy has tried it all")
    except pytest.fail.Exception:
        pytest.fail(f"{daemon.log('spy').decode()}\n{daemon.status('spy')['cause']}\n{where(daemon)}")
    return daemon.log("spy").decode().splitlines()[:-1]


def where(daemon: Daemon) -> str:
    """What the spy is at."""
    proc = f"/proc/{daemon.status('spy')['pid']}"
    looks = [Path(proc, name) for name in ("stat", "wchan", "syscall", "stack")]
    pipe, waits = os.open(f"{proc}/fd/1", os.O_RDONLY | os.O_NONBLOCK), bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, waits)
    os.close(pipe)
    words = [path.read_text() for path in looks if os.access(path, os.R_OK)]
    return "\n".join(
        [*words, f"{int.from_bytes(waits, sys.byteorder)} bytes in its pipe", daemon.said()[-2000:]]
    )


# ------------------------------------------------------------------------------------------------ inotify

INOTIFY = """
kept = []
def take():
    while True: kept.append(kernel(libc.inotify_init1(0)))
tried("instances", take)
say("has", len(kept))
most = int(open("/proc/sys/user/max_inotify_watches").read())
say("may watch", most)
tried("raise it", lambda: open("/proc/sys/user/max_inotify_instances", "w").write("1000000"))
os.close(kept.pop())
if libc.unshare(0x10000000) == 0:
    kept.append(kernel(libc.inotify_init1(0)))
    tried("instances, nested", take)
"""


def test_inotify_is_not_exhausted_for_others(daemon: Daemon, user: dict[str, str]) -> None:
    """The kernel counts by user; an agent has a fourth of what its user may have, however it nests namespaces."""
    most = int(Path("/proc/sys/user/max_inotify_instances").read_text())
    watches = int(Path("/proc/sys/user/max_inotify_watches").read_text())
    spy(daemon, INOTIFY, user)
    instances, has, may_watch, raised, nested = told(daemon)
    assert (instances, nested) == ("instances EMFILE", "instances, nested EMFILE")
    assert 0 < int(has.split()[1]) <= max(32, most // 4)
    assert 0 < int(may_watch.split()[2]) <= max(16384, watches // 4)
    assert raised in ("raise it EROFS", "raise it EACCES", "raise it EPERM")
    uid = NOBODY if user or "ordinary" in repr(daemon.prefix) or os.stat(daemon.root).st_uid else 0
    assert answers(lambda: None, *[_another] * 20, uid=uid) == ["allowed"] * 20, "its user has some left"


def _another() -> int:
    return os.inotify_init() if hasattr(os, "inotify_init") else _libc_inotify()


def _libc_inotify() -> int:
    import ctypes

    fd = ctypes.CDLL(None, use_errno=True).inotify_init1(0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "")
    return int(fd)


# ------------------------------------------------------------------------------------------------ the network

OUTSIDE = """
place = (sys.argv[2], int(sys.argv[3]))
tried("connects", lambda: socket.create_connection(place, 5).getpeername())
tried("sends", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", place))
if libc.unshare(0x10000000 | 0x40000000) == 0:
    tried("connects, nested", lambda: socket.create_connection(place, 5).getpeername())
"""
LISTENS = """
import socket, sys
server = socket.create_server(("10.99.0.2", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def apart(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process in a network of its own, that says a line when it is there, and ends with its input."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", 'echo up; read go; exec "$@"', "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process


def ip(process: subprocess.Popen[str], line: str) -> int:
    command = ["nsenter", f"--net=/proc/{process.pid}/ns/net", "ip", *line.split()]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode


def test_a_host_outside_is_not_reached(daemon: Daemon, user: dict[str, str]) -> None:
    """It is played by a network of its own, that the daemon's is joined to by a cable: an agent without a sandbox gets there."""
    if shutil.which("ip") is None:
        pytest.skip("ip is not there")
    with apart(PYTHON, "-c", LISTENS) as host, apart("cat") as ours:
        if ip(ours, f"link add here type veth peer name there netns {host.pid}"):
            pytest.skip("this host lets us lay no cable between networks")
        for process, end, number in ((ours, "here", 1), (host, "there", 2)):
            assert (
                ip(process, f"addr add 10.99.0.{number}/24 dev {end}")
                == ip(process, f"link set {end} up")
                == 0
            )
        assert host.stdin is not None
        assert host.stdout is not None
        host.stdin.write("go\n")
        host.stdin.flush()
        place = ("10.99.0.2", host.stdout.readline().strip())
        daemon.prefix = ("nsenter", f"--net=/proc/{ours.pid}/ns/net", *daemon.prefix)
        reaches = f"import socket; socket.create_connection(('{place[0]}', {place[1]}), 5)"
        daemon.unit("free", agent={"exec": [PYTHON, "-c", reaches], "type": "oneshot", **user})
        spy(daemon, OUTSIDE, user, *place)
        assert told(daemon)[:2] == ["connects ENETUNREACH", "sends ENETUNREACH"]
        assert not [line for line in told(daemon) if line.startswith("escaped")]
        assert [job["state"] for job in daemon.call("start", units=["free"])["jobs"]] == ["done"]
        assert daemon.stop() == 0


# ------------------------------------------------------------------------------------------------ the control socket

CONTROL = """
path, ask, hello = sys.argv[2], bytes.fromhex(sys.argv[3]), bytes.fromhex(sys.argv[4])
def answered(sock):
    size = int.from_bytes(sock.recv(4, socket.MSG_WAITALL), "big")
    return sock.recv(size, socket.MSG_WAITALL)
def role(name, sock, request):
    sock.sendall(request)
    body = answered(sock)
    say(name, "not-allowed" if b"not-allowed" in body else "agent" if b"agent" in body and request == hello else f"escaped {body}")
def connected():
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return sock
def forged(pid, uid, gid):
    sock = connected()
    sock.sendmsg([ask], [(socket.SOL_SOCKET, 2, struct.pack("3i", pid, uid, gid))])
    return answered(sock)
def inside(flags, name):
    if (child := os.fork()) == 0:
        try:
            if libc.unshare(flags) < 0: raise OSError(ctypes.get_errno(), "")
            if os.fork() == 0:
                role(name, connected(), ask)
                os._exit(0)
            os.wait()
        except OSError as error:
            say(name, errno.errorcode[error.errno])
        os._exit(0)
    os.waitpid(child, 0)
role("who it is", connected(), hello)
role("asks", connected(), ask)
tried("says that it is root", lambda: forged(os.getpid(), 12345, 12345))
tried("says that it is another process", lambda: forged(54321, os.getuid(), os.getgid()))
inside(0x10000000, "as root of a namespace")
inside(0x10000000 | 0x20000000, "as the first process of a namespace")
sock = connected()
ours, theirs = socket.socketpair()
if (child := os.fork()) == 0:
    [given] = socket.recv_fds(theirs, 1, 1)[1]
    os.setsid()
    role("with a connection that was handed on", socket.socket(fileno=given), ask)
    os._exit(0)
socket.send_fds(ours, [b"x"], [sock.fileno()])
os.waitpid(child, 0)
for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"):
    if os.path.exists(f"{top}/cgroup.procs"):
        tried(f"leaves its group", lambda: open(f"{top}/cgroup.procs", "w").write("0"))
if (child := os.fork()) == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        role("as an orphan", connected(), ask)
        say("end of orphan")
        time.sleep(1000)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_nobody_is_taken_for_another_at_the_control_socket(daemon: Daemon, user: dict[str, str]) -> None:
    daemon.unit("victim", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["victim"])
    asked = [encode({"v": 1, "id": do, "do": do, **more}).hex() for do, more in
             (("stop", {"units": ["victim"]}), ("hello", {}))]  # fmt: skip
    spy(daemon, CONTROL, user, f"{daemon.root}/run/maestro/control.sock", *asked)
    until(lambda: b"end of orphan" in daemon.log("spy"), what="its orphan has asked")
    said = dict(line.rpartition(" ")[::2] for line in told(daemon) + daemon.log("spy").decode().splitlines())
    assert said.pop("who it is") == "agent"
    assert said.pop("leaves its group", "EROFS") in ("EROFS", "EACCES", "EPERM")
    for forged in ("says that it is root", "says that it is another process"):
        assert said.pop(forged) in ("EPERM", "ESRCH", "EINVAL"), forged
    said.pop("end of", None), said.pop("", None)
    names = {"asks", "as root of a namespace", "as the first process of a namespace",
             "with a connection that was handed on", "as an orphan"}  # fmt: skip
    assert said == dict.fromkeys(names, "not-allowed")
    assert daemon.status("victim")["state"] == "active"


# ------------------------------------------------------------------------------------------------ directories

READ = """
wait("go")
for place in sys.argv[2:]:
    tried(place, lambda: os.listdir(place))
    tried(place, lambda: open(f"{place}/secret").read())
if libc.unshare(0x10000000 | 0x20000) == 0:
    for place in sys.argv[2:]:
        libc.umount2(os.path.dirname(place).encode(), 2)
        tried(place, lambda: open(f"{place}/secret").read())
"""


@pytest.mark.parametrize("other", ["of the same user", "of a user of its own"])
def test_what_another_keeps_is_not_read(daemon: Daemon, user: dict[str, str], other: str) -> None:
    """Also where its directories were made after the spy began."""
    if os.stat(daemon.root).st_uid == NOBODY:
        pytest.skip("only root's daemon keeps the directories of its agents apart")
    directories = {f"{kind}_directory": "other" for kind in KINDS}
    names = " ".join(f"${kind.upper()}_DIRECTORY/secret" for kind in KINDS).replace("$", "$$")
    keep = [
        "/bin/sh",
        "-c",
        f"for one in {names}; do echo told >$$one || exit 1; done; echo kept; exec sleep 1000",
    ]
    own = {"dynamic_user": True} if other == "of a user of its own" else user
    daemon.unit("other", agent={"exec": keep, **directories, **own}, sandbox={"level": "strict"})
    places = [f"{daemon.root}/{base}{way}/other" for base in KINDS.values() for way in ("", "/private")]
    spy(daemon, READ, user, *places)
    daemon.call("start", units=["other"])
    until(lambda: b"kept" in daemon.log("other"), what="the other keeps something")
    assert all(Path(place, "secret").read_text() == "told\n" for place in places)
    (daemon.root / "go").touch()
    said = told(daemon)
    assert len(said) >= 2 * len(places)
    assert [line for line in said if line.startswith("escaped")] == []
    assert {line.split()[-1] for line in said} <= {"ENOENT", "EACCES", "EPERM"}


def test_its_own_directories_are_kept_and_written(daemon: Daemon, user: dict[str, str]) -> None:
    """Over restarts, and over a change of level to and fro."""
    directories = {f"{kind}_directory": "mine" for kind in KINDS}
    code = "for one in {}; do echo x >>$one/file && wc -l <$one/file; done; echo end".format(
        " ".join(f"${kind.upper()}_DIRECTORY" for kind in KINDS if kind != "runtime")
    )
    agent = {"exec": ["/bin/sh", "-c", code.replace("$", "$$")], "type": "oneshot", **directories, **user}
    for count, level in enumerate(("none", "strict", "strict", "none"), 1):
        daemon.unit("mine", agent=agent, sandbox={"level": level})
        daemon.start() if daemon.process is None else daemon.call("daemon-reload")
        answer = daemon.call("restart", units=["mine"])
        assert [job["state"] for job in answer["jobs"]] == ["done"], daemon.said()
        until(lambda c=count: daemon.log("mine").count(b"end") == c)  # type: ignore[misc]
        assert daemon.log("mine").decode().split()[-4:] == [*[str(count)] * 3, "end"], level


# ------------------------------------------------------------------------------------------------ another root


def test_strict_in_a_root_of_its_own(daemon: Daemon, user: dict[str, str]) -> None:
    """The kernel makes no namespace of users for those who have changed their root: so that comes first."""
    if os.stat(daemon.root).st_uid == NOBODY:
        pytest.skip("only root changes its root")
    top = daemon.root / "top"
    for name in ("usr", "proc", "tmp", "dev", "etc", "run"):
        (top / name).mkdir(parents=True)
        (top / name).chmod(0o755)
    top.chmod(0o755)
    for name in ("bin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            (top / name).symlink_to(os.readlink(f"/{name}"))
    code = (
        "ls -d /usr /root /var 2>/dev/null; grep -c . /proc/self/uid_map || ls -la /proc /proc/self; echo end"
    )
    agent = {"exec": ["/bin/sh", "-c", code], "type": "oneshot", "root_directory": str(top), **user}
    daemon.unit("a", agent=agent, sandbox={"level": "strict", "bind_read_only_paths": ["/usr"]})
    daemon.start()
    answer = daemon.call("start", units=["a"])
    assert [job["state"] for job in answer["jobs"]] == ["done"], daemon.status("a")["cause"]
    until(lambda: b"end" in daemon.log("a"))
    assert daemon.log("a").decode().split() == ["/usr", "1", "end"]
