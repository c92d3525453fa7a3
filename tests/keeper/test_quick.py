"""When the quick way is taken, and that it makes the same process as the fork."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from maestro.keeper import quick
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


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Quick:
    monkeypatch.setattr(quick, "_may_hang", lambda: False)
    return Quick(Nest(Spare(), {signal.SIGPIPE}))


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
        {"uid": 65534},
        {"gid": 65534},
        {"groups": (1,)},
        {"cwd": "/tmp"},
        {"rlimits": ((7, 1, 1),)},
        {"argv": ("sh",)},
        {"nice": 0},
        {"io_priority": (0, 0)},
        {"cpu_scheduling": (0, 0)},
        {"cpu_affinity": (0,)},
        {"numa": (0, ())},
        {"oom_score_adjust": 0},
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
