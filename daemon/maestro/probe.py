"""What a process can really see, touch and reach: run inside a sandbox by `maestroctl sandbox check`. Standard library only.

Its argument is what the same questions come to outside, as far as only a comparison tells; it prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import Callable

_TOUCHED = ("/etc", "/usr", "/var", "/home", "/root", "/tmp", "/proc/sys/kernel", "/sys", "/sys/fs/cgroup")
_SECRET = ("/etc/shadow", "/home", "/root", "/proc/kcore")
_NAMESPACES = ("user", "pid", "net", "ipc", "uts", "mnt", "cgroup")
_OUTSIDE = ("192.0.2.1", 9)  # an address that documentation is written with: no packet is sent
_STATUS = ("CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
_PATIENCE = 2.0  # seconds


def facts() -> dict[str, object]:
    """What can be compared with the same outside."""
    return {"namespaces": {kind: _namespace(kind) for kind in _NAMESPACES}, "tmp": _identity("/tmp")}


def look(outside: dict[str, object]) -> dict[str, object]:
    inside = facts()
    status = _status()
    theirs = outside.get("namespaces", {})
    assert isinstance(theirs, dict)
    mine = inside["namespaces"]
    assert isinstance(mine, dict)
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "pid": os.getpid(),
        "own_namespaces": [kind for kind in _NAMESPACES if mine[kind] and mine[kind] != theirs.get(kind)],
        "private_tmp": inside["tmp"] != outside.get("tmp"),
        "writable": [path for path in _TOUCHED if os.access(path, os.W_OK)],
        "readable": [path for path in _SECRET if _opens(path)],
        "devices": _devices(),
        "other_processes": _others(),
        "loopback": _works(_loopback),
        "outside": _works(_reach_outside),
        "control_socket": _works(_control),
        "effective_capabilities": int(status.get("CapEff", "0"), 16),
        "bounding_capabilities": int(status.get("CapBnd", "0"), 16),
        "ambient_capabilities": int(status.get("CapAmb", "0"), 16),
        "no_new_privileges": status.get("NoNewPrivs") == "1",
        "seccomp": {"0": "none", "1": "strict", "2": "filter"}.get(status.get("Seccomp", ""), "unknown"),
        "nested_sandboxes": _nests(),
    }


def _namespace(kind: str) -> int:
    try:
        return os.stat(f"/proc/self/ns/{kind}").st_ino
    except OSError:
        return 0


def _identity(path: str) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_dev, found.st_ino]


def _status() -> dict[str, str]:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        pairs = (line.split(":", 1) for line in file)
        return {name: value.strip() for name, value in pairs if name in _STATUS}


def _devices() -> list[str]:
    """Devices that are more than null, zero, random and terminals."""
    usual = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
    try:
        names = os.listdir("/dev")
    except OSError:
        return []
    return sorted(name for name in names if name not in usual and _is_device(f"/dev/{name}"))


def _is_device(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISBLK(mode) or stat.S_ISCHR(mode)


def _others() -> int:
    try:
        return sum(1 for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())
    except OSError:
        return 0


def _loopback() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        client.settimeout(_PATIENCE)
        client.connect(server.getsockname())


def _reach_outside() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_OUTSIDE)


def _control() -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_PATIENCE)
        client.connect(os.environ["MAESTRO_CONTROL"])


def _nests() -> bool:
    """Whether it may make a sandbox of its own, as bubblewrap does: in a child, for one's own would be changed."""
    import ctypes

    pid = os.fork()
    if pid == 0:
        os._exit(1 if ctypes.CDLL(None).unshare(0x10000000 | 0x00020000) else 0)
    return os.waitpid(pid, 0)[1] == 0


def _opens(path: str) -> bool:
    """Not by asking for access: the kernel's answer leaves out what only an attempt shows."""
    return _works(lambda: os.close(os.open(path, os.O_RDONLY)))


def _works(act: Callable[[], None]) -> bool:
    try:
        act()
    except (OSError, KeyError):
        return False
    return True


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"probe": look(json.loads(sys.argv[1]))}) + "\n")
