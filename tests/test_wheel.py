"""A wheel carries keeper/spawn.c built, where there was a compiler, and goes without it elsewhere."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from maestro.keeper import vfork

ROOT = Path(__file__).resolve().parents[1]
HOOK = ROOT / "packaging/hatch_build.py"
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


class _Interface:
    """What hatchling gives a hook, as far as ours looks at it."""

    root, target_name = str(ROOT), "wheel"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    names = ["hatchling", "builders", "hooks", "plugin", "interface"]
    for depth in range(1, len(names) + 1):
        monkeypatch.setitem(sys.modules, ".".join(names[:depth]), ModuleType(names[depth - 1]))
    sys.modules[".".join(names)].BuildHookInterface = _Interface  # type: ignore[attr-defined]
    for variable in ("CC", "MAESTRO_PURE"):
        monkeypatch.delenv(variable, raising=False)
    spec = importlib.util.spec_from_file_location("hatch_build", HOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SpawnBuildHook()


def built(hook: Any, version: str = "standard") -> dict[str, Any]:
    data: dict[str, Any] = {"force_include": {}, "pure_python": True}
    hook.initialize(version, data)
    return data


@needs_compiler
def test_the_library_is_of_this_version_and_goes_with_the_wheel(hook: Any) -> None:
    data = built(hook)
    [(library, place)] = data["force_include"].items()
    assert place == "maestro/keeper/_spawn.so"
    vfork.load(library)
    assert not data["pure_python"]
    assert data["tag"].startswith("py3-none-linux_")
    hook.finalize("standard", data, "")
    assert not Path(library).exists()


@pytest.mark.parametrize("lack", ["compiler", "a compiler that can", "wish", "wheel", "copy"])
def test_a_wheel_without_it_is_for_every_platform(
    hook: Any, monkeypatch: pytest.MonkeyPatch, lack: str
) -> None:
    if "compiler" in lack:
        monkeypatch.setenv("CC", "/nowhere/cc" if lack == "compiler" else "false")
    elif lack == "wish":
        monkeypatch.setenv("MAESTRO_PURE", "1")
    elif lack == "wheel":
        hook.target_name = "sdist"
    assert built(hook, "editable" if lack == "copy" else "standard") == {
        "force_include": {},
        "pure_python": True,
    }
    hook.finalize("standard", {}, "")


@needs_compiler
def test_hatchling_makes_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed: bin/.bootstrap --dev does that")
    for pure, tag in (("", "py3-none-linux_"), ("1", "py3-none-any")):
        monkeypatch.setenv("MAESTRO_PURE", pure)
        place = tmp_path / tag
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = place.glob("*.whl")
        assert tag in wheel.name
        entries = zipfile.ZipFile(wheel).infolist()
        names = [one.filename for one in entries]
        assert ("maestro/keeper/_spawn.so" in names) == (not pure)
        assert "maestro/keeper/spawn.c" in names
        for library in (one for one in entries if one.filename.endswith("_spawn.so")):
            assert library.external_attr >> 16 & 0o111, "it is executed as well"
