"""When the quick way is taken, and that it makes the same process as the fork."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from maestro.keeper import quick, vfork
from maestro.keeper.child import Nest
from maestro.keeper.quick import Quick
from maestro.keeper.spare import Spare
from maestro.keeper.table import open_again

PLAIN = {
    "argv": ("/bin/sh", "-c", "umask; pwd; ps -o sid= -p $$ | tr -d ' '; echo $$; ulimit -n"),
    "env": {"PATH": "/usr/bin:/bin"},
}


def run(recipe: dict[str, Any], way: Quick) -> tuple[int, list[str]]:
    read, write = os.pipe2(os.O_CLOEXEC)
    output = open_again(f"/proc/self/fd/{write}")
    try:
        pid = way.spawn(recipe, output)
        if not pid:
            return 0, []
        os.waitpid(pid, 0)
        return pid, os.read(read, 4096).decode().split()
    finally:
        for fd in (read, write, output):
            os.close(fd)


@pytest.fixture(params=["posix_spawn", "spawn.c"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.setattr(quick, "_may_hang", lambda: False)
    monkeypatch.setattr(quick, "_spawner", lambda nest: None)
    made = Quick(Nest(Spare(), {signal.SIGPIPE}))
    if request.param == "spawn.c":
        made._spawner = vfork.Spawner(made._nest, request.getfixturevalue("library"))
    return made


@pytest.fixture
def own(library: str, monkeypatch: pytest.MonkeyPatch) -> Quick:
    """By spawn.c."""
    monkeypatch.setattr(quick, "_may_hang", lambda: False)
    made = Quick(Nest(Spare(), {signal.SIGPIPE}))
    made._spawner = vfork.Spawner(made._nest, library)
    return made


@pytest.mark.system
def test_the_process_is_as_a_fork_makes_it(way: Quick) -> None:
    where, mask = os.getcwd(), os.umask(0o022)
    try:
        pid, said = run({**PLAIN, "umask": 0o027}, way)
    finally:
        os.chdir(where)
    assert said == ["0027", "/", str(pid), str(pid), "1024"]
    assert os.umask(mask) == 0o022, "the keeper's own is as it was"


@pytest.mark.parametrize(
    "more",
    [
        {"cwd": "/tmp"},
        {"rlimits": ((7, 1, 1),)},
        {"argv": ("sh",)},
        {"nice": 0},
        {"io_priority": (0, 0)},
        {"cpu_scheduling": (0, 0)},
        {"cpu_affinity": (0,)},
        {"numa": (0, ())},
        {"timer_slack": 0},
        {"personality": 0},
        {"coredump_filter": 1},
        {"keyring": "private"},
        {"ignore_sigpipe": True},
        {"search_path": "/bin"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_only_a_fork_can_do_is_left_to_it(way: Quick, more: dict[str, Any]) -> None:
    assert run({**PLAIN, **more}, way) == (0, [])


def test_a_program_that_cannot_be_executed_is_left_to_the_fork_which_says_why(way: Quick) -> None:
    where = os.getcwd()
    try:
        assert run({**PLAIN, "argv": ("/no/such/program",)}, way) == (0, [])
    finally:
        os.chdir(where)


def test_where_an_exec_could_hang_it_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_may_hang", lambda: True)
    assert run(PLAIN, Quick(Nest(Spare(), set()))) == (0, [])


# ------------------------------------------------------------------------------------------------ only by spawn.c


@pytest.mark.system
def test_nothing_of_the_keepers_signals_is_left(own: Quick) -> None:
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    _, said = run({**PLAIN, "argv": ("/bin/cat", "/proc/self/status")}, own)
    masks = {name: int(said[said.index(name) + 1], 16) for name in ("SigBlk:", "SigIgn:", "SigCgt:")}
    assert masks["SigBlk:"] == masks["SigCgt:"] == 0
    assert not masks["SigIgn:"] >> (signal.SIGPIPE - 1) & 1
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == held


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
def test_it_changes_the_user(own: Quick) -> None:
    _, said = run({**PLAIN, "argv": ("/usr/bin/id",), "uid": 65534, "gid": 65534, "groups": (4, 5)}, own)
    assert [word.partition("(")[0] for word in said[:2]] == ["uid=65534", "gid=65534"]
    assert said[2].count(",") == 2


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
def test_another_user_may_open_its_output_again(own: Quick) -> None:
    recipe = {**PLAIN, "argv": ("/bin/sh", "-c", "echo x >/dev/stdout"), "uid": 65534, "gid": 65534}
    assert run(recipe, own)[1] == ["x"]


@pytest.mark.system
def test_it_tells_the_score_of_memory(own: Quick) -> None:
    recipe = {**PLAIN, "argv": ("/bin/cat", "/proc/self/oom_score_adj"), "oom_score_adjust": 321}
    assert run(recipe, own)[1] == ["321"]


@pytest.mark.system
@pytest.mark.parametrize("wrong", [{"argv": ("/no/such/program",)}, {"tasks": ("/no/such/group/tasks",)}])
def test_what_fails_is_left_to_the_fork_and_leaves_nothing(own: Quick, wrong: dict[str, Any]) -> None:
    before = os.listdir("/proc/self/fd")
    assert run({**PLAIN, **wrong}, own) == (0, [])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert os.listdir("/proc/self/fd") == before


def test_what_only_root_can_do_is_left_to_the_fork(own: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run({**PLAIN, "uid": 1000}, own) == (0, [])


def test_a_library_of_another_version_is_not_used(
    own: Quick, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setattr(vfork, "VERSION", 1)  # of the same size: only the number tells them apart
    with pytest.raises(OSError, match="another version"):
        vfork.Spawner(own._nest, library)


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize("whose", ["program", "directory", "link", "interpreter", "writable", "proc"])
def test_a_program_that_somebody_else_has_a_hand_in_is_left_to_the_fork(
    way: Quick, tmp_path: Path, whose: str
) -> None:
    """Its owner may hold a lease on it: then an exec waits for 45 s, and we would wait with it."""
    place = tmp_path / "bin"
    place.mkdir()
    program = place / "say"
    shutil.copy("/bin/echo", program)
    assert run({**PLAIN, "argv": (str(program), "x")}, way)[1] == ["x"], "it is root's own"
    way._ours.clear()
    path = str(program)
    if whose == "program":
        os.chown(program, 65534, 65534)
    elif whose == "directory":
        os.chown(place, 65534, 65534)
    elif whose == "writable":
        program.chmod(0o757)
    elif whose == "proc":
        path = f"/proc/self/root{program}"
    else:
        os.chown(program, 65534, 65534)
        other = tmp_path / whose
        if whose == "link":
            other.symlink_to("bin/say")
        else:
            other.write_text(f"#! {program} -x\n", encoding="utf-8")
            other.chmod(0o755)
        path = str(other)
    assert run({**PLAIN, "argv": (path, "x")}, way) == (0, [])


@pytest.mark.system
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_becomes_another_user_in_our_memory_does_not_take_it_from_us(own: Quick) -> None:
    """The kernel marks the memory of who changes users: /proc/self would be root's, and no debugger could look at it."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(3, 0, 0, 0, 0) == 1
    pid, said = run({**PLAIN, "uid": 65534, "gid": 65534}, own)
    assert (pid > 0, len(said)) == (True, 5)
    assert libc.prctl(3, 0, 0, 0, 0) == 1
