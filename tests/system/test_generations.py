"""Generations of the configuration, in a real daemon: they outlive its manager, and its host's boots."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.harness import Daemon, until

pytestmark = pytest.mark.system
SLEEP = ["/bin/sleep", "1000"]


def listed(daemon: Daemon) -> list[tuple[int, str]]:
    return [(one["number"], one["reason"]) for one in daemon.call("generations")["items"]]


def changed_file(daemon: Daemon, name: str, **agent: Any) -> None:
    daemon.unit(name, agent={"exec": SLEEP, **agent})


def test_what_was_read_is_numbered_and_found_again_by_the_next_manager(daemon: Daemon) -> None:
    changed_file(daemon, "a")
    daemon.start()
    assert listed(daemon) == [(1, "the first")]
    changed_file(daemon, "a", environment={"SEEN": "by everyone", "A": "1"})
    changed_file(daemon, "b")
    daemon.call("daemon-reload", reason="a second agent")
    daemon.call("daemon-reload")
    assert listed(daemon) == [(2, "a second agent"), (1, "the first")], "the last has found nothing new"
    before = daemon.manager()
    daemon.kill_manager()
    until(lambda: daemon.manager() not in (None, before), what="the next manager")
    assert listed(daemon)[0] == (2, "a second agent"), "nothing has changed meanwhile"
    changed_file(daemon, "b", environment={"B": "2"})
    before = daemon.manager()
    daemon.kill_manager()
    until(lambda: daemon.manager() not in (None, before), what="the next manager")
    assert listed(daemon)[0] == (3, "the files were changed meanwhile")
    [found] = daemon.call("generation-diff", before=2, after=3)["items"]
    assert found["path"].endswith("/b.agent.yaml")
    assert any("B" in line for line in found["lines"] if line.startswith("+"))
