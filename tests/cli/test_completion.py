"""Completion for bash, by its own functions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from maestro.cli.command import GLOBALS, NAMES, find
from tests.cli.conftest import Ctl
from tests.control.fake import Served, unit

SCRIPT = Path(__file__).parents[2] / "packaging/completion/maestroctl.bash"
# Units as the daemon would tell them; what it was asked by is left in a file.
_ASK = """
maestroctl() { printf '%s ' "$@" >"$ASKED"; printf '%s\\n' web worker@eu worker@us '$(touch evil)'; }
source "$SCRIPT"
COMP_LINE=$LINE COMP_POINT=${#LINE} COMPREPLY=()
_maestroctl
printf '%s\\n' "${COMPREPLY[@]}"
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


def offered(line: str, folder: Path) -> set[str]:
    """What a Tab at the end of the line offers."""
    environ = {"SCRIPT": str(SCRIPT), "LINE": line, "ASKED": str(folder / "asked"), "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "--norc", "-c", _ASK],
        env={**environ, "PATH": "/usr/bin:/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("maestroctl sta", {"start", "status"}),
        ("maestroctl -q --root /x sta", {"start", "status"}),
        ("maestroctl list-dependencies --re", {"--reverse"}),
        ("maestroctl start --no-", {"--no-wait", "--no-color"}),
        ("maestroctl --no", {"--no-color"}),
        ("maestroctl --output ", {"text", "json"}),
        ("maestroctl status -o j", {"json"}),
        ("maestroctl status --output=j", {"json"}),
        ("maestroctl graph --format ", {"dot", "mermaid"}),
        ("maestroctl plot --format=", {"svg", "json"}),
        ("maestroctl start w", {"web", "worker@eu", "worker@us"}),
        ("maestroctl start web wor", {"worker@eu", "worker@us"}),
        ("maestroctl start worker@e", {"eu"}),  # readline puts it behind the @
        ("maestroctl logs -n 5 we", {"web"}),
        ("maestroctl logs --lines ", set()),
        ("maestroctl logs -- we", {"web"}),
        ("maestroctl stop -- -", set()),
        ("maestroctl version ", set()),
        ("maestroctl nonsense ", set()),
        ("maestroctl start zzz", set()),
    ],
)
def test_what_is_offered(tmp_path: Path, line: str, words: set[str]) -> None:
    assert offered(line, tmp_path) == words


def test_all_commands_are_offered(tmp_path: Path) -> None:
    assert offered("maestroctl ", tmp_path) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_all_options_of_a_command_are_offered(tmp_path: Path, name: str) -> None:
    flags = {flag for option in (*find(name).options, *GLOBALS) for flag in option.flags}
    assert offered(f"maestroctl {name} -", tmp_path) == flags | {"-h", "--help"}


def test_the_units_of_the_daemon_that_the_line_names(tmp_path: Path) -> None:
    for line, asked in (
        ("maestroctl --root /srv start w", "--root /srv list --plain --timeout 2s "),
        ("maestroctl start --root=/srv w", "--root=/srv list --plain --timeout 2s "),
        ("maestroctl start w", "list --plain --timeout 2s "),
    ):
        assert offered(line, tmp_path) == {"web", "worker@eu", "worker@us"}
        assert (tmp_path / "asked").read_text() == asked


def test_a_name_is_not_carried_out(tmp_path: Path) -> None:
    assert "$(touch evil)" in offered("maestroctl start ", tmp_path)
    assert not (tmp_path / "evil").exists()


def test_files_and_directories(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some.yaml").touch()
    assert offered("maestroctl verify so", tmp_path) == {"some", "some.yaml"}
    assert offered("maestroctl --root so", tmp_path) == {"some"}


def test_list_plain_is_names_only(ctl: Ctl, served: Served) -> None:
    served.service.units["worker@eu"] = unit("worker@eu")
    assert ctl("list", "--plain").out == "researcher\nworker@eu\n"


def test_the_script_is_sound() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        ["shellcheck", "--shell=bash", str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
