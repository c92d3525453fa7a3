"""What the carrier has a part in: recipes of commands, pid files, and hearing before a time-out is held against an agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maestro.engine.events import Asked, Errand
from maestro.manager import recipe
from maestro.model.unit import RestartSection, Unit
from maestro.model.values import Command, EnvironmentMap, Seconds, UserName
from maestro.ports import SOMEBODYS, Recipe
from maestro.testing.loop import play
from maestro.testing.theatre import unit
from tests.manager.rig import HOUSE, rest, rig


def made(one: Unit, *line: str, **variables: str) -> Recipe:
    errand = Errand(agent="web#1/pre1", option="exec_start_pre", place=0, line=line, variables=variables)
    return recipe.make_errand(one, errand, HOUSE)


def test_a_command_runs_as_the_process_does() -> None:
    environment = EnvironmentMap({"A": "one two"})
    one = unit(
        type="notify", watchdog=Seconds(5), environment=environment, working_directory="/tmp", umask="077"
    )
    prepared = made(one, "-/bin/x", "$A", "${MAINPID}", MAINPID="7")
    assert prepared.argv == ("/bin/x", "one", "two", "7")
    assert (prepared.cwd, prepared.umask, prepared.stream) == ("/tmp", 0o77, "web")
    assert prepared.title == "exec_start_pre of web"
    assert prepared.env["MAINPID"] == "7"
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(prepared.env)
    assert prepared.env["INVOCATION_ID"] == recipe.invocation(HOUSE, "web#1/pre1")


def test_marks_before_the_program() -> None:
    assert made(unit(), ":/bin/x", "$A", "${A}").argv == ("/bin/x", "$A", "${A}")
    nobody = unit(user=UserName("nobody"))
    assert made(nobody, "/bin/x").uid is not None
    assert made(nobody, "+-/bin/x").uid is None
    assert made(nobody, "!/bin/x").uid is None


def test_commands_run_one_after_the_other() -> None:
    async def go() -> None:
        commands = (Command("/bin/one"), Command("/bin/two"))
        async with rig(unit(exec_start_pre=commands)) as one:
            one.manager.feed(Asked("start", ("web",)))
            for number in (1, 2):
                await one.manager.settle()
                assert one.keeper.asked("spawn")[-1] == (f"web#1/pre{number}",)
                one.spawned(f"web#1/pre{number}", pid=100 + number)
                one.ended(f"web#1/pre{number}")
            await one.manager.settle()
            assert one.keeper.asked("spawn")[-1] == ("web#1",)
            assert one.keeper.asked("acknowledge") == [("web#1/pre1",), ("web#1/pre2",)]

    play(go())


def test_the_pid_file_is_read_until_it_names_a_process_of_the_agent(tmp_path: Path) -> None:
    async def go() -> None:
        path, main = tmp_path / "web.pid", os.getpid()  # one that runs
        async with rig(unit(type="forking", pid_file=str(path))) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.ended("web#1", left=("200 (web)",))
            for text in (None, "", "nonsense", "1", "4000000000"):
                if text is not None:
                    path.write_text(text)
                await rest(1)
                assert one.keeper.asked("follow") == []
            one.keeper.family[main] = "web#1"
            path.write_text(f"{main}\n")
            await rest(1)
            assert one.keeper.asked("follow") == [("web#1", main)]
            one.spawned("web#1", pid=main)
            assert (one.state("web"), one.manager.world.life("web").pid) == ("running", main)

    play(go())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "cannot be read: no such file or directory"),
        ("", "is empty"),
        ("nonsense", "holds no pid"),
        ("4000000", "names 4000000, and no such process runs"),
        ("{own}", "names {own} (python), which is none of its processes"),
    ],
)
def test_what_is_wrong_with_a_pid_file_is_said(tmp_path: Path, text: str | None, why: str) -> None:
    name = Path("/proc/self/comm").read_text().strip()

    async def go() -> None:
        path = tmp_path / "web.pid"
        expected = f"{path} {why}".replace("{own}", str(os.getpid())).replace("(python)", f"({name})")
        if text is not None:
            path.write_text(text.replace("{own}", str(os.getpid())))
        async with rig(unit(type="forking", pid_file=str(path), start_timeout=Seconds(5))) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.ended("web#1", left=("200 (web)",))
            await rest(1)
            assert one.manager.world.life("web").cause == f"waits for its main process: {expected}"
            await rest(5)
            assert one.manager.world.life("web").fault == (
                f"not ready within 5.0 s: still waiting for its main process to be known: {expected}"
            )

    play(go())


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ((), "its first process left none that is known: write pid_file"),
        (("7 (a)",), "its first process left 7 (a), which has ended, too"),
        (
            ("7 (a)", "8 (b)"),
            "its first process left 7 (a) and 8 (b), and either may be the main one: write pid_file",
        ),
    ],
)
def test_without_a_pid_file_the_keeper_is_asked(left: tuple[str, ...], why: str) -> None:
    async def go(known: bool) -> None:
        async with rig(unit(type="forking", restart=RestartSection(policy="no"))) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.ended("web#1", left=left)
            await one.manager.settle()
            assert one.keeper.asked("follow") == [("web#1", 0)]
            if known:
                one.spawned("web#1", pid=7)
                assert (one.state("web"), one.manager.world.life("web").pid) == ("running", 7)
                return
            one.ended("web#1", left=left)
            assert one.manager.world.life("web").pid_fault == why
            assert one.state("web") == ("stop" if left else "failed")

    play(go(known=True))
    play(go(known=False))


def test_a_process_that_the_keeper_refuses_is_none_of_its(tmp_path: Path) -> None:
    async def go() -> None:
        path, other = tmp_path / "web.pid", os.getpid()
        path.write_text(f"{other}\n")
        async with rig(unit(type="forking", pid_file=str(path))) as one:
            one.keeper.family[other] = SOMEBODYS
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.ended("web#1", left=("7 (a)",))
            for _ in range(3):
                await rest(1)
                one.ended("web#1", left=("7 (a)",))  # the keeper's answer
                assert one.keeper.asked("follow")[-1] == ("web#1", other)
                assert one.manager.world.life("web").pid_fault.startswith(f"{path} names {other} (")

    play(go())


def test_a_pid_file_is_removed_when_what_it_names_has_ended(tmp_path: Path) -> None:
    path, other = tmp_path / "web.pid", tmp_path / "other"
    web = unit(type="forking", pid_file=str(path), restart=RestartSection(policy="no"))

    async def end() -> None:
        async with rig(web) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.ended("web#1", 1)
            await one.manager.settle()
            assert one.state("web") == "failed"

    path.write_text("4000000\n")
    play(end())
    assert not path.exists()
    for kept in (f"{os.getpid()}\n", "nonsense\n", ""):
        path.write_text(kept)
        play(end())
        assert path.read_text() == kept  # another's, or none
    path.unlink()
    other.write_text("4000000\n")
    path.symlink_to(other)
    play(end())
    assert path.is_symlink()
    assert other.exists()


def test_a_pid_file_that_is_no_file_harms_nobody(tmp_path: Path) -> None:
    async def go() -> None:
        path = tmp_path / "web.pid"
        os.mkfifo(path)
        async with rig(unit(type="forking", pid_file=str(path), start_timeout=Seconds(5))) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.ended("web#1", left=("200 (web)",))
            await rest(6)
            assert one.state("web") == "stop"

    play(go())


@pytest.mark.parametrize("says", [False, True])
def test_a_sign_of_life_that_waits_counts_before_the_watchdog_does(says: bool) -> None:
    async def go() -> None:
        async with rig(unit(type="notify", watchdog=Seconds(5))) as one:
            one.manager.feed(Asked("start", ("web",)))
            one.spawned("web#1")
            one.carrier.notified(100, "web#1", {"READY": "1"})
            waiting = [{"STATUS": "busy"}, {"WATCHDOG": "1"}] if says else []

            def listen() -> bool:
                if waiting:
                    one.carrier.notified(100, "web#1", waiting.pop(0))
                return bool(waiting)

            one.carrier.listen = listen
            await rest(6)
            assert one.state("web") == ("running" if says else "stop")

    play(go())
