"""Units made of several files, other names, masks: a real daemon, asked as an operator would."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import Daemon, daemon_in, until

SLEEP = ["sleep", "1000"]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with daemon_in(tmp_path / "r", MAESTRO_ENVIRONMENT="prod") as one:
        yield one


def write(daemon: Daemon, path: str, text: str) -> None:
    file = daemon.units / path
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)


def test_pieces_of_a_unit_reach_its_agent(daemon: Daemon) -> None:
    daemon.unit(
        "web@", agent={"exec": ["sh", "-c", "echo $A $B $C $D; exec sleep 1000"], "environment": {"A": 1}}
    )
    write(daemon, "environments/prod/web@.agent.yaml", "agent: {environment: {B: prod}}\n")
    write(daemon, "environments/test/web@.agent.yaml", "agent: {environment: {B: test}}\n")
    write(daemon, "agent.d/all.yaml", "agent: {environment: {C: all, D: all}}\n")
    write(daemon, "web@1.agent.yaml.d/d.yaml", "agent: {environment: {D: one}}\n")
    daemon.start()
    assert daemon.ctl("start", "web@1").returncode == 0
    until(lambda: b"1 prod all one" in daemon.log("web@1"), what="the line of the agent")
    assert [line for line in daemon.ctl("cat", "web@1").stdout.splitlines() if line.startswith("#")] == [
        f"# {daemon.units}/{path}"
        for path in ("web@.agent.yaml", "environments/prod/web@.agent.yaml", "agent.d/all.yaml", "web@1.agent.yaml.d/d.yaml")
    ]  # fmt: skip
    assert f"{daemon.units}/web@1.agent.yaml.d/d.yaml:1:" in daemon.ctl("show", "web@1").stdout
    write(daemon, "web@1.agent.yaml.d/d.yaml", "agent: {envrionment: {D: one}}\n")
    assert "web@1.agent.yaml.d/d.yaml:1:9: agent.envrionment" in daemon.ctl("daemon-reload").stdout
    assert daemon.status("web@1")["state"] == "active"


def test_edit_is_read_and_says_what_it_asks_for(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.unit("web", agent={"exec": SLEEP})
    daemon.start()
    daemon.ctl("start", "web", check=True)
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\necho 'agent: {environment: {A: 1}, start_timeout: 9s}' > $1\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    said = daemon.ctl("edit", "web").stdout
    assert "web needs: maestroctl restart web, for agent.environment\n" in said
    assert (
        f"agent.start_timeout = 9s  # {daemon.units}/web.agent.yaml.d/override.yaml:1:"
        in daemon.ctl("show", "web").stdout
    )
    assert "[EXTENDED]" in daemon.ctl("delta").stdout
    daemon.unit("web", agent={"exce": SLEEP})
    daemon.ctl("daemon-reload")
    shown = daemon.ctl("show", "web")
    assert (shown.returncode, "agent.exce: no such option" in shown.stdout) == (1, True)


def test_a_masked_unit_runs_on_and_cannot_be_started(daemon: Daemon) -> None:
    vendor = daemon.root / "usr/lib/maestro/units"
    vendor.mkdir(parents=True, mode=0o755)
    write(daemon, str(vendor / "db.agent.yaml"), f"agent: {{exec: {SLEEP}}}\n")
    daemon.unit("web", unit={"requires": ["db"]}, agent={"exec": SLEEP})
    daemon.start()
    daemon.ctl("start", "db", check=True)
    daemon.ctl("mask", "db", check=True)
    assert daemon.status("db")["state"] == "active"
    daemon.kill_manager()
    assert daemon.status("db")["load"] == "masked"
    assert daemon.ctl("is-enabled", "db").stdout == "masked\n"
    assert daemon.ctl("stop", "db").returncode == 0
    for name in ("db", "web"):
        done = daemon.ctl("start", name)
        assert done.returncode == 6
        assert f"db is masked by {daemon.units}/db.agent.yaml" in done.stderr
    daemon.ctl("unmask", "db", check=True)
    assert daemon.ctl("start", "web").returncode == 0


def test_an_alias_is_the_unit(daemon: Daemon) -> None:
    daemon.unit(
        "postgres", agent={"exec": ["sh", "-c", "echo up; exec sleep 1000"]}, install={"alias": ["pg"]}
    )
    daemon.unit("web", unit={"requires": ["pg"], "after": ["pg"]}, agent={"exec": SLEEP})
    daemon.start()
    assert "created" in daemon.ctl("enable", "postgres", check=True).stdout
    assert daemon.ctl("start", "web").returncode == 0
    assert daemon.ctl("status", "pg").stdout.startswith("● postgres")
    until(lambda: "up" in daemon.ctl("logs", "pg").stdout, what="its log")
    assert "postgres" in daemon.ctl("events", "pg").stdout
    assert "removed" in daemon.ctl("disable", "pg", check=True).stdout
    assert daemon.ctl("status", "pg").returncode == 4
