from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from maestro.keeper import vfork
from tests.keeper.rig import Manager, Rig, rig_in

BOOTSTRAP = Path(__file__).parents[2] / "bin/.bootstrap"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a socket's path may have 107 bytes; open to all, because agents change their user."""
    with TemporaryDirectory(prefix="maestro-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def rig(folder: Path) -> Iterator[Rig]:
    with rig_in(folder) as one:
        yield one


@pytest.fixture
def manager(rig: Rig) -> Manager:
    """The manager of a running keeper; it has said hello."""
    first = rig.start()
    first.hello()
    return first


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """spawn.c, built as bin/.bootstrap builds it, with every warning an error, and all guards that a distribution may switch on."""
    compiler = shutil.which("cc")
    if compiler is None and Path(vfork.PATH).exists():
        return vfork.PATH  # in a virtual machine, say
    if compiler is None:
        pytest.skip("there is no compiler")
    path = tmp_path_factory.mktemp("spawn") / "_spawn.so"
    built = re.search(r"^flags='(.*)'$", BOOTSTRAP.read_text(encoding="utf-8"), re.MULTILINE)
    assert built is not None
    strict = ("-Wextra", "-Werror", "-fstack-protector-all", *built[1].split())
    source = Path(vfork.__file__).with_name("spawn.c")
    subprocess.run([compiler, *strict, "-o", str(path), str(source)], check=True)
    return str(path)
