"""Tests that need another host than this one, in a virtual machine: `bin/test --vm` and what it says without one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.vm.selection import GUESTS, SELECTION

ROOT = Path(__file__).resolve().parents[1]


def _bin_test(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "bin/test"), "--vm", *words],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_every_row_names_tests_that_are_there_and_a_kind_of_guest() -> None:
    for path, guests in SELECTION.items():
        file, _, name = path.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text() if name else (ROOT / file).exists(), path
        assert guests, path
        assert set(guests) <= {*GUESTS}, path


def test_without_a_rig_it_says_so_and_nothing_has_failed(tmp_path: Path) -> None:
    done = _bin_test(MAESTRO_RIG=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"skipped: there is no rig in {tmp_path}\n")


def test_a_rig_that_cannot_be_prepared_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "run-in-vm"
    program.write_text("#!/bin/sh\necho first\necho 'rig: no mirror' >&2\nexit 98\n")
    program.chmod(0o755)
    done = _bin_test("--bare", MAESTRO_RIG=str(tmp_path))
    why = "the virtual machine could not be prepared: rig: no mirror"
    why = why if os.geteuid() == 0 else "only root can prepare the virtual machine"
    assert (done.returncode, done.stdout) == (0, f"skipped: {why}\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can prepare the virtual machine")
def test_what_fails_in_a_guest_fails_here(tmp_path: Path) -> None:
    """Preparing is no test; a guest that ends with anything but 0 is one that failed, also when others do not."""
    program = tmp_path / "run-in-vm"
    program.write_text(
        '#!/bin/sh\ncase " $* " in\n*" --prepare "* | *" true "*) ;;\n'
        '*MAESTRO_VM_GUEST=user*) echo "1 failed"; exit 1 ;;\n*) echo passed ;;\nesac\n'
    )
    program.chmod(0o755)
    done = _bin_test(MAESTRO_RIG=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.count("passed") == 2
    assert "FAILED in the virtual machine: user (1)" in done.stdout
    assert _bin_test("-k", "something", MAESTRO_RIG=str(tmp_path)).stdout == "passed\n"
    assert _bin_test("--user", MAESTRO_RIG=str(tmp_path)).returncode == 1


@pytest.mark.system
@pytest.mark.timeout(1500)
@pytest.mark.skipif(
    os.environ.get("MAESTRO_VM") != "1", reason="takes minutes: MAESTRO_VM=1, or bin/test --vm, runs it"
)
def test_in_the_virtual_machine() -> None:
    done = _bin_test()
    if done.stdout.startswith("skipped: "):
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
