"""The rig: a program that boots a small Debian with its own kernel and control groups v2, and runs one command in it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "/maestro"  # where the checkout is in the guest
PATIENCE = "5"  # how much longer than elsewhere tests wait: a fork takes 10 ms
TIMEOUT = 1800  # seconds for one guest, with its boot
_KEPT = 3600.0  # seconds that a copy of earlier sources is kept
PREPARING = 300  # seconds; the first time takes about 90 and needs apt and pip

_CHECKERS = (
    "hatchling",
    "import-linter",
    "mypy",
    "pytest-xdist",
    "ruff",
    "types-",
)  # of the dev group, what no test in the guest needs
_SOURCES = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "daemon",
    "plugins",
    "packaging/hatch_build.py",
)  # what the package is built from
_LEFT_OUT: tuple[str, ...] = (
    ".git",
    ".venv",
    ".real",
    ".cache",
    ".maestro",
    ".bench",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
)
_LEFT_OUT += ("__pycache__", "node_modules", "dist")


class Unable(Exception):
    """There is no virtual machine to be had here; in words."""


def find() -> Path:
    """The rig's program: in $MAESTRO_RIG, or in ../shared/rig beside the checkout."""
    named = os.environ.get("MAESTRO_RIG")
    folder = Path(named) if named else ROOT.parent / "shared/rig"
    program = folder / "run-in-vm"
    if not os.access(program, os.X_OK):
        raise Unable(
            f"there is no rig in {folder}" + ("" if named else "; MAESTRO_RIG may name another folder")
        )
    if os.geteuid() != 0:
        raise Unable("only root can prepare the virtual machine")
    return program


_IO_URING = "/proc/sys/kernel/io_uring_disabled"


class Rig:
    """What all guests of this checkout have in common."""

    def __init__(self, program: Path) -> None:
        self._program = str(program)
        self._pip: list[str] = []

    def prepare(self) -> None:
        """Fill the rig's cache with the system and our dependencies, and see that a guest boots."""
        needed = [str(_package()), *_requirements()]
        self._pip = [word for one in needed for word in ("--pip", one)]
        self._check([*self._pip, "--prepare"], "prepared")
        self._check([*self._pip, "--timeout", "60", "true"], "booted")

    def command(self, guest: str, words: list[str], within: int = TIMEOUT) -> list[str]:
        """The command line that runs these words in such a guest, in a copy of the checkout."""
        share = ["--share", f"{ROOT}:{INSIDE}", *(f"--exclude={name}" for name in _LEFT_OUT)]
        given = {"MAESTRO_TEST_PATIENCE": PATIENCE, "MAESTRO_VM_GUEST": guest}
        names = ("MAESTRO_TEST_PATIENCE", "MAESTRO_KILLS", "MAESTRO_AGENTS", "MAESTRO_LOOP")
        given |= {name: value for name in names if (value := os.environ.get(name))}
        environment = [f"--env={name}={value}" for name, value in given.items()]
        options = ["--timeout", str(within), *(["--systemd"] if guest == "systemd" else [])]
        if guest == "user":  # who compiles modules once only where the checkout is the user's
            become = "setpriv --reuid=rig --regid=rig --init-groups env HOME=/home/rig"
            words = ["sh", "-c", f'chown -R rig: . && exec {become} "$@"', "sh", *words]
        # This kernel, in user mode, corrupts its memory where who has io_uring forks or ends; uvloop does without.
        words = ["sh", "-c", f'echo 2 >{_IO_URING} 2>/dev/null; exec "$@"', "sh", *words]
        return [self._program, *self._pip, *share, *environment, *options, "--", *words]

    def _check(self, words: list[str], what: str) -> None:
        process = subprocess.Popen(
            [self._program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=PREPARING)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Unable(f"the virtual machine could not be {what} within {PREPARING} s") from None
        if process.returncode:
            last = (said.strip().splitlines() or ["it did not say why"])[-1]
            raise Unable(f"the virtual machine could not be {what}: {last}")


def _package() -> Path:
    """A copy of our sources alone, by what is in them: the rig installs a folder anew when anything in it has changed."""
    place = ROOT / ".cache/vm"
    place.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=place))
    for name in _SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, fresh / name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        else:
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, fresh / name)
    digest = hashlib.sha256()
    for path in sorted(path for path in fresh.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(fresh)}\0".encode() + path.read_bytes())
    folder = place / digest.hexdigest()[:16]
    try:
        fresh.rename(folder)
    except OSError:  # it is there; another run may use it
        shutil.rmtree(fresh)
    os.utime(folder)
    for other in place.iterdir():
        if other.stat().st_mtime < folder.stat().st_mtime - _KEPT:
            shutil.rmtree(other, ignore_errors=True)
    return folder


def _requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["dependency-groups"]["dev"]
    return [one for one in wanted if not re.match("|".join(_CHECKERS), one)]
