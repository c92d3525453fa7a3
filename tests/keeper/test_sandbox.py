"""The steps of a child that is confined: what it finds inside, and how it tells that it cannot."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers.abilities import probe
from maestro.keeper import capabilities
from tests.forked import answers
from tests.keeper.rig import Manager, Rig, is_alive, until

NEWNS, NEWUTS, NEWIPC = 0x00020000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
PROC = ("proc", "/proc", "", 14, 0)

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 or not probe().mounts, reason="takes root, and mounts"),
]


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """A keeper that has a view of the host of its own: what a child does outside of its sandbox must do no harm."""
    rig.prefix = ("unshare", "--mount", "--uts", "--propagation", "private")
    return rig


def inside(manager: Manager, code: str, sandbox: dict[str, Any], **recipe: Any) -> list[str]:
    """What a shell says there."""
    words = ("/bin/sh", "-c", f"{code}; echo end")
    manager.spawn("a#1", *words, stream="a", sandbox=sandbox, **recipe)
    manager.news("stream", "a")
    text = b""
    while not text.endswith(b"end\n"):
        text += manager.read("a")
    assert manager.news("ended", "a#1")[2] == 0
    manager.order("acknowledge", "a#1")
    return text.decode().splitlines()[:-1]


def begin(rig: Rig) -> Manager:
    manager = rig.start()
    manager.hello()
    return manager


def test_it_is_the_first_of_its_processes(rig: Rig) -> None:
    sandbox = {"namespaces": {"clone": NEWPID, "unshare": NEWNS}, "mounts": (PROC,)}
    code = "echo $$; ls /proc | grep -c '^[0-9]'; cut -d ' ' -f 4 /proc/self/stat"
    pid, count, parent = inside(begin(rig), code, sandbox)
    assert (pid, parent) == ("1", "1")
    assert int(count) < 6


def test_a_hundred_of_them_are_told_of_truly(rig: Rig) -> None:
    manager = begin(rig)
    for number in range(100):
        manager.spawn(
            f"a#{number}", "/bin/sh", "-c", f"exit {number}", sandbox={"namespaces": {"clone": NEWPID}}
        )
    ends = [manager.news("ended", f"a#{number}")[2] for number in range(100)]
    assert ends == list(range(100))


def test_it_is_untied_from_the_keeper_once_it_runs(rig: Rig) -> None:
    manager = begin(rig)
    manager.spawn("a#1", "/bin/sleep", "1000", sandbox={"namespaces": {"clone": NEWPID}})
    pid = manager.news("spawned", "a#1")[2]
    rig.kill()
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid), "it ends")


def test_no_descriptor_is_left_open_in_it(rig: Rig, tmp_path: Path) -> None:
    mounts = (
        ("own", f"{tmp_path}/common/a/tmp", "/tmp", 6, 0),
        ("dev", "/dev", 0),
        ("hide", "/etc/passwd", 0),
        ("tree", "/usr", "/usr", 1, 0),
    )
    sandbox = {"namespaces": {"unshare": NEWNS | NEWNET, "loopback": True}, "mounts": mounts}
    lines = inside(begin(rig), "ls /proc/self/fd; umask; ls /dev/pts/ptmx", sandbox, umask=0o027)
    assert lines == ["0", "1", "2", "3", "0027", "/dev/pts/ptmx"]  # 3 is the directory that ls reads
    assert (tmp_path / "common/a").stat().st_mode & 0o7777 == 0o700
    assert (tmp_path / "common/a/tmp").stat().st_mode & 0o7777 == 0o1777


def test_what_is_hidden_cannot_be_opened(rig: Rig) -> None:
    mounts = (("hide", "/etc/passwd", 0), ("hide", "/srv", 0), ("hide", "/no/such", 1))
    sandbox = {"namespaces": {"unshare": NEWNS}, "mounts": mounts, "capabilities": {"bounding": ()}}
    code = "cat /etc/passwd 2>/dev/null || echo no; ls /srv 2>/dev/null || echo no; echo x >/srv/x || echo no"
    assert [one for one in inside(begin(rig), code, sandbox) if one == "no"] == ["no"] * 3


def test_what_is_read_only_on_the_host_stays_so(rig: Rig, tmp_path: Path) -> None:
    """An entry that lets write shows what was there before, and lifts nothing."""
    (tmp_path / "ro").mkdir()
    below = str(tmp_path / "ro")
    mounts = (
        ("tmpfs", below, "", 1, 0),
        ("set", "/", 1),
        ("tree", below, below, 0, 2),
    )
    sandbox = {"namespaces": {"unshare": NEWNS}, "mounts": mounts}
    code = f"touch {below}/x 2>/dev/null || echo refused"
    assert inside(begin(rig), code, sandbox) == ["refused"]


@pytest.mark.parametrize(
    ("mounts", "writable"),
    [
        ((("dev", "/dev", 0),), ["/dev/shm", "/dev/pts"]),
        ((("dev", "/dev", 1),), []),
        ((("dev", "/dev", 1), ("tree", "/dev/shm", "/dev/shm", 0, 2)), ["/dev/shm"]),
    ],
)
def test_read_only_devices_are_so_with_what_is_mounted_among_them(
    rig: Rig, mounts: tuple[Any, ...], writable: list[str]
) -> None:
    """But for what is named below them."""
    code = "for one in /dev /dev/shm /dev/pts; do test -w $one && echo $one; done; echo x >/dev/null && echo fine"
    sandbox = {"namespaces": {"unshare": NEWNS}, "mounts": mounts}
    assert inside(begin(rig), code, sandbox) == [*writable, "fine"]


def test_a_view_of_its_own_without_mounts_is_untied_from_the_host(rig: Rig, tmp_path: Path) -> None:
    sandbox = {"namespaces": {"unshare": NEWNS}, "propagation": "slave"}
    manager = begin(rig)
    looks = "; ".join(f"grep -c {tmp_path} /proc/{pid}/mountinfo" for pid in ("self", rig.pid))
    code = f"mount -t tmpfs none {tmp_path} && {{ {looks}; umount {tmp_path}; }}"
    assert inside(manager, code, sandbox) == ["1", "0"]


def test_a_mount_that_fails_is_named(rig: Rig) -> None:
    manager = begin(rig)
    for place, (mount, words, number) in enumerate(
        [
            (("tree", "/no/such", "/mnt", 0, 0), "show /no/such at /mnt", errno.ENOENT),
            (("hide", "/no/such", 0), "hide /no/such", errno.ENOENT),
            (("tmpfs", "/mnt", "size=nonsense", 0, 0), "have an empty file system at /mnt", errno.EINVAL),
        ]
    ):
        sandbox = {"namespaces": {"unshare": NEWNS}, "mounts": (mount,)}
        manager.spawn(f"a#{place}", "/bin/true", sandbox=sandbox)
        assert manager.news("cannot_spawn", f"a#{place}")[2:] == (words, number)


def test_namespaces_that_cannot_be_made_are_named(rig: Rig) -> None:
    manager = begin(rig)
    for place, spaces in enumerate([{"clone": NEWNS | 0x200}, {"unshare": 1}]):
        manager.spawn(f"a#{place}", "/bin/true", sandbox={"namespaces": spaces})
        assert manager.news("cannot_spawn", f"a#{place}")[2] == "make namespaces of its own"


def test_the_host_sees_nothing_of_it(rig: Rig, tmp_path: Path) -> None:
    manager = begin(rig)
    seen = Path(f"/proc/{rig.pid}/mountinfo")
    before = seen.read_text()
    sandbox = {
        "namespaces": {"unshare": NEWNS | NEWUTS | NEWIPC},
        "mounts": (("tmpfs", str(tmp_path), "", 0, 0),),
    }
    inside(manager, f"touch {tmp_path}/x", sandbox)
    assert not (tmp_path / "x").exists()
    assert seen.read_text() == before
    assert Path("/dev/null").stat().st_mode & 0o777 == 0o666


def test_a_user_namespace_without_privileges(rig: Rig) -> None:
    """As under an ordinary user's daemon, whose user is 0 here."""
    spaces = {"clone": NEWUSER | NEWPID, "unshare": NEWNS, "map": (0, 0)}
    sandbox = {
        "namespaces": spaces,
        "mounts": (PROC,),
        "capabilities": {"bounding": ()},
        "no_new_privileges": True,
    }
    code = "cat /proc/self/setgroups; tr -s ' ' </proc/self/uid_map; grep CapEff /proc/self/status | cut -f 2"
    assert inside(begin(rig), code, sandbox) == ["deny", " 0 0 1", "0" * 16]


def gateway(manager: Manager, agent: str, *ports: int) -> socket.socket:
    """A service of these ports that leaves all to us: the socket by which it is told of listeners."""
    code = (
        "import os, socket, sys; to = socket.socket(socket.AF_UNIX); to.connect(sys.argv[1]);"
        "socket.send_fds(to, [os.environ['LISTEN_FDNAMES'].encode()], [3]); to.recv(1)"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(f"{folder}/s", family=socket.AF_UNIX) as door,
    ):
        manager.spawn(agent, sys.executable, "-c", code, f"{folder}/s", gateways=ports)
        talk, _ = door.accept()
        names, fds, _, _ = socket.recv_fds(talk, 100, 1)
    assert names == b"gateways"
    manager.news("spawned", agent)
    SERVICES.append(talk)  # it ends when we let go of that
    found = socket.socket(fileno=fds[0])
    found.settimeout(20)
    return found


SERVICES: list[socket.socket] = []


def heard(service: socket.socket) -> tuple[str, int]:
    text, fds, _, _ = socket.recv_fds(service, 100, 1)
    return text.decode(), fds[0] if fds else -1


def test_who_listens_in_its_network_is_told_to_services(rig: Rig) -> None:
    spaces = {"unshare": NEWNET, "loopback": True, "listeners": (("127.0.0.1", 4000), ("::1", 4000))}
    manager = begin(rig)
    with gateway(manager, "g#1", 80, 4000) as service, gateway(manager, "h#1", 4001) as other:
        manager.spawn("a#1", "/bin/sleep", "1000", sandbox={"namespaces": spaces}, notify_fd=5)
        pid = manager.news("spawned", "a#1")[2]
        text, fd = heard(service)
        assert text == "listen a#1 127.0.0.1:4000\n"
        with socket.socket(fileno=fd) as listener, in_network_of(pid) as client:
            client.connect(("127.0.0.1", 4000))
            listener.accept()[0].close()
        text, fd = heard(service)
        assert text == "listen a#1 [::1]:4000\n"
        os.close(fd)
        manager.order("reexec")
        manager.kill()
        second = rig.manager()
        second.hello()
        assert not second.fds  # the manager is no service
        second.order("send", "a#1", signal.SIGKILL, True)
        second.news("ended", "a#1")
        second.order("acknowledge", "a#1")
        assert heard(service) == ("closed a#1 127.0.0.1:4000\n", -1)
        assert heard(service) == ("closed a#1 [::1]:4000\n", -1)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1)
    while SERVICES:
        SERVICES.pop().close()
    assert second.news("ended", "g#1")[2] == 0


@contextlib.contextmanager
def in_network_of(pid: int) -> Iterator[socket.socket]:
    """A socket that is in the network of that process."""
    libc, found = ctypes.CDLL(None, use_errno=True), []

    def make() -> None:
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        assert libc.setns(fd, NEWNET) == 0
        os.close(fd)
        found.append(socket.socket())

    thread = threading.Thread(target=make)  # a network is a thread's, and this one ends
    thread.start()
    thread.join()
    with found[0] as client:
        yield client


def test_who_may_not_bound_capabilities_is_told_so() -> None:
    def bound() -> None:
        capabilities.bound(())

    assert answers(lambda: None, bound, uid=65534) == ["EPERM"]
    assert answers(lambda: None, bound, bound) == ["allowed", "allowed"]
