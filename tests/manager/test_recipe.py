"""From unit to recipe: who it runs as, and what it finds in its environment."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from maestro.engine.events import Ended, Errand
from maestro.engine.state import Result, Trigger
from maestro.manager import recipe
from maestro.manager.recipe import CannotPrepare, House
from maestro.model.streams import StandardError, StandardInput, StandardOutput
from maestro.model.values import (
    Command,
    CommandLine,
    EnvironmentMap,
    Seconds,
    UserName,
)
from maestro.model.variables import Assignment, VariableName
from maestro.ports import Recipe
from maestro.testing.theatre import unit

HOUSE = House(
    notify="/run/notify",
    control="/run/control.sock",
    identity="boot:root",
    environ={
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root",
        "SECRET": "x",
        "PYTHONPATH": "/mine",
    },
    uid=0,
)
ORDINARY = replace(HOUSE, uid=1000)


def make(house: House = HOUSE, **options: Any) -> Recipe:
    return recipe.make(unit("web", **options), "web#3", house)


def refused(house: House = HOUSE, **options: Any) -> str:
    with pytest.raises(CannotPrepare) as why:
        make(house, **options)
    return str(why.value)


def test_little_of_the_daemons_environment_is_passed_on() -> None:
    env = make().env
    assert env.pop("INVOCATION_ID") == recipe.invocation(HOUSE, "web#3")
    assert env == {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root",
        "MAESTRO_UNIT": "web",
        "MAESTRO_CONTROL": "/run/control.sock",
    }


def test_a_daemon_without_path_gives_the_usual_one() -> None:
    assert make(replace(HOUSE, environ={})).env["PATH"] == recipe.DEFAULT_PATH


def test_an_invocation_has_one_id_and_no_other_has_it() -> None:
    ids = {
        recipe.invocation(house, agent)
        for house in (HOUSE, replace(HOUSE, identity="other"))
        for agent in ("web#1", "web#2")
    }
    assert len(ids) == 4
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)
    assert recipe.invocation(HOUSE, "web#1") in ids


def test_notify_and_watchdog_are_told_to_those_who_asked() -> None:
    assert "NOTIFY_SOCKET" not in make().env
    assert make(type="notify").env["NOTIFY_SOCKET"] == "/run/notify"
    env = make(watchdog=Seconds(1.5)).env
    assert (env["NOTIFY_SOCKET"], env["WATCHDOG_USEC"]) == ("/run/notify", "1500000")


def test_what_maestro_says_cannot_be_overridden() -> None:
    env = make(
        environment=EnvironmentMap({"MAESTRO_UNIT": "other", "INVOCATION_ID": "0", "PATH": "/mine"})
    ).env
    assert (env["MAESTRO_UNIT"], env["PATH"]) == ("web", "/mine")
    assert env["INVOCATION_ID"] != "0"


def test_the_command_sees_the_environment() -> None:
    made = make(exec=CommandLine(("/bin/x", "${A}", "$A")), environment=EnvironmentMap({"A": "b c"}))
    assert made.argv == ("/bin/x", "b c", "b", "c")


# ------------------------------------------------------------------------------------------- files


def test_environment_files_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        "# a comment\n; another\n\n  A=1\nexport B = 2\nB=two words\nC='quoted # \"'\nD=\"x\"\nE=\nF=a=b\n_G1=''\n".replace(
            "export B = 2", "export B=2"
        )
    )
    (tmp_path / "b").write_text("A=later\n")
    env = make(
        environment_file=(str(tmp_path / "a"), str(tmp_path / "b")),
        environment=EnvironmentMap({"F": "overridden"}),
    ).env
    found = {name: value for name, value in env.items() if len(name) <= 3}
    assert found == {
        "A": "later",
        "B": "two words",
        "C": 'quoted # "',
        "D": "x",
        "E": "",
        "F": "a=b",
        "_G1": "",
    }


def test_a_missing_file_is_an_error_unless_it_may_be_missing(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert (
        refused(environment_file=(missing,))
        == f"cannot read environment file {missing}: no such file or directory"
    )
    assert make(environment_file=(f"-{missing}",)).env["PATH"]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make_it", [Path.mkdir, make_fifo])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make_it: Callable[[Path], None]) -> None:
    odd = tmp_path / "odd"
    make_it(odd)
    opened = len(os.listdir("/proc/self/fd"))
    assert refused(environment_file=(str(odd),)) == f"cannot read environment file {odd}: not a regular file"
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_line_that_sets_nothing_is_left_out_and_told(tmp_path: Path) -> None:
    """As systemd does; and what the line says is not repeated, for it may be a secret."""
    file = tmp_path / "a"
    file.write_text("A=1\nwhat is this\n\nmy-key=secret\nB=2\n")
    notes: list[str] = []
    made = recipe.make(unit("web", environment_file=(str(file),)), "web#3", HOUSE, note=notes.append)
    assert (made.env["A"], made.env["B"]) == ("1", "2")
    assert notes == [
        f"{file}:2: left out: expected NAME=VALUE",
        f"{file}:4: left out: no variable can have this name",
    ]


def test_of_many_such_lines_some_are_told(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("junk\n" * 50_000)
    notes: list[str] = []
    recipe.make(unit("web", environment_file=(str(file),)), "web#3", HOUSE, note=notes.append)
    assert notes[-2:] == [f"{file}:5: left out: expected NAME=VALUE", f"{file}: and 49995 more"]


def test_a_file_may_be_a_pattern(tmp_path: Path) -> None:
    for name in ("10-a", "20-b", "other"):
        (tmp_path / f"{name}.env").write_text(f"LAST={name}\nN_{name[0]}=1\n")
    env = make(environment_file=(f"{tmp_path}/[0-9]*.env",)).env
    assert (env["LAST"], "N_1" in env, "N_2" in env, "N_o" in env) == ("20-b", True, True, False)
    assert refused(environment_file=(f"{tmp_path}/*.none",)) == (
        f"cannot read environment file {tmp_path}/*.none: no such file or directory"
    )
    assert make(environment_file=(f"-{tmp_path}/*.none",)).env["PATH"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"A=1\n" + b"#" * (1 << 20), "it is larger than 1 MiB"),
        (b"A=1\nB=\0\n", "it has a NUL byte, so it is no text"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "a"
    file.write_bytes(content)
    assert refused(environment_file=(str(file),)) == f"cannot read environment file {file}: {why}"
    assert "A" not in make(environment_file=(f"-{file}",)).env


# ------------------------------------------------------------------------------------------- who


def test_by_default_nothing_changes() -> None:
    made = make()
    assert (made.uid, made.gid, made.groups, made.cwd, made.umask) == (None, None, (), "/", 0o022)


def test_a_user_brings_group_groups_and_home() -> None:
    nobody = pwd.getpwnam("nobody")
    made = make(user=UserName("nobody"), working_directory="~", umask="0077")
    assert (made.uid, made.gid, made.cwd, made.umask) == (nobody.pw_uid, nobody.pw_gid, nobody.pw_dir, 0o077)
    assert nobody.pw_gid in made.groups
    assert (made.env["HOME"], made.env["USER"], made.env["LOGNAME"]) == (nobody.pw_dir, "nobody", "nobody")


def test_users_and_groups_by_number() -> None:
    nobody = pwd.getpwnam("nobody")
    made = make(user=UserName(str(nobody.pw_uid)), group=UserName("4242"))
    assert (made.uid, made.gid) == (nobody.pw_uid, 4242)


def test_who_does_not_exist_is_named() -> None:
    assert refused(user=UserName("no-such-user")) == "cannot run as user no-such-user: no such user"
    said = refused(user=UserName("4294967290"))
    assert said == "cannot run as user 4294967290: no account has this number; name its group, too"


def test_a_number_needs_no_account_where_its_group_is_named() -> None:
    made = make(user=UserName("4294967290"), group=UserName("4294967291"))
    assert (made.uid, made.gid, made.groups) == (4294967290, 4294967291, (4294967291,))
    assert made.env["HOME"] == "/"


def test_a_group_that_does_not_exist_is_named() -> None:
    assert refused(group=UserName("no-such-group")) == "cannot run as group no-such-group: no such group"


def test_an_ordinary_daemon_runs_agents_as_itself_only() -> None:
    assert "only root may change users" in refused(ORDINARY, user=UserName("root"))
    assert make(ORDINARY).uid is None


def test_an_ordinary_daemon_does_not_leave_a_group_out_silently() -> None:
    assert "only root may change groups" in refused(ORDINARY, group=UserName("4242"))
    assert make(ORDINARY, group=UserName(str(os.getegid()))).gid is None


# ------------------------------------------------------------------------------------------- probes


def test_a_probe_runs_as_the_agent_and_silently() -> None:
    one = unit("web", user=UserName("nobody"), type="notify", watchdog=Seconds(1), umask="0077")
    made = recipe.make_probe(one, "probe:web#1:1", ("/bin/check", "$USER"), HOUSE)
    assert made.argv == ("/bin/check", "nobody")
    assert (made.uid, made.umask, made.stream) == (pwd.getpwnam("nobody").pw_uid, 0o077, None)
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & set(made.env)
    assert made.env["INVOCATION_ID"] != recipe.invocation(HOUSE, "web#1")


# ------------------------------------------------------------------------------------------- streams and places


def test_usual_streams_are_left_to_the_keeper() -> None:
    made = make()
    assert (made.stdio, made.stream) == ((), "web")


def test_streams_as_the_unit_says() -> None:
    made = make(
        stdin=StandardInput("file:/in"), stdout=StandardOutput("append:/out"), stderr=StandardError("log")
    )
    assert made.stdio == (("file", "/in"), ("append", "/out"), ("log", ""))
    assert made.stream == "web"
    assert make(stdout=StandardOutput("null")).stream is None


def test_a_directory_that_may_be_missing_and_another_root() -> None:
    assert (make().cwd_may_fail, make().root) == (False, "")
    made = make(working_directory="-/srv", root_directory="/jail")
    assert (made.cwd, made.cwd_may_fail, made.root) == ("/srv", True, "/jail")
    assert make(working_directory="-~").cwd == make(working_directory="~").cwd


def test_variables_are_passed_and_taken_away(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("FILE=1\n")
    env = make(
        pass_environment=(VariableName("SECRET"), VariableName("MISSING")),
        environment=EnvironmentMap({"A": "1", "B": "2", "C": "3"}),
        environment_file=(str(tmp_path / "a"),),
        unset_environment=tuple(
            map(Assignment, ("A", "B=2", "C=4", "FILE", "LANG", "INVOCATION_ID", "NONE"))
        ),
    ).env
    assert env["SECRET"] == "x"
    assert {"A", "B", "FILE", "LANG", "MISSING"} & set(env) == set()
    assert env["C"] == "3"
    assert env["INVOCATION_ID"]


def test_what_a_command_before_the_process_leaves_is_for_the_process() -> None:
    web = unit(
        "web",
        file_descriptor_store_max=1,
        stdin=StandardInput("socket"),
        stdout=StandardOutput("inherit"),
        watchdog=Seconds(1),
    )
    assert recipe.make(web, "web#3", HOUSE).stdio == (("socket", ""), ("socket", ""), ("inherit", ""))
    assert recipe.make(web, "web#3", HOUSE).stream is None

    def command(option: str) -> Recipe:
        return recipe.make_errand(
            web, Errand(agent="web#3/x1", option=option, place=0, line=("/bin/x",)), HOUSE
        )

    before, after = command("exec_start_pre"), command("exec_start_post")
    assert (before.stdio, before.stream) == ((("null", ""), ("log", ""), ("inherit", "")), "web")
    assert (before.env["NOTIFY_SOCKET"], before.env["FDSTORE"]) == (HOUSE.notify, "1")
    assert "WATCHDOG_USEC" not in before.env
    assert "NOTIFY_SOCKET" not in after.env


def test_a_probe_has_streams_and_descriptors_of_its_own() -> None:
    one = unit(
        "web", type="notify", notify_fd=3, stdout=StandardOutput("append:/out"), root_directory="/jail"
    )
    made = recipe.make_probe(one, "probe:web#1:1", ("/bin/check",), HOUSE)
    assert (made.stdio, made.notify_fd, made.stream, made.root) == ((), 0, None, "/jail")


# ------------------------------------------------------------------------------------------- started by another's end


@pytest.mark.parametrize(
    ("ended", "code", "status"),
    [
        (Ended(agent="db#7", code=3), "exited", "3"),
        (Ended(agent="db#7", signal=15), "killed", "TERM"),
        (Ended(agent="db#7"), None, None),
        (None, None, None),
    ],
)
def test_what_became_of_the_other_is_told(ended: Ended | None, code: str | None, status: str | None) -> None:
    trigger = Trigger(unit="db", agent="db#7", result=Result.TIMEOUT, ended=ended)
    env = recipe.make(
        unit("web", environment=EnvironmentMap({"MONITOR_UNIT": "lie"})), "web#3", HOUSE, trigger
    ).env
    assert env["MONITOR_UNIT"] == "db"
    assert env["MONITOR_SERVICE_RESULT"] == "timeout"
    assert env["MONITOR_INVOCATION_ID"] == recipe.invocation(HOUSE, "db#7")
    assert (env.get("MONITOR_EXIT_CODE"), env.get("MONITOR_EXIT_STATUS")) == (code, status)


def test_one_of_several_commands_is_made_like_the_first() -> None:
    more = (Command("-/bin/two $A"), Command(":/bin/three $A"))
    job = unit("job", type="oneshot", exec=("/bin/one",), exec_more=more, environment={"A": "x y"})
    made = [recipe.make(job, f"job#{line}", HOUSE, line=line) for line in range(3)]
    assert [one.argv for one in made] == [("/bin/one",), ("/bin/two", "x", "y"), ("/bin/three", "$A")]
    assert len({one.env["INVOCATION_ID"] for one in made}) == 3
    assert {one.title for one in made} == {"job"}
    with pytest.raises(CannotPrepare, match=r"has no agent.exec_more\[2\] any more"):
        recipe.make(job, "job#3", HOUSE, line=3)
