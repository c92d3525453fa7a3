"""What must stay true of the tree, so that nobody has to remember it."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro import hooks

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PLUGINS = {path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").is_file()}
MODULES = sorted(
    path
    for folder in ("daemon", "plugins", "tests", "packaging")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
SHIPPED = [path for path in MODULES if not path.is_relative_to(ROOT / "tests")]
SCRIPTS = [ROOT / "bin" / name for name in (".bootstrap", *sorted(os.listdir(ROOT / "bin")))]
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_STARTER = 400, 50, 25


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# ------------------------------------------------------------------------------------------------ size


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_file_is_too_long(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE, f"{_name(path)} has {lines} lines: split it by what it is about"


@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_no_function_is_too_long(path: Path) -> None:
    long = [f"{name} has {lines} lines" for name, lines in _functions(path) if lines > LONGEST_FUNCTION]
    assert not long


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


@pytest.mark.parametrize("path", SHIPPED, ids=_name)
def test_a_module_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{_name(path)} has no docstring"


# ------------------------------------------------------------------------------------------------ plugins


def test_the_wheel_the_entry_points_and_the_folder_name_the_same_plugins() -> None:
    packages = {
        Path(package) for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    }
    assert packages == {Path("daemon/maestro")} | {Path("plugins", name) for name in PLUGINS}
    assert set(PROJECT["project"]["entry-points"]["maestro"].values()) == PLUGINS


def test_every_plugin_is_held_to_the_import_contracts() -> None:
    settings = PROJECT["tool"]["importlinter"]
    assert set(settings["root_packages"]) == {"maestro"} | PLUGINS
    [contract] = [one for one in settings["contracts"] if one["name"] == "Plugins see hooks and the model"]
    assert set(contract["source_modules"]) == PLUGINS


def _hooks() -> list[str]:
    return [name for name in vars(hooks) if name.startswith("maestro_")]


@pytest.mark.parametrize("name", _hooks())
def test_a_hook_is_documented_and_implemented_in_a_test(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    tests = (path for path in MODULES if path.is_relative_to(ROOT / "tests") and path != Path(__file__))
    assert any(re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) for path in tests)


@pytest.mark.parametrize("plugin", sorted(PLUGINS))
def test_a_plugin_has_no_hook_that_nobody_calls(plugin: str) -> None:
    module = importlib.import_module(plugin)
    assert {name for name in vars(module) if name.startswith("maestro_")} <= set(_hooks())


# ------------------------------------------------------------------------------------------------ memory


def test_the_manager_imports_nothing_large_that_it_needs_seldom() -> None:
    """Together they took 4 MB for as long as it lived."""
    large = "email zipfile csv shutil tempfile lzma zoneinfo difflib urllib.parse importlib.metadata importlib.resources"
    code = f"import sys, maestro.wiring; print(*(one for one in {large.split()} if one in sys.modules))"
    told = _run(sys.executable, "-c", code)
    assert (told.returncode, told.stdout) == (0, "\n"), told.stderr + told.stdout


# ------------------------------------------------------------------------------------------------ generated files


def test_generated_files_are_fresh() -> None:
    check = _run(sys.executable, "packaging/reference.py", "--check")
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("page", sorted((ROOT / "packaging/man").iterdir()), ids=lambda path: path.name)
def test_a_manual_page_is_sound(page: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    told = _run("groff", "-man", "-Tutf8", "-K", "utf8", "-ww", "-z", str(page))
    assert (told.returncode, told.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------ scripts


@pytest.mark.parametrize("path", [*SCRIPTS, ROOT / ".ci/run"], ids=_name)
def test_a_script_may_be_run(path: Path) -> None:
    assert path.stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize("path", [*SCRIPTS, ROOT / ".ci/run"], ids=_name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    told = _run("shellcheck", str(path))
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("name", ["maestrod", "maestroctl"])
def test_what_starts_from_a_checkout_is_short(name: str) -> None:
    lines = (ROOT / "bin" / name).read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_STARTER, "logic belongs into the package, where it is tested"


def test_systemd_accepts_our_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (ROOT / "packaging/maestrod.service").read_text(encoding="utf-8")
    unit = tmp_path / "maestrod.service"
    unit.write_text(text.replace("/usr/bin/maestrod", "/bin/true"), encoding="utf-8")  # which is installed
    told = _run("systemd-analyze", "verify", "--man=no", str(unit))
    assert (told.returncode, told.stderr) == (0, "")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/daemon{os.pathsep}{ROOT}/plugins"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
