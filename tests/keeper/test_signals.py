"""Signals that a real keeper sends to its agents."""

from __future__ import annotations

import os
import signal

import pytest

from maestro.keeper.proc import Proc
from tests.keeper.rig import Manager, until

pytestmark = pytest.mark.system


@pytest.mark.parametrize("tree", [False, True])
def test_one_that_was_stopped_hears_the_signal_of_a_stop(manager: Manager, *, tree: bool) -> None:
    manager.spawn("a#1", "sleep", "1000")
    pid = manager.news("spawned", "a#1")[2]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: (seen := Proc().look(pid)) and seen.state == "T", "it stands still")
    manager.order("send", "a#1", signal.SIGTERM, tree, 1)
    assert manager.news("ended", "a#1")[2:4] == (None, signal.SIGTERM)
