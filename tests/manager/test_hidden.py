"""A confined agent that does not find its program: the sentence says what hides it, and what to write."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from pathlib import Path

import pytest

from maestro.keeper.programs import interpreter
from maestro.manager.hidden import failure
from maestro.manager.recipe import House
from maestro.manager.sandbox import Premises
from maestro.model.load import load_text
from maestro.model.unit import Unit

NONE = "no such file or directory"
BY = "hidden by sandbox.inaccessible_paths: write sandbox.read_only_paths"


def house(path: str = "", root: str = "") -> House:
    environ = {"PATH": path}
    premises = Premises(root=root)
    return House(
        notify="",
        control="",
        identity="",
        environ=environ,
        uid=0,
        premises=premises,
        interpreter=interpreter,
    )


def unit(sandbox: str, agent: str = "") -> Unit:
    text = f"agent: {{exec: [a]{agent}}}\nsandbox: {{{sandbox}}}"
    loaded = load_text("a.agent.yaml", text.encode(), "f")
    assert loaded.unit is not None, list(map(str, loaded.problems))
    return loaded.unit


def said(one: Unit | None, path: object, stage: str = "execute", number: int = errno.ENOENT) -> str:
    return failure(one, f"{stage} {path}", number, house())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Something like a home, with a program of its own, and what leads to it from outside."""
    home = tmp_path / "home"
    (home / "env/bin").mkdir(parents=True)
    (home / "env/bin/python").write_bytes(b"\x7fELF")
    (home / "env/bin/python").chmod(0o755)
    (tmp_path / "link").symlink_to(home / "env/bin/python")
    (tmp_path / "script").write_text(f"#! {tmp_path}/link -I\n")
    return home


def test_what_hides_it_is_named_and_what_to_write(home: Path, tmp_path: Path) -> None:
    closed = unit(f"inaccessible_paths: [{home}]")
    program, folder = home / "env/bin/python", home / "env"
    assert said(closed, program) == f"cannot execute {program}: {NONE} ({BY}: [{folder}])"
    for way in ("link", "script"):
        path = tmp_path / way
        assert said(closed, path) == f"cannot execute {path}: {NONE} (it needs {program}, {BY}: [{folder}])"
    words = said(closed, folder, "change directory to", errno.EACCES)
    assert words == f"cannot change directory to {folder}: permission denied ({BY}: [{folder}])"


def test_a_program_that_is_looked_for(home: Path) -> None:
    folder = home / "env/bin"
    found = unit(f"inaccessible_paths: [{home}]", f", exec_search_path: [{folder}]")
    assert said(found, "python").endswith(f"(it needs {folder}/python, {BY}: [{home}/env])")
    assert failure(unit(f"inaccessible_paths: [{home}]"), "execute python", 2, house(str(folder))).endswith(
        ")"
    )


@pytest.mark.parametrize(
    ("sandbox", "by"),
    [
        ("level: strict", "sandbox.protect_home, as level strict has it"),
        ("protect_home: tmpfs", "sandbox.protect_home"),
        ("temporary_file_system: [/root]", "sandbox.temporary_file_system"),
    ],
)
def test_by_which_option(monkeypatch: pytest.MonkeyPatch, sandbox: str, by: str) -> None:
    monkeypatch.setattr("os.path.lexists", lambda path: True)
    assert f"(hidden by {by}: write" in said(unit(sandbox), "/root/x/bin/agent")


def test_nothing_is_said_where_nothing_hides_it(home: Path) -> None:
    program = home / "env/bin/python"
    shown = unit(f"inaccessible_paths: [{home}], read_only_paths: [{home}/env]")
    below = unit(f"inaccessible_paths: [{home}]", ", root_directory: /jail")
    for one in (None, unit(""), unit("protect_home: read-only"), shown, below):
        assert said(one, program) == f"cannot execute {program}: {NONE}"
    closed = unit(f"inaccessible_paths: [{home}]")
    assert said(closed, home / "nothing") == f"cannot execute {home}/nothing: {NONE}"
    assert failure(closed, f"execute {program}", errno.ENOEXEC, house()).endswith(": exec format error")
    assert failure(closed, "open its input fd:x: no stored descriptor has this name", 0, house()).endswith(
        "this name"
    )


def test_interpreters_that_name_each_other_end(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).write_text(f"#!{tmp_path}/{other}\n")
    assert said(unit("level: baseline, private_tmp: false"), tmp_path / "a").endswith(NONE)


def test_what_shows_in_a_tmp_of_its_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.lexists", lambda path: True)
    closed, there = unit("private_tmp: true"), unit("private_tmp: true", ", working_directory: /tmp/a")
    assert "hidden by sandbox.private_tmp: write" in said(closed, "/tmp/a/b")
    assert said(there, "/tmp/a/b").endswith(NONE)
    assert failure(closed, "execute /tmp/a/b", errno.ENOENT, house(root="/tmp/a")).endswith(NONE)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to would hold up the daemon for ever; its path may be a tenant's choice."""
    os.mkfifo(tmp_path / "pipe")
    closed = unit("inaccessible_paths: [/nowhere]")
    words = said(closed, tmp_path / "pipe", number=errno.EACCES)
    assert words == f"cannot execute {tmp_path}/pipe: permission denied"


def test_nobody_waits_for_who_holds_a_lease_on_it(tmp_path: Path) -> None:
    """Its owner may, and whoever opened it as usual would wait for 45 s: the daemon, for a program of a tenant's choice."""
    (tmp_path / "script").write_text("#!/bin/sh\n")
    with (tmp_path / "script").open("r+") as held:
        fcntl.fcntl(held, fcntl.F_SETSIG, signal.SIGURG)  # which does nothing, and not SIGIO, which kills
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        words = said(unit("inaccessible_paths: [/nowhere]"), tmp_path / "script")
    assert words == f"cannot execute {tmp_path}/script: {NONE}"
