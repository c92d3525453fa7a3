"""The keeper's small parts, each by itself."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from maestro.keeper import child, reexec, respawn, stages, steps, table, wire
from maestro.keeper.say import how_it_ended
from maestro.keeper.spare import Spare
from tests.keeper.rig import DAEMON

KILLED = 9  # as wait(2) gives it
EXITED = 256


# ------------------------------------------------------------------------------------------------ respawn


def test_pauses_grow_to_a_bound_and_begin_anew_after_a_healthy_life() -> None:
    manager = respawn.Respawn(0.2)
    assert manager.due == 0.0, "the first starts at once"
    now = 0.0
    pauses: list[float] = []
    for _ in range(7):
        manager.began(1, now)
        assert manager.due is None
        now += 1
        manager.ended(KILLED, now)
        assert manager.due is not None
        pauses.append(round(manager.due - now, 6))
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    manager.began(1, now)
    words = manager.ended(EXITED * 3, now + 10)
    assert words == "the manager ended with 3 after 10.0 s; next start in 0.2 s"


def test_an_upgraded_manager_is_started_at_once_but_not_one_that_never_spoke() -> None:
    manager = respawn.Respawn(0.2)
    manager.began(1, 0.0)
    assert manager.ended(EXITED * wire.EXIT_RESTART, 5.0).endswith("next start in 0.2 s")
    manager.began(1, 6.0)
    manager.said_hello(wire.VERSION)
    assert manager.ended(EXITED * wire.EXIT_RESTART, 7.0) == ""
    assert manager.due == 7.0


def test_five_managers_that_die_young_are_hopeless() -> None:
    manager = respawn.Respawn(0.2)
    for n in range(5):
        assert not manager.hopeless()
        manager.began(n, 0.0)
        manager.ended(KILLED, 1.0)
    assert manager.hopeless()
    manager.began(6, 0.0)
    manager.ended(KILLED, 11.0)
    assert not manager.hopeless()


def test_respawn_survives_a_renewal() -> None:
    manager = respawn.Respawn(0.2)
    manager.began(17, 3.0)
    manager.ended(KILLED, 4.0)
    manager.retiring = True
    assert respawn.restored(manager.state()).__dict__ == manager.__dict__
    assert respawn.restored({"first_pause": 0.2, "from_the_future": 1}).pid == 0


def test_exit_codes_are_a_shells() -> None:
    assert respawn.exit_code(KILLED) == 137
    assert respawn.exit_code(EXITED * 3) == 3
    assert how_it_ended(KILLED) == "was killed by SIGKILL"
    assert how_it_ended(64) == "was killed by signal 64" or "SIGRTMAX" in how_it_ended(64)


# ------------------------------------------------------------------------------------------------ table


def test_a_table_survives_a_renewal() -> None:
    old = table.Table("k")
    entry = table.Entry("a#1", 100, 5, "run")
    old.add(entry)
    old.end(entry, (1, None, 0.5, 4096, 7.0))
    old.leave(entry, ("101 (sh)",))
    old.add(table.Entry("b#1", 200, 6, ""))
    old.streams["a"] = 5
    new = table.restored(old.state())
    assert new.state() == old.state()
    assert set(new.by_pid) == {200}
    assert new.by_session == old.by_session
    assert set(new.leaving) == {"a#1"}


def test_dropping_an_old_agent_leaves_a_new_one_of_its_pid_alone() -> None:
    one = table.Table("k")
    old, new = table.Entry("a#1", 100, 5, "x"), table.Entry("a#2", 100, 9, "x")
    one.add(old)
    one.end(old, (0, None, 0.0, 0, 0.0))
    one.add(new)
    one.drop(old)
    assert one.by_pid == {100: new}
    assert one.by_session == {100: "a#2"}
    assert one.by_invocation == {"x": "a#2"}


# ------------------------------------------------------------------------------------------------ stages


def test_each_step_is_named_in_words() -> None:
    birth = child.Birth({"argv": ["x"], "cwd": "/srv", "uid": 5}, child.Nest(Spare(), set()))
    for table_of_steps in (steps.AGENT, steps.MANAGER, steps.SUCCESSOR_ON_TRIAL):
        for stage, _ in table_of_steps:
            assert "{" not in stages.describe(stage, birth)
    assert stages.describe("cwd", birth) == "change directory to /srv"
    assert stages.describe("uid", birth) == "become user 5"
    assert stages.describe("exec", birth) == "execute x"
    birth.limit = (resource.RLIMIT_CORE, 1, 2)
    assert stages.describe("limits", birth) == "set its limit CORE to 1:2"


@pytest.mark.parametrize(
    ("stage", "value", "words"),
    [
        ("nice", -5, "set its nice level to -5"),
        ("io_priority", (1, 4), "set its I/O priority to realtime 4"),
        ("cpu_scheduling", (2 | 1 << 30, 50), "set its CPU scheduling to rr 50"),
        ("cpu_affinity", (0, 2), "keep it to CPUs 0,2"),
        ("numa", (2, (0, 1)), "set its NUMA policy to bind 0 1"),
        ("timer_slack", 50, "set its timer slack to 50 ns"),
        ("personality", 8, "set its personality to linux32"),
        ("keyring", "private", "give it a private session keyring"),
        ("coredump_filter", 0x33, "set what its core files contain to 0x33"),
    ],
)
def test_each_step_of_scheduling_says_what_it_was_to_set(stage: str, value: object, words: str) -> None:
    assert stages.describe(stage, child.Birth({stage: value}, child.Nest(Spare(), set()))) == words


def test_the_keeper_itself_does_not_load_what_few_agents_ask_for() -> None:
    code = "import sys; import maestro.keeper.__main__; print('maestro.keeper.scheduling' in sys.modules)"
    source = os.path.dirname(os.path.dirname(os.path.dirname(str(child.__file__))))
    environ = {**os.environ, "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


LEARN = """
import sys
import maestro.keeper.__main__
from maestro.keeper import steps
def private():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
wanted = [f"maestro.keeper.{name}" for name in ("sandbox", "seccomp", "credentials")]
asked = {"sandbox": {"seccomp": ((),)}, "directories": ((),)}
steps.learn({})
before, none = private(), [name for name in wanted if name in sys.modules]
steps.learn(asked)
print(len(none), len([name for name in wanted if name in sys.modules]), private() - before)
"""


def test_what_a_sandbox_takes_is_read_when_the_first_asks_for_it_and_is_small(tmp_path: Path) -> None:
    """As where it is installed, compiled: to compile takes four times as much, and the first of two runs does."""
    source = os.path.dirname(os.path.dirname(os.path.dirname(str(child.__file__))))
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environ = {**os.environ, "PYTHONPATH": source, **compiled}
    command = [sys.executable, "-c", LEARN]
    _, done = (
        subprocess.run(command, env=environ, capture_output=True, text=True, check=True) for _ in range(2)
    )
    before, after, grown = map(int, done.stdout.split())
    assert (before, after) == (0, 3)
    assert grown <= 500, f"{grown} KiB"


def test_code_that_cannot_be_read_is_left_to_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "maestro.keeper.sandbox", None)
    steps.learn({"sandbox": {"no_new_privileges": True}})
    birth = child.Birth({"sandbox": {"no_new_privileges": True}}, child.Nest(Spare(), set()))
    with pytest.raises(ImportError):
        dict(steps.AGENT)["modules"](birth)


# ------------------------------------------------------------------------------------------------ spare


def test_spare_descriptors_are_there_when_there_are_no_others() -> None:
    code = """
import os, resource
from maestro.keeper.spare import Spare
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
spare = Spare()
try:
    while True: os.dup(0)
except OSError:
    pass
fd = spare.see_to(lambda: os.open("/dev/null", os.O_RDONLY))
os.close(fd)
spare.refill()
print("done")
"""
    environment = {**os.environ, "PYTHONPATH": str(DAEMON)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, check=True
    )
    assert done.stdout == b"done\n"


def test_other_errors_are_not_for_the_spare() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Spare().see_to(lambda: os.open("/nowhere", os.O_RDONLY))
    assert caught.value.errno == errno.ENOENT


# ------------------------------------------------------------------------------------------------ re-exec


def test_a_command_line_is_read_back() -> None:
    setting = reexec.Setting("/py", "/src", "/run/maestro", ["/py", "-m", "maestro.wiring", "--x"], 0.2)
    line = reexec.command(setting, "17")
    again, state = reexec.parse("/py", ["-c", *line[5:]])
    assert state == "17"
    assert reexec.command(again, "17") == line
    setting.heartbeat = 0.5
    again, _ = reexec.parse("/py", ["-c", *reexec.command(setting)[5:]])
    assert (again.first_pause, again.heartbeat) == (0.2, 0.5)


def test_an_older_keepers_command_line_is_read_too() -> None:
    usual, _ = reexec.parse("/py", ["-c", "/src", "/run/maestro", "17", "0.2", "/py"])
    assert (usual.first_pause, usual.heartbeat) == (0.2, reexec.HEARTBEAT)


def test_state_goes_through_a_memfd() -> None:
    state = {"a": [1, ("x", None)], "b": b"\0" * 100_000}
    assert reexec.load(reexec.save(state)) == state


def test_the_keeper_imports_nothing_that_is_heavy() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import maestro.keeper.begin; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, str(DAEMON)]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    heavy = {
        "asyncio",
        "logging",
        "threading",
        "typing",
        "dataclasses",
        "re",
        "collections",
        "enum",
        "signal",
    }
    assert not loaded & (heavy | {"socket", "contextlib", "functools", "subprocess"})
    ours = {name for name in loaded if name.startswith("maestro")}
    assert {name for name in ours if not name.startswith("maestro.keeper")} == {"maestro"}
