"""maestroctl run: what it asks for, and what it says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from maestro.control import protocol as p
from tests.cli.conftest import Ctl
from tests.control.fake import Served


def asked(served: Served) -> p.Run:
    return next(request for _, request in reversed(served.service.asked) if isinstance(request, p.Run))


def test_it_asks_for_a_unit_of_a_name_of_its_own(served: Served, ctl: Ctl) -> None:
    said = ctl("run", "no-such-program", "-x", "50%", "$HOME")
    request = asked(served)
    assert (said.code, said.out) == (0, f"Running as {request.unit}\n")
    assert request.unit.startswith("run-")
    assert len(request.unit) == len("run-") + 8
    assert request.properties == (
        'agent.exec=["no-such-program", "-x", "50%%", "$$HOME"]',
        "unit.description=\"no-such-program -x 50%% '$HOME'\"",
    )


def test_options_become_properties_and_those_by_name_come_last(served: Served, ctl: Ctl) -> None:
    flags = "--unit job -E A=1% -E HOME -d --uid nobody --gid users --slice a.slice --collect --no-wait"
    flags += " -p agent.type=oneshot"
    said = ctl("run", *flags.split(), "--description", "Does it", "true", PATH="/bin", HOME="/root")
    assert said.code == 0
    request = asked(served)
    assert (request.unit, request.wait) == ("job", False)
    assert request.properties == (
        'agent.exec=["/bin/true"]',
        'agent.user="nobody"',
        'agent.group="users"',
        'resources.slice="a.slice"',
        f'agent.working_directory="{os.getcwd()}"',
        'unit.description="Does it"',
        'agent.environment={"A": "1%%", "HOME": "/root"}',
        "unit.collect_mode=inactive-or-failed",
        "agent.type=oneshot",
    )


def test_what_cannot_be_meant_is_said(ctl: Ctl) -> None:
    said = ctl("run", "-E", "NONE", "true")
    assert (said.code, said.err) == (
        2, "maestroctl: --setenv: you have no variable NONE\n  write NONE=VALUE\n",
    )  # fmt: skip
    assert "not UTF-8" in ctl("run", "true", "\udcff").err
    said = ctl("run", "true", "x" * (1 << 20))
    assert (said.code, "this request has 10" in said.err) == (2, True)
    assert "--no-wait contradicts --wait" in ctl("run", "--no-wait", "--wait", "true").err


def test_a_dry_run_prints_the_file(served: Served, ctl: Ctl) -> None:
    said = ctl("run", "--dry-run", "--unit", "job", "true")
    assert said.out == "# /run/job.agent.yaml\nagent: {}\n"
    assert asked(served).dry_run


@pytest.mark.parametrize("code", [0, 3, 137])
def test_waiting_ends_as_the_command_does(served: Served, ctl: Ctl, code: int) -> None:
    served.service.exit = code
    said = ctl("run", "--wait", "--unit", "job", "true")
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith(f"Running as job\njob: ended with exit status {code} (")


def test_following_shows_the_output_alone(served: Served, ctl: Ctl) -> None:
    served.service.exit = 3
    said = ctl("run", "-f", "--unit", "job", "true")
    assert said.out == "".join(f"x {number}\n" for number in range(20))
    [logs] = [request for _, request in served.service.asked if isinstance(request, p.Logs)]
    assert (logs.to_end, logs.lines, logs.since is not None) == (True, None, True)
    views = [json.loads(line) for line in ctl("run", "-f", "-o", "json", "true").out.splitlines()]
    assert [view.get("text") for view in views[:2]] == ["x 0", "x 1"]
    assert (views[-1]["exit"], views[-1]["end"]["kind"]) == (3, "failed")


def test_a_long_command_is_no_line_for_people(served: Served, ctl: Ctl) -> None:
    ctl("run", "true", "x" * 1000)
    (told,) = [one for one in asked(served).properties if one.startswith("unit.description=")]
    assert told == f'unit.description="true {"x" * 194}…"'


def test_a_directory_that_was_removed_is_named(
    ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for given in (["-d", "true"], ["./run"], ["--working-directory", "here", "true"]):
        said = ctl("run", *given)
        assert said.code == 2
        assert "the directory that you are in was removed" in said.err
