"""Standard streams, places and the descriptor for readiness, of real agents under a real daemon."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.system.harness import Daemon, patient

pytestmark = pytest.mark.system


def run(daemon: Daemon, code: str, **agent: object) -> dict[str, object]:
    daemon.unit("one", agent={"exec": ["/bin/sh", "-c", code], "type": "oneshot", **agent})
    daemon.start()
    answer = daemon.call("start", units=["one"])
    assert not answer["errors"], answer
    job: dict[str, object] = answer["jobs"][0]
    return job


def test_from_a_file_into_files(daemon: Daemon) -> None:
    (daemon.root / "in").write_text("question\n")
    (daemon.root / "out").write_text("before\n")
    job = run(
        daemon,
        "read x; echo answer to $$x; echo oh >&2",
        stdin=f"file:{daemon.root}/in",
        stdout=f"append:{daemon.root}/out",
        stderr=f"truncate:{daemon.root}/err",
    )
    assert job["state"] == "done"
    assert (daemon.root / "out").read_text() == "before\nanswer to question\n"
    assert (daemon.root / "err").read_text() == "oh\n"


def test_what_cannot_be_opened_is_said(daemon: Daemon) -> None:
    job = run(daemon, "true", stdout="append:/no/such/file", restart={"policy": "no"})
    assert (job["state"], job["words"]) == (
        "failed",
        "cannot open its output /no/such/file: no such file or directory",
    )


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_one_that_waits_for_the_other_end_of_a_fifo_is_stopped_at_once(daemon: Daemon, stream: str) -> None:
    os.mkfifo(daemon.root / "fifo")
    agent = {
        "exec": "sleep 1000",
        stream: f"file:{daemon.root}/fifo",
        "stop": {"sequence": ["TERM 30s", "KILL"]},
    }
    daemon.unit("one", agent=agent)
    daemon.start()
    with daemon.in_background(("start", {"units": ["one"]})):
        daemon.wait_state("one", "activating")
        began = time.monotonic()
        answer = daemon.call("stop", units=["one"])
        assert time.monotonic() - began < patient(
            5
        )  # within milliseconds, on a machine that has nothing else to do
    assert answer["jobs"][0]["words"] == "stopped on request"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root")
def test_another_root_that_is_empty(daemon: Daemon, tmp_path: Path) -> None:
    job = run(daemon, "true", root_directory=str(tmp_path), restart={"policy": "no"})
    assert job["words"] == "cannot execute /bin/sh: no such file or directory"


def test_ready_on_a_descriptor_though_the_manager_is_killed(daemon: Daemon) -> None:
    go = daemon.root / "go"
    os.mkfifo(go)
    code = f"read x <{go}; echo >&5; exec sleep 1000"
    daemon.unit("one", agent={"exec": ["/bin/sh", "-c", code], "type": "notify", "notify_fd": 5})
    daemon.start()
    with daemon.in_background(("start", {"units": ["one"]})) as answers:
        daemon.wait_state("one", "activating")
        daemon.kill_manager()
        go.write_text("now\n")
        daemon.wait_state("one", "active")
    assert answers[0]["jobs"][0]["state"] == "done"
