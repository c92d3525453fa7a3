"""What a unit is told that was started because another ended."""

from __future__ import annotations

import pytest

from tests.system.harness import Daemon, until

pytestmark = pytest.mark.system


def test_a_hook_knows_what_failed(daemon: Daemon) -> None:
    daemon.unit(
        "web",
        unit={"on_failure": ["hook"]},
        agent={"exec": ["/bin/sh", "-c", "exit 7"], "restart": {"policy": "no"}, "type": "oneshot"},
    )
    daemon.unit(
        "hook", agent={"exec": ["/bin/sh", "-c", "env | grep ^MONITOR_ | sort; echo END"], "type": "oneshot"}
    )
    daemon.start()
    daemon.call("start", units=["web"])
    until(lambda: daemon.log("hook").endswith(b"END\n"))
    assert daemon.log("hook").decode().splitlines()[:-1] == [
        "MONITOR_EXIT_CODE=exited",
        "MONITOR_EXIT_STATUS=7",
        f"MONITOR_INVOCATION_ID={daemon.invocation('web#1')}",
        "MONITOR_SERVICE_RESULT=exit-code",
        "MONITOR_UNIT=web",
    ]
