"""Gets programs of other people into the benchmark's own folder; nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench import tools
from tests.bench.tools import CACHE, Unable


def debs(name: str, packages: list[str]) -> Path:
    """Debian packages, unpacked under .bench/NAME; wildcards stand for versions in their names."""
    folder = CACHE / name
    if (folder / ".whole").exists():
        return folder
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise Unable(f"{name}: there is no {tool} to fetch Debian's package with")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _run(name, ["apt-get", "download", *packages], folder)
    for package in sorted(folder.glob("*.deb")):
        _run(name, ["dpkg-deb", "-x", str(package), str(folder)], folder)
        package.unlink()
    (folder / ".whole").touch()
    return folder


def dependencies(package: str, beginning: str) -> list[str]:
    """What a package depends on, as far as the names begin so."""
    if shutil.which("apt-cache") is None:
        raise Unable(f"{package}: there is no apt-cache to fetch Debian's package with")
    lines = subprocess.run(
        ["apt-cache", "depends", package], capture_output=True, text=True
    ).stdout.splitlines()
    found = [line.split()[1] for line in lines if line.strip().startswith("Depends:")]
    if not found:
        raise Unable(f"apt knows no package {package}: apt-get update")
    return [name for name in found if name.startswith(tuple(beginning.split()))]


def pip(name: str, requirement: str) -> Path:
    """A package of PyPI in a virtual environment of its own under .bench/NAME."""
    folder = CACHE / name
    if (folder / ".whole").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run(name, [sys.executable, "-m", "venv", str(folder)], CACHE)
    _run(name, [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", requirement], CACHE)
    (folder / ".whole").touch()
    return folder


def _run(name: str, command: list[str], folder: Path) -> None:
    tools.say(f"fetching {name}: {' '.join(command[:3])} …")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Unable(f"{name} cannot be had: {' '.join(last) or command[0]}")
