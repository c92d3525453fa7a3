"""From paths to Landlock's rules; and what the kernel makes of those of a level."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from maestro.keeper import landlock as keeper
from maestro.manager.landlock import Ports, Rule, rules
from tests.forked import answers

TREE = {"/": ("a", "b", "c"), "/a": ("x", "y"), "/a/x": ("1", "2")}


def entries(path: str) -> Iterable[str]:
    return TREE.get(path, ())


def files(**options: object) -> set[Rule]:
    made = rules(level="none", entries=entries, **options)  # type: ignore[arg-type]
    assert made[0] == ("handle", "files")
    return set(made[1:])


def test_nothing_asked_is_no_rule() -> None:
    assert rules(level="none") == ()
    assert rules(level="none", read_write=["/a"]) == ()


def test_what_is_closed_is_gone_around() -> None:
    assert files(inaccessible=["/a/x/1"]) == {
        ("read write execute nofollow", "-/b"),
        ("read write execute nofollow", "-/c"),
        ("read write execute nofollow", "-/a/y"),
        ("read write execute nofollow", "-/a/x/2"),
    }


def test_what_is_only_read_keeps_that() -> None:
    assert files(read_only=["/a"]) == {
        ("read execute", "/"),
        ("read write execute nofollow", "-/b"),
        ("read write execute nofollow", "-/c"),
    }


def test_the_longer_path_counts() -> None:
    assert files(inaccessible=["/a"], read_only=["/a/x"], read_write=["-/a/x/2"]) == {
        ("read write execute nofollow", "-/b"),
        ("read write execute nofollow", "-/c"),
        ("read execute", "/a/x"),
        ("read write execute", "-/a/x/2"),
    }


def test_where_nothing_is_executed() -> None:
    assert files(no_execute=["/"], execute=["/b"]) == {("read write", "/"), ("read write execute", "/b")}
    assert files(no_execute=["/"], execute=["/a"], inaccessible=["/b"]) == {
        ("read write execute", "/a"),
        ("read write nofollow", "-/c"),
    }


def test_ports() -> None:
    assert rules(level="none", ports=Ports(bind=(8080,), connect=())) == (
        ("handle", "bind"),
        ("bind", 8080),
        ("handle", "connect"),
    )


def test_levels() -> None:
    baseline = rules(level="baseline", entries=lambda path: ("sys", "boot", "home") if path == "/" else ())
    assert baseline == (
        ("handle", "files"),
        ("read execute", "/"),
        ("read write execute nofollow", "-/home"),
    )
    strict = rules(
        level="strict", read_write=["/srv/x"], inaccessible=["/srv/x/key"], entries=lambda _: ("data",)
    )
    assert ("read write execute nofollow", "-/srv/x/data") in strict
    assert ("scope", "signals") in strict
    assert not any(path in ("/", "-/etc", "-/home", "-/root", "/srv/x") for _, path in strict)


def test_what_is_given_is_over_what_the_level_says_below_it() -> None:
    closed = rules(level="strict", inaccessible=["/etc", "/usr"])
    assert not any(str(path).startswith(("-/etc", "-/usr")) for _, path in closed)
    written = [rule for rule in rules(level="strict", read_write=["/etc"]) if "/etc" in str(rule[1])]
    assert written == [("read write execute", "/etc")]
    assert rules(level="baseline", read_write=["/"]) == ()


# ------------------------------------------------------------------------------------------------ with the kernel


def _entries(path: str) -> Iterable[str]:
    try:
        return os.listdir(path)
    except OSError:
        return ()


@pytest.mark.skipif(keeper.version() < 6, reason="needs ABI 6 of Landlock")
def test_strict_lets_python_run_and_nothing_out(tmp_path: Path) -> None:
    mine, others = tmp_path / "mine", tmp_path / "others"
    for place in (mine, others):
        place.mkdir()
        (place / "file").write_text("text")
    made = rules(level="strict", read_write=[str(mine)], entries=_entries)
    program = (
        "import ssl, sqlite3, subprocess, sys, threading, zoneinfo, socket, tempfile\n"
        "sqlite3.connect('x.db').execute('create table t(a)').connection.commit()\n"
        "open('file', 'a').write('x'); open('/dev/null', 'w').write('x'); open('/dev/urandom', 'rb').read(1)\n"
        "ssl.create_default_context(); socket.getaddrinfo('localhost', 80)\n"
        "assert subprocess.run(['/bin/sh', '-c', 'ls | grep -q file']).returncode == 0\n"
        f"for path in ('/etc/shadow', '{others}/file', '/root/.bashrc', '{tmp_path}/new'):\n"
        "    try: open(path, 'a+' if path.endswith('new') else 'r')\n"
        "    except PermissionError: print('closed')\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", program],
        preexec_fn=lambda: keeper.restrict(made),
        cwd=mine,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.stdout, done.returncode) == ("closed\n" * 4, 0), done.stderr


@pytest.mark.skipif(keeper.version() == 0, reason="this kernel has no Landlock")
def test_a_closed_place_stays_closed_behind_links(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/file").write_text("text")
    (tmp_path / "open").write_text("text")
    (tmp_path / "link").symlink_to("closed")
    made = rules(level="none", inaccessible=[str(tmp_path / "closed")], entries=_entries)
    tried = (
        lambda: (tmp_path / "open").read_text(),
        lambda: (tmp_path / "closed/file").read_text(),
        lambda: (tmp_path / "link/file").read_text(),
        lambda: Path("/etc/passwd").read_text(),
    )
    found = answers(lambda: keeper.restrict(made), *tried)
    assert found == ["allowed", "EACCES", "EACCES", "allowed"]
