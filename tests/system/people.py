"""Clients that are somebody else: a forked child that gives its rights away and asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from maestro.control.trouble import CallError
from tests.system.harness import REPOSITORY, Daemon, patient
from tests.system.ordinary import becoming


def ask_as(
    uid: int, daemon: Daemon, do: str, *, groups: tuple[int, ...] = (), **fields: Any
) -> dict[str, Any]:
    """What a user is answered; of a refusal `{"code": …, "message": …}`."""
    return _forked(uid, groups, lambda: daemon.call(do, **fields))


def watch_as(uid: int, daemon: Daemon, do: str, **fields: Any) -> list[dict[str, Any]]:
    """What a stream has for a user; of a refusal that."""
    answer = _forked(uid, (), lambda: {"items": list(daemon.client.stream(do, fields))})
    return list(answer.get("items", [answer]))


def _forked(uid: int, groups: tuple[int, ...], ask: Any) -> dict[str, Any]:
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setgid(uid)
            os.setuid(uid)
            try:
                answer = ask()
            except CallError as error:
                answer = {"code": error.code, "message": str(error)}
            with os.fdopen(there, "w") as file:
                json.dump(answer, file)
        finally:
            os._exit(0)
    os.close(there)
    with os.fdopen(here) as file:
        text = file.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(text)
    return found


def ctl_as(uid: int, daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run maestroctl as a user."""
    environ = {**os.environ, "PYTHONPATH": f"{REPOSITORY}/daemon:{REPOSITORY}/plugins", "NO_COLOR": "1"}
    return subprocess.run(
        [*becoming(uid), sys.executable, "-m", "maestro.cli", "--root", str(daemon.root), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=patient(30),
        check=False,
        cwd="/",
    )
