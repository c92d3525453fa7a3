"""The importer of systemd's self-checking units: their syntax, and what becomes of their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from maestro.model.command import split_words
from tests.oracles.exec_units import NotTranslatable, assignments, commands, gathered, translated


def unit(folder: Path, text: str, name: str = "exec-x") -> dict[str, Any]:
    path = folder / f"{name}.service"
    path.write_text(text)
    made: dict[str, Any] = yaml.safe_load(translated(path).text)
    return made


def test_lines_go_on_behind_a_backslash() -> None:
    text = "[Service]\n# no\nA=one \\\n  two\n; no\nB= x=y \n[Unit]\nC=\n"
    assert list(assignments(text)) == [
        ("Service", "A", "one    two"),
        ("Service", "B", "x=y"),
        ("Unit", "C", ""),
    ]


def test_an_empty_value_forgets_those_before_it() -> None:
    assert gathered("[Service]\nA=1\nA=\nA=2\nA=3\nB=1\nB=\n[Install]\nC=1\n") == {"A": ["2", "3"], "B": []}


def test_a_semicolon_that_stands_alone_divides_commands() -> None:
    line = "touch /a ; /bin/sh -c 'x ; \"y\" ; z' ;"
    assert commands([line, "!!b"]) == ["touch /a", "/bin/sh -c 'x ; \"y\" ; z'", "b"]


def test_an_escape_that_there_is_not_is_a_backslash() -> None:
    [line] = commands([r"sed -re 's/\-[a-z]+//' \n \\n \\\- \x41"])
    assert line == r"sed -re 's/\\-[a-z]+//' \n \\n \\\\- \x41"
    assert split_words(line) == ["sed", "-re", r"s/\-[a-z]+//", "\n", r"\n", r"\\-", "A"]


def test_a_unit(tmp_path: Path) -> None:
    made = unit(
        tmp_path,
        "[Unit]\nDescription=D\n[Service]\nExecStart=+a exec-x.service\nExecStart=b\nType=oneshot\nUMask=0177\n"
        'Environment="A=1 2" B=3\nCPUAffinity=0-1\nCPUAffinity=\nCPUAffinity=2\nLimitCORE=0\nPrivateNetwork=yes\n'
        "IgnoreSIGPIPE=no\nStandardInput=data\nStandardInputText=a\\tb\nStandardInputData=YQ==\nPassEnvironment=\n",
    )
    assert made["unit"] == {"description": "D"}
    assert made["sandbox"] == {"network": "none", "mount_flags": "shared"}
    agent = made["agent"]
    assert (agent["exec"], agent["exec_more"]) == ("/bin/true", ["+a exec-x", "b"])
    assert agent["environment"] == {"A": "1 2", "B": "3"}
    assert (agent["cpu_affinity"], agent["limits"], agent["umask"]) == (["2"], {"core": "0"}, "0177")
    assert (agent["ignore_sigpipe"], agent["stdin"]) == (False, "file:/run/input/exec-x")
    assert "pass_environment" not in agent
    assert translated(tmp_path / "exec-x.service").files == {"/run/input/exec-x": b"a\tb\na"}


def test_a_directory_of_systemds_own_is_ours(tmp_path: Path) -> None:
    made = unit(tmp_path, "[Service]\nExecStart=test %d = %t/credentials/%n\nExecStart=a %t/other\n")
    assert made["agent"]["exec"] == "test %d = %t/maestro/credentials/%n"
    assert made["agent"]["exec_more"] == ["a %t/other"]


def test_what_is_unknown_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotTranslatable, match="FooBar= has no counterpart"):
        unit(tmp_path, "[Service]\nExecStart=a\nFooBar=1\n")
    with pytest.raises(NotTranslatable, match="no ExecStart"):
        unit(tmp_path, "[Service]\nType=oneshot\n")
