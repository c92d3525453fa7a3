"""`maestrod` as it is typed: stage 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maestro import __version__
from maestro.keeper import __main__ as stage_1
from maestro.keeper import reexec
from tests.keeper.rig import DAEMON, PATIENCE


def maestrod(*arguments: str, source: Path = DAEMON, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "maestro.keeper", *arguments],
        env={**os.environ, "PYTHONPATH": str(source), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_version_and_help() -> None:
    assert maestrod("--version").stdout == f"maestrod {__version__}\n"
    assert "--root DIR" in maestrod("--help").stdout


@pytest.mark.parametrize(
    "arguments", [["--rot", "x"], ["x"], ["--root"], ["--root="], ["--environment"], ["--environment=../x"]]
)
def test_what_is_not_understood_is_refused(arguments: list[str]) -> None:
    done = maestrod(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("maestrod: ")


def test_arguments() -> None:
    assert stage_1.parse([]) == ({}, [])
    assert stage_1.parse(["--root", "/x", "--", "--verbose"]) == ({"--root": "/x"}, ["--verbose"])
    assert stage_1.parse(["--root=/x", "--environment", "prod"]) == (
        {"--root": "/x", "--environment": "prod"}, [],
    )  # fmt: skip
    assert stage_1.parse(["-h"]) == ({"--help": ""}, [])


def test_the_run_directory() -> None:
    assert stage_1.run_directory("/x", {}, 0) == "/x/run/maestro"
    assert stage_1.run_directory("", {"XDG_RUNTIME_DIR": "/run/user/5"}, 0) == "/run/maestro"
    assert stage_1.run_directory("", {"XDG_RUNTIME_DIR": "/run/user/5"}, 5) == "/run/user/5/maestro"
    assert stage_1.run_directory("", {}, 5) == os.path.expanduser("~/.maestro/run/maestro")


def test_the_managers_environment(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    source = str(tmp_path / "daemon")
    made = stage_1.manager_environment({"A": "1", "PYTHONPATH": "/mine"}, "/x", source)
    assert made == {"A": "1", "MAESTRO_ROOT": "/x", "PYTHONPATH": f"{source}:{tmp_path}/plugins:/mine"}
    assert stage_1.manager_environment({"A": "1"}, "", "/usr/lib/python3/dist-packages") == {"A": "1"}


_WIRING = """
import json, os, sys, socket
from maestro.keeper import title, wire
import a_plugin, pytest
title.set_title("maestrod: manager")
link = socket.socket(fileno=int(os.environ[wire.LINK_VARIABLE]))
wire.send(link, wire.encode(("hello", wire.VERSION)))
wire.send(link, wire.encode(("retire",)))
seen = {
    "argv": sys.argv[1:], "root": os.environ["MAESTRO_ROOT"], "mine": os.environ["MINE"],
    "keeper": open(f"/proc/{os.getppid()}/cmdline").read().rstrip("\\0"),
    "keeper_name": open(f"/proc/{os.getppid()}/comm").read().strip(),
    "manager": open("/proc/self/cmdline").read().rstrip("\\0"),
    "ignored": int(next(l for l in open("/proc/self/status") if l.startswith("SigIgn")).split()[1], 16),
}
print(json.dumps(seen))
sys.exit(7)
"""


@pytest.mark.system
def test_the_whole_way_from_the_command_line_to_the_manager(folder: Path) -> None:
    source = folder / "daemon"
    here = Path(reexec.__file__).parent
    (source / "maestro/keeper").mkdir(parents=True)
    for file in (here.parent / "__init__.py", *here.glob("*.py")):
        (source / "maestro" / file.relative_to(here.parent)).write_bytes(file.read_bytes())
    (source / "maestro/wiring.py").write_text(_WIRING)
    (folder / "plugins").mkdir()
    (folder / "plugins/a_plugin.py").touch()
    done = maestrod("--root", str(folder), "--", "--verbose", source=source, MINE="kept")
    assert done.returncode == 7, done.stderr
    seen = json.loads(done.stdout)
    assert seen.pop("ignored") & 0b11 == 0b11, "SIGINT and SIGHUP are the keeper's to hear"
    assert seen == {
        "argv": ["--verbose"],
        "root": str(folder),
        "mine": "kept",
        "keeper": "maestrod: keeper",
        "keeper_name": "maestrod-keeper",
        "manager": "maestrod: manager",
    }
    assert done.stderr == ""
    assert (folder / "run/maestro").stat().st_mode & 0o777 == 0o755


def test_a_root_that_cannot_be_used_is_named(folder: Path) -> None:
    (folder / "run").touch()
    done = maestrod("--root", str(folder))
    assert done.returncode == 1
    assert done.stderr.startswith("maestrod: cannot start: Not a directory")
