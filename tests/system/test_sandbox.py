"""What the kernel refuses to an agent in a sandbox, under a daemon of root's and under an ordinary user's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers.abilities import probe
from maestro.drivers.seccomp import Seccomp
from tests.system.harness import Daemon, children, descriptors, is_alive, until
from tests.system.ordinary import NOBODY, become_ordinary

PYTHON = "/usr/bin/python3"  # ours may lie in a home, or in /tmp, which a sandbox hides
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not probe().mounts, reason="this host lets us make no mounts"),
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
READY = (
    "import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
    "s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET']); time.sleep(1000)"
)


@pytest.fixture(params=["root", "ordinary"])
def anyones(daemon: Daemon, request: pytest.FixtureRequest) -> Daemon:
    if request.param == "ordinary":
        if os.geteuid() != 0:
            pytest.skip("is what the other one is already")
        become_ordinary(daemon)
    elif os.geteuid() != 0:
        pytest.skip("not root")
    return daemon


def said(daemon: Daemon, code: str, agent: dict[str, Any] | None = None, **sandbox: Any) -> list[str]:
    """What a shell in such a sandbox says."""
    shell = {
        "exec": ["/bin/sh", "-c", f"{code}; echo end".replace("$", "$$").replace("%", "%%")],
        "type": "oneshot",
        **(agent or {}),
    }
    daemon.unit("a", agent=shell, sandbox=sandbox)
    if daemon.process is None:
        daemon.start()
    else:
        daemon.call("daemon-reload")
    answer = daemon.call("restart", units=["a"])
    assert [job["state"] for job in answer["jobs"]] == ["done"], (answer, daemon.log("a"))
    lines: list[str] = until(
        lambda: (found := daemon.log("a").decode().splitlines())[-1:] == ["end"] and found
    )
    return lines[:-1]


def checked(daemon: Daemon, **sandbox: Any) -> dict[str, Any]:
    daemon.unit("a", agent={"exec": ["sleep", "1000"]}, sandbox=sandbox)
    daemon.start()
    told = daemon.ctl("-o", "json", "sandbox", "check", "a")
    assert told.returncode == 0, told.stdout + told.stderr + daemon.said()
    view: dict[str, Any] = json.loads(told.stdout)["units"][0]
    return view


def test_strict_is_what_it_says(anyones: Daemon) -> None:
    view = checked(anyones, level="strict")
    assert {"pid", "net", "ipc", "uts", "mnt"} <= set(view["own_namespaces"])
    assert (view["pid"], view["other_processes"]) == (1, 0)
    assert (view["private_tmp"], view["writable"], view["readable"]) == (True, ["/tmp"], [])
    assert view["devices"] == []
    assert (view["loopback"], view["outside"], view["control_socket"]) == (True, False, True)
    kinds = ("effective", "bounding", "ambient")
    assert [view[f"{kind}_capabilities"] for kind in kinds] == [0, 0, 0]
    assert (view["no_new_privileges"], view["nested_sandboxes"]) == (True, True)
    assert view["tiers"][0].startswith("namespaces (")


def test_baseline_is_what_it_says(anyones: Daemon) -> None:
    view = checked(anyones, level="baseline")
    assert "mnt" in view["own_namespaces"]
    assert not {"pid", "net"} & set(view["own_namespaces"])
    assert view["private_tmp"]
    assert "/tmp" in view["writable"]
    assert "/proc/sys/kernel" not in view["writable"]
    assert view["other_processes"] > 1
    assert view["no_new_privileges"]


def test_an_agent_in_strict_tells_that_it_is_ready(anyones: Daemon) -> None:
    agent = {"exec": [PYTHON, "-I", "-S", "-c", READY], "type": "notify"}
    anyones.unit("a", agent=agent, sandbox={"level": "strict", "protect_home": "no"})
    anyones.start()
    assert anyones.call("start", units=["a"])["jobs"][0]["state"] == "done"
    [main] = anyones.status("a")["processes"]
    assert "nobody" not in anyones.ctl("status", "a").stdout
    assert "Confined: namespaces (" in anyones.ctl("status", "a").stdout
    assert is_alive(main["pid"])
    assert anyones.call("stop", units=["a"])["jobs"][0]["state"] == "done"


def test_who_is_first_and_does_not_listen_is_ended_by_term(anyones: Daemon) -> None:
    anyones.unit("a", agent={"exec": ["sleep", "1000"]}, sandbox={"private_pids": True})
    anyones.start()
    anyones.call("start", units=["a"])
    assert anyones.call("stop", units=["a"])["jobs"][0]["state"] == "done"
    assert "s: SIGKILL sent" not in anyones.said()


def test_who_is_first_and_listens_hears_term(anyones: Daemon, folder: Path) -> None:
    code = "trap 'echo heard; exit 0' TERM; echo up; while :; do sleep 0.01; done"
    anyones.unit("a", agent={"exec": ["/bin/sh", "-c", code]}, sandbox={"private_pids": True})
    anyones.start()
    anyones.call("start", units=["a"])
    until(lambda: b"up" in anyones.log("a"))
    anyones.call("stop", units=["a"])
    until(lambda: b"heard" in anyones.log("a"))


def test_nothing_outlives_the_first_process(anyones: Daemon) -> None:
    anyones.unit(
        "a",
        agent={"exec": ["/bin/sh", "-c", "setsid sleep 1000 & sleep 1001"]},
        sandbox={"private_pids": True},
    )
    anyones.start()
    anyones.call("start", units=["a"])
    main = anyones.status("a")["pid"]
    both: list[int] = until(lambda: len(found := children(main)) == 2 and found)
    os.kill(main, signal.SIGKILL)
    until(lambda: not any(map(is_alive, both)), what="they end with it")


def test_private_files_are_shared_by_commands_and_gone_afterwards(anyones: Daemon, folder: Path) -> None:
    name = f"from-{folder.name}"
    agent = {"exec_start_pre": [["/bin/touch", f"/tmp/{name}"]], "type": "exec"}
    code = f"ls /tmp/{name}; echo x >/var/tmp/{name} && echo wrote; exec sleep 1000"
    anyones.unit("a", agent={"exec": ["/bin/sh", "-c", code], **agent}, sandbox={"private_tmp": True})
    anyones.start()
    assert anyones.call("start", units=["a"])["jobs"][0]["state"] == "done", anyones.said()
    until(lambda: anyones.log("a").decode().splitlines() == [f"/tmp/{name}", "wrote"])
    assert not Path(f"/tmp/{name}").exists()
    private = anyones.root / "var/lib/maestro/private"
    assert (private / f"a/var-tmp/{name}").exists()
    anyones.call("stop", units=["a"])
    until(lambda: not list(private.iterdir()), what="the files are gone")


def test_longer_paths_count(anyones: Daemon, folder: Path) -> None:
    for name in ("ro/rw/ro", "hidden", "there", "empty/again"):
        (folder / "places" / name).mkdir(parents=True)
    (folder / "places/there/file").write_text("seen\n")
    (folder / "places/hidden/file").write_text("secret\n")
    (folder / "places/empty/file").touch()
    for path in (folder / "places").rglob("*"):
        path.chmod(0o777)
    at = f"{folder}/places"
    code = (
        f"cd {at}; for one in ro ro/rw ro/rw/ro empty; do touch $one/x 2>/dev/null && echo wrote $one; done;"
        "cat hidden/file 2>/dev/null || echo hidden; ls empty"
    )
    lines = said(
        anyones,
        code,
        read_only_paths=[f"{at}/ro", f"{at}/ro/rw/ro", "-/no/such/path"],
        read_write_paths=[f"{at}/ro/rw", f"{at}/empty/again"],
        inaccessible_paths=[f"{at}/hidden", "-/no/such/path/either"],
        temporary_file_system=[f"{at}/empty:size=1M,mode=0777"],
    )
    assert lines == ["wrote ro/rw", "wrote empty", "hidden", "again", "x"]


def test_bound_paths(anyones: Daemon, folder: Path) -> None:
    for name in ("from", "to", "to-read"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    (folder / "from/file").write_text("seen\n")
    code = f"cd {folder}; cat to/file to-read/file; touch to/x && echo wrote; touch to-read/y || echo refused"
    lines = said(
        anyones,
        code,
        bind_paths=[f"{folder}/from:{folder}/to"],
        bind_read_only_paths=[f"{folder}/from:{folder}/to-read", "-/no/such/path:/nowhere"],
    )
    assert [line for line in lines if ":" not in line] == ["seen", "seen", "wrote", "refused"]


def test_where_nothing_may_be_executed(anyones: Daemon, folder: Path) -> None:
    for name in ("bad", "good"):
        (folder / name).mkdir()
        (folder / name).chmod(0o755)
        script = folder / name / "script"
        script.write_text("#!/bin/sh\necho ran\n")
        script.chmod(0o755)
    code = f"{folder}/good/script; {folder}/bad/script 2>/dev/null || echo refused"
    assert said(anyones, code, no_exec_paths=[str(folder)], exec_paths=[f"{folder}/good"]) == [
        "ran",
        "refused",
    ]


def test_a_mount_that_cannot_be_laid_is_named(anyones: Daemon) -> None:
    anyones.unit("a", agent={"exec": ["true"]}, sandbox={"read_only_paths": ["/no/such/path"]})
    anyones.start()
    anyones.call("start", units=["a"])
    cause = anyones.status("a")["cause"]
    assert "cannot have a protected view at /no/such/path: no such file or directory" in cause


@as_root
def test_a_user_with_one_capability(daemon: Daemon) -> None:
    code = "grep -E '^Cap(Eff|Bnd|Amb)' /proc/self/status | cut -f 2"
    bounds = {"capability_bounding_set": ["CAP_NET_BIND_SERVICE", "CAP_CHOWN"]}
    ambient = {"ambient_capabilities": ["CAP_NET_BIND_SERVICE"]}
    lines = said(daemon, code, {"user": str(NOBODY), "group": str(NOBODY)}, **bounds, **ambient)
    assert [int(line, 16) for line in lines] == [1 << 10, 1 << 10 | 1, 1 << 10]


@as_root
def test_no_other_users(daemon: Daemon) -> None:
    code = "cat /proc/self/uid_map | tr -s ' '; stat -c %u /etc; grep CapEff /proc/self/status | cut -f 2"
    lines = said(daemon, code, {"user": "1", "group": "1"}, private_users=True)
    assert lines == [" 1 1 1", "65534", "0" * 16]


def test_a_keeper_that_is_killed_finds_it_again(anyones: Daemon) -> None:
    agent = {"exec": ["sleep", "1000"], "stop": {"sequence": ["KILL"]}}
    anyones.unit("a", agent=agent, sandbox={"level": "strict"}, install={"wanted_by": ["default.target"]})
    anyones.start()
    anyones.call("start", units=["a"])
    main = anyones.status("a")["pid"]
    anyones.kill_keeper()
    anyones.start()
    assert anyones.wait_state("a", "active")["pid"] == main
    anyones.call("stop", units=["a"])
    until(lambda: not is_alive(main))


def test_commands_around_it_reach_it(anyones: Daemon) -> None:
    stop = ["/bin/sh", "-c", "kill -USR1 $MAINPID; while kill -0 $MAINPID 2>/dev/null; do sleep 0.01; done"]
    code = "trap 'echo asked; exit 0' USR1; echo up; while :; do sleep 0.01; done"
    anyones.unit(
        "a",
        agent={"exec": ["/bin/sh", "-c", code], "exec_stop": [stop]},
        sandbox={"level": "strict"},
    )
    anyones.start()
    anyones.call("start", units=["a"])
    until(lambda: b"up" in anyones.log("a"))
    anyones.call("stop", units=["a"])
    until(lambda: b"asked" in anyones.log("a"))


ESCAPES = r"""
import ctypes, os, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
control = os.environ["MAESTRO_CONTROL"]
outer, root = int(sys.argv[1]), sys.argv[2]
def kernel(result):
    if result < 0: raise OSError(ctypes.get_errno(), "")
def write(path): os.close(os.open(path, os.O_WRONLY))
def make(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)
def make_directory(path):
    os.mkdir(path)
    os.rmdir(path)
def make_device(path):
    os.mknod(path, 0o20666, os.makedev(1, 1))
    os.unlink(path)
def set_clock(): time.clock_settime(time.CLOCK_REALTIME, time.time())
def mount(kind): kernel(libc.mount(b"none", b"/mnt", kind, 0, None))
REMOUNT_RW, BIND = 32, 4096
program = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"))  # returns 0
licence = ctypes.create_string_buffer(b"GPL")
filters = struct.pack("IIQQ", 1, 2, ctypes.addressof(program), ctypes.addressof(licence))  # one of sockets, of two instructions
def load_bpf():  # such as root can: whoever asks for nonsense is refused by nobody but the kernel's taste
    number = {"aarch64": 280}.get(os.uname().machine, 321)
    kernel(libc.syscall(number, 5, ctypes.create_string_buffer(filters, 128), 128))
attempts = {
    "write /etc": lambda: make("/etc/escaped"),
    "write /sys/fs/cgroup": lambda: make_directory("/sys/fs/cgroup/escaped"),
    "write /proc/sys": lambda: write("/proc/sys/kernel/hostname"),
    "write where maestro keeps its state": lambda: make(f"{root}/var/lib/maestro/escaped"),
    "read the state": lambda: os.listdir(f"{root}/var/lib/maestro"),
    "read the logs": lambda: os.listdir(f"{root}/var/log/maestro"),
    "read the units": lambda: os.listdir(f"{root}/etc/maestro/units"),
    "read shadow": lambda: open("/etc/shadow").read(),
    "signal others": lambda: os.kill(outer, 0),
    "trace others": lambda: kernel(libc.ptrace(0x4206, outer, 0, 0)),  # PTRACE_SEIZE: stops nobody
    "mount": lambda: mount(b"tmpfs"),
    "remount": lambda: kernel(libc.mount(None, b"/", None, REMOUNT_RW | BIND, None)),
    "unmount": lambda: kernel(libc.umount2(b"/proc/kcore", 2)),
    "make a device": lambda: make_device("/tmp/escaped"),
    "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "bpf": load_bpf,
    "become another": lambda: os.setuid(12345),
    "chroot": lambda: os.chroot("/tmp"),
    "host network": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])), 2),
    "hostname": lambda: socket.sethostname("escaped"),
    "clock": set_clock,
}
def tried(names, inside=""):
    for name in names:
        try:
            attempts[name]()
        except OSError:
            continue
        print("escaped:", inside, name)
tried(attempts)
if libc.unshare(0x10000000 | 0x00020000) == 0:  # root of a namespace of its own has no more of the host
    tried([one for one in attempts if one not in ("mount", "chroot")], "nested")
print("end")
"""


def test_nobody_escapes_from_strict(anyones: Daemon) -> None:
    """The daemon has a view of the host of its own: who does escape must do no harm."""
    if os.geteuid() == 0:
        apart = ("unshare", "--mount", "--uts", "--propagation", "private")
        anyones.prefix = (*apart, *anyones.prefix)
    with socket.create_server(("127.0.0.1", 0)) as server:
        places = [str(os.getpid()), str(anyones.root), str(server.getsockname()[1])]
        code = ESCAPES.replace("$", "$$").replace("%", "%%")
        agent = {"exec": [PYTHON, "-I", "-S", "-c", code, *places], "type": "oneshot"}
        anyones.unit("a", agent=agent, sandbox={"level": "strict", "protect_home": "no"})
        anyones.start()
        anyones.call("start", units=["a"])
        until(lambda: b"end" in anyones.log("a"))
    assert anyones.log("a").decode().splitlines() == ["end"]


@as_root
def test_an_interpreter_that_is_hidden_is_said_to_be(daemon: Daemon) -> None:
    home = daemon.root / "home"
    (home / "bin").mkdir(parents=True)
    shutil.copy(str(shutil.which("true")), home / "bin/program")
    (daemon.root / "started").symlink_to(home / "bin/program")
    agent = {"exec": [str(daemon.root / "started")], "type": "oneshot", "restart": {"policy": "no"}}
    sandbox = {"level": "strict", "inaccessible_paths": [str(home)]}
    daemon.unit("a", agent=agent, sandbox=sandbox)
    daemon.start()
    (job,) = daemon.call("start", units=["a"])["jobs"]
    assert job["words"] == (
        f"cannot execute {daemon.root}/started: no such file or directory (it needs {home}/bin/program, "
        f"hidden by sandbox.inaccessible_paths: write sandbox.read_only_paths: [{home}])"
    )
    daemon.unit(
        "a",
        agent=agent,
        sandbox={**sandbox, "inaccessible_paths": [str(home)], "read_only_paths": [f"{home}/bin"]},
    )
    daemon.call("daemon-reload")
    (job,) = daemon.call("start", units=["a"])["jobs"]
    assert job["state"] == "done", job


@pytest.mark.skipif(bool(Seccomp().missing()), reason=Seccomp().missing())
@pytest.mark.parametrize("refused", ["~write writev pwrite64 sendmsg sendto", "~write:EPERM"])
def test_a_program_that_is_not_there_is_told_though_nothing_may_be_written(
    daemon: Daemon, refused: str
) -> None:
    agent = {"exec": ["/nowhere/agent"], "restart": {"policy": "no"}}
    daemon.unit("a", agent=agent, sandbox={"system_call_filter": [refused]})
    daemon.unit(
        "b", agent={**agent, "exec": ["/bin/sleep", "1000"]}, sandbox={"system_call_filter": [refused]}
    )
    daemon.start()
    jobs = {job["unit"]: job for job in daemon.call("start", units=["a", "b"])["jobs"]}
    assert jobs["a"]["words"] == "cannot execute /nowhere/agent: no such file or directory"
    assert jobs["b"]["state"] == "done"
    assert daemon.status("a")["fine"] == "failed"
    daemon.call("stop", units=["b"])
    assert not [one for one in descriptors(daemon.keeper) if "memfd:report" in one]
