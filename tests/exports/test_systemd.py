"""Units of Maestro as units of systemd."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from maestro.exports.systemd import exported
from maestro.imports.formats import Source, converted
from maestro.imports.record import Imported
from maestro.model.load import load_text
from tests.imports.looks import unit

WEB = """\
unit:
  description: A web server, 50%% of them
  requires: [db]
  after: [db started, default.target]
  exclusive: [gpu0]
agent:
  exec: [/bin/echo, a b, 50%%, "x'y", $HOME]
  type: exec
  environment: {A: 1 2, B: 'say "x"'}
  exec_start_pre: -/bin/true
  working_directory: /srv
  stdout: append:/tmp/out
  stop: {sequence: [INT 5s, TERM 10s]}
  restart: {policy: always, delay: 3s, start_limits: [3/1min], factor: 3}
  limits: {nofile: 4096}
  set_credential: {key: secret}
resources: {memory_max: 512M, slice: work.slice, io_read_bandwidth_max: {/dev/vda: 10M}}
sandbox: {level: baseline, protect_home: yes}
health: {readiness: {tcp: "127.0.0.1:80"}}
condition: {path_exists: ["!/etc/off"]}
install: {wanted_by: default.target}
"""


def _made(text: str = WEB, file: str = "web.agent.yaml") -> Imported:
    loaded = load_text(file, text.replace("protect_home: yes", "protect_home: 'yes'").encode(), file)
    assert loaded.unit is not None, loaded.problems
    return exported(loaded.unit)


def test_an_agent_as_a_service() -> None:
    made = _made()
    assert made.file == "web.service"
    lines = made.text.splitlines()
    for line in (
        "Description=A web server, 50%% of them", "Requires=db.service", "After=db.service default.target",
        "ConditionPathExists=!/etc/off", "Type=exec", "ExecStart=/bin/echo \"a b\" 50%% \"x'y\" $HOME",
        'Environment="A=1 2"', 'Environment="B=say \\"x\\""', "ExecStartPre=-/bin/true", "WorkingDirectory=/srv",
        "StandardOutput=append:/tmp/out", "KillSignal=SIGINT", "TimeoutStopSec=15s", "Restart=always",
        "RestartSec=3s", "StartLimitBurst=3", "StartLimitIntervalSec=1min", "LimitNOFILE=4096", "MemoryMax=512M",
        "TasksMax=512", "Slice=work.slice", "PrivateTmp=yes", "NoNewPrivileges=yes", "ProtectHome=yes",
        "WantedBy=multi-user.target",
    ):  # fmt: skip
        assert line in lines, line
    assert "secret" not in made.text


def test_what_systemd_cannot_express_is_told() -> None:
    told = {remark.key: remark for remark in _made().remarks}
    dropped = {key for key, remark in told.items() if remark.grade == "dropped"}
    assert dropped == {
        "unit.exclusive",
        "agent.restart.factor",
        "agent.set_credential",
        "health.readiness.tcp",
    }
    assert told["agent.stop.sequence"].words.endswith(
        "one signal, and KILL when the time of all steps is over"
    )
    assert str(told["unit.exclusive"]) == (
        "web.agent.yaml:5: dropped: unit.exclusive: systemd has nothing that only one unit may hold"
    )
    assert told["unit.after"].grade == "approximated"
    assert told["agent.limits.nofile"].words == "LimitNOFILE="


def test_what_is_imported_again_is_the_same() -> None:
    made = _made()
    sources = [Source(made.file, made.text.encode())]
    again = unit(converted(sources, around=["db", "work.slice", "default.target"]), "web.agent.yaml")
    agent = again["agent"]
    assert agent["environment"] == {"A": "1 2", "B": 'say "x"'}
    assert agent["stop"]["sequence"] == ["INT 15s", "KILL"]
    assert again["unit"]["description"] == "A web server, 50%% of them"
    assert again["resources"]["memory_max"] == "512M"
    assert _made(converted(sources)[0].text).text.splitlines()[1:2] == made.text.splitlines()[1:2]


def test_what_newer_versions_only_have_says_so() -> None:
    made = _made("agent: {exec: /bin/a, restart: {steps: 3}}\nsandbox: {private_pids: true}\n")
    told = {remark.key: remark.words for remark in made.remarks}
    assert told["sandbox.private_pids"] == "PrivatePIDs=: since version 257 of systemd"
    assert told["agent.restart.steps"] == "RestartSteps=: since version 254 of systemd"


def test_targets_and_slices() -> None:
    target = _made("unit: {wants: [a, b.target]}\n", "all.target.yaml")
    assert (target.file, "Wants=a.service b.target" in target.text) == ("all.target", True)
    limits = _made("resources: {memory_max: 1G}\nslice: {owner: root}\n", "work.slice.yaml")
    assert "[Slice]\nMemoryMax=1G" in limits.text
    assert [one.key for one in limits.remarks if one.grade == "dropped"] == ["slice.owner"]


def test_systemd_accepts_them(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    made = _made()
    (tmp_path / made.file).write_text(made.text)
    (tmp_path / "db.service").write_text(_made("agent: {exec: /bin/true}\n", "db.agent.yaml").text)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / made.file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ours = [line for line in told.stderr.splitlines() if str(tmp_path) in line or "web.service" in line]
    assert ours == []
