"""Landlock's rules in a child: what the kernel then says."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maestro.keeper import landlock
from tests.forked import Attempt, answers, call

pytestmark = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
NOBODY = 65534
_PTRACE = {"x86_64": 101, "aarch64": 117}
_PTRACE_SEIZE = 0x4206
SYSTEM: tuple[landlock.Rule, ...] = (
    *(("read execute", path) for path in ("/usr", "-/lib", "-/lib64", "/bin")),
    ("read", "-/etc/ld.so.cache"),
)  # fmt: skip


def needs(abi: int) -> pytest.MarkDecorator:
    return pytest.mark.skipif(landlock.version() < abi, reason=f"needs ABI {abi} of Landlock")


def bound(*rules: landlock.Rule, abi: int = 0) -> Callable[[], None]:
    def bind() -> None:
        assert landlock.restrict(rules, abi)

    return bind


def _read(path: Path | str) -> Attempt:
    return lambda: Path(path).read_bytes()


def _write(path: Path | str) -> Attempt:
    return lambda: Path(path).write_bytes(b"x")


def _run(path: Path | str) -> Attempt:
    def run() -> None:
        pid = os.posix_spawn(path, [str(path)], {})
        os.waitpid(pid, 0)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("open", "kept", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"text")
    return tmp_path


# ------------------------------------------------------------------------------------------------ files


def test_only_what_is_listed_is_there(folder: Path) -> None:
    rules = (("read write", f"{folder}/open"), ("read", f"{folder}/kept"))
    attempts: dict[str, Attempt] = {
        "read open": _read(folder / "open/file"),
        "write open": _write(folder / "open/file"),
        "new open": _write(folder / "open/other"),
        "list open": lambda: os.listdir(folder / "open"),
        "make open": lambda: os.mkdir(folder / "open/inner"),
        "remove open": lambda: os.rmdir(folder / "open/inner"),
        "cut open": lambda: os.truncate(folder / "open/file", 0),
        "read kept": _read(folder / "kept/file"),
        "write kept": _write(folder / "kept/file"),
        "new kept": _write(folder / "kept/other"),
        "cut kept": lambda: os.truncate(folder / "kept/file", 0),
        "remove kept": lambda: os.unlink(folder / "kept/file"),
        "read closed": _read(folder / "closed/file"),
        "list closed": lambda: os.listdir(folder / "closed"),
        "read shadow": _read("/etc/shadow"),
        "take into open": lambda: os.rename(folder / "closed/file", folder / "open/taken"),
        "link into open": lambda: os.link(folder / "closed/file", folder / "open/linked"),
    }
    found = dict(zip(attempts, answers(bound(*rules), *attempts.values()), strict=True))
    allowed = {name for name, word in found.items() if word == "allowed"}
    assert allowed == {name for name in attempts if name.endswith(" open") and "into" not in name} | {
        "read kept"
    }
    assert {found[name] for name in found.keys() - allowed} <= {"EACCES", "EXDEV"}


def test_a_program_is_executed_where_that_is_allowed(folder: Path) -> None:
    mine = folder / "open/true"
    mine.write_bytes(Path("/bin/true").read_bytes())
    mine.chmod(0o755)
    found = answers(
        bound(*SYSTEM, ("read write", str(folder))), _run("/bin/true"), _run(mine), _read("/etc/hostname")
    )
    assert found == ["allowed", "EACCES", "EACCES"]
    assert answers(bound(*SYSTEM, ("read write execute", str(folder))), _run(mine)) == ["allowed"]


def test_a_rule_may_be_of_a_file(folder: Path) -> None:
    rules = (("read write", f"{folder}/open/file"), ("read write", "/dev/null"))
    attempts = (
        _read(folder / "open/file"),
        _write(folder / "open/file"),
        _write("/dev/null"),
        _write(folder / "open/new"),
    )
    assert answers(bound(*rules), *attempts) == ["allowed", "allowed", "allowed", "EACCES"]


def test_a_missing_path_fails_unless_it_may_be_missing(folder: Path) -> None:
    with pytest.raises(landlock.Failed) as caught:
        landlock.restrict((("read", f"{folder}/none"),))
    assert caught.value.errno == 2
    assert caught.value.doing == f"read {folder}/none"
    found = answers(
        bound(("read", f"-{folder}/none"), ("read", f"{folder}/open")), _read(folder / "open/file")
    )
    assert found == ["allowed"]


def test_a_link_is_followed_unless_it_is_said(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "open")
    followed = bound(("read", f"{folder}/link"))
    assert answers(followed, _read(folder / "link/file")) == ["allowed"]
    not_followed = bound(("handle", "files"), ("read nofollow", f"{folder}/link"))
    assert answers(not_followed, _read(folder / "open/file")) == ["EACCES"]


def test_nothing_may_be_left(folder: Path) -> None:
    assert (
        answers(bound(("handle", "files")), _read(folder / "open/file"), _read("/etc/passwd"))
        == ["EACCES"] * 2
    )


def test_it_binds_those_who_come_after(folder: Path) -> None:
    def exec_cat() -> None:
        done = os.spawnv(os.P_WAIT, "/bin/cat", ["cat", str(folder / "closed/file")])
        if done:
            raise PermissionError(13, "")

    assert answers(bound(*SYSTEM, ("write", "/dev")), exec_cat) == ["EACCES"]


@pytest.mark.parametrize("abi", range(1, 8))
def test_every_older_version_will_do(folder: Path, abi: int) -> None:
    if abi > landlock.version():
        pytest.skip("this kernel has an older one")
    rules: tuple[landlock.Rule, ...] = (
        ("read write", f"{folder}/open"),
        ("bind", 0),
        ("handle", "connect"),
        ("scope", "signals"),
        ("scope", "abstract-sockets"),
    )
    attempts = (_read(folder / "open/file"), _read(folder / "kept/file"), lambda: os.kill(os.getppid(), 0))
    found = answers(bound(*rules, abi=abi), *attempts)
    assert found == ["allowed", "EACCES", "EPERM" if abi >= 6 else "allowed"]


def test_who_is_not_root_gives_up_privileges(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become nobody")

    def privileges() -> None:
        assert "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="utf-8")

    assert answers(bound(("read", "/proc")), privileges, _read("/etc/passwd"), uid=NOBODY) == [
        "allowed",
        "EACCES",
    ]


def test_no_rules_bind_nothing() -> None:
    assert landlock.restrict(()) == 0


# ------------------------------------------------------------------------------------------------ ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


def _connect(port: int) -> Attempt:
    return lambda: socket.create_connection(("127.0.0.1", port), timeout=5).close()


def _bind(port: int) -> Attempt:
    return lambda: socket.create_server(("127.0.0.1", port)).close()


@needs(4)
def test_ports(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    some = bound(("connect", port), ("bind", 0))
    assert answers(some, _connect(port), _connect(1), _bind(0), _bind(port)) == [
        "allowed", "EACCES", "allowed", "EACCES",
    ]  # fmt: skip
    assert answers(bound(("handle", "connect")), _connect(port), _bind(0)) == ["EACCES", "allowed"]
    assert answers(bound(("handle", "bind")), _connect(port), _bind(0)) == ["allowed", "EACCES"]


@needs(4)
def test_files_stay_open_where_only_ports_are_given_up() -> None:
    assert answers(bound(("handle", "connect")), _read("/etc/passwd")) == ["allowed"]


# ------------------------------------------------------------------------------------------------ scopes


@needs(6)
def test_signals_stay_within() -> None:
    def own_child() -> None:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    found = answers(bound(("scope", "signals")), lambda: os.kill(os.getppid(), 0), own_child)
    assert found == ["EPERM", "allowed"]


@needs(6)
def test_abstract_sockets_of_others_are_out_of_reach() -> None:
    name = f"\0maestro-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(name)
        one.listen()

        def reach() -> None:
            with socket.socket(socket.AF_UNIX) as other:
                other.connect(name)

        assert answers(bound(("scope", "abstract-sockets")), reach) == ["EPERM"]
        assert answers(bound(("scope", "signals")), reach) == ["allowed"]


def test_others_cannot_be_traced(folder: Path) -> None:
    """Not a rule: the kernel does so for whoever is bound. Only CAP_PERFMON still shows it the memory of others."""

    def attach() -> None:
        call(_PTRACE[os.uname().machine], _PTRACE_SEIZE, os.getppid(), 0, 0)

    assert answers(bound(("read", "/proc")), attach) == ["EPERM"]
