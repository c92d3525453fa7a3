"""What an agent of level strict writes and reads of its own and of ours: as root, as an ordinary user, and by Landlock alone."""

from __future__ import annotations

import os
import sys

import pytest

from maestro.drivers.abilities import probe
from tests.system.harness import REPOSITORY, Daemon, until
from tests.system.ordinary import become_ordinary

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0 or not probe().mounts, reason="takes root, and mounts"),
]
KINDS = ("state", "cache", "logs", "runtime")
OPTIONS = {**{f"{kind}_directory": "own" for kind in KINDS}, "set_credential": {"key": "s3cr3t"}}
CODE = """
for kind in STATE CACHE LOGS RUNTIME; do eval place=\\$${kind}_DIRECTORY; touch $place/x && echo $kind; done
cat $CREDENTIALS_DIRECTORY/key; echo
touch $ROOT/etc/x || echo no etc
touch $ROOT/run/maestro/x || echo no run
ls $ROOT/var/lib/maestro || echo no state
cat /etc/shadow || echo no shadow
ls /root || echo no home
exec 2>&1; echo end
"""


@pytest.fixture(params=["root", "dynamic", "ordinary", "landlock"])
def kind(daemon: Daemon, request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "landlock" and not probe().landlock:
        pytest.skip("this kernel has no Landlock")
    if name in ("ordinary", "landlock"):
        become_ordinary(daemon, with_namespaces=name == "ordinary")
    return name


def test_its_own_is_open_and_ours_is_not(daemon: Daemon, kind: str) -> None:
    agent = {
        "exec": ["/bin/sh", "-c", CODE.replace("$", "$$").replace("%", "%%")],
        "type": "oneshot",
        "environment": {"ROOT": str(daemon.root)},
        "credentials_on_disk": True,
        "dynamic_user": kind == "dynamic",
        **OPTIONS,
    }
    daemon.unit("a", agent=agent, sandbox={"level": "strict", "required": kind != "landlock"})
    daemon.start()
    (job,) = daemon.call("start", units=["a"])["jobs"]
    assert job["state"] == "done", (job, daemon.said())
    until(lambda: daemon.log("a").endswith(b"end\n"))
    said = [line for line in daemon.log("a").decode().splitlines() if ": " not in line]
    expected = ["STATE", "CACHE", "LOGS", "RUNTIME", "s3cr3t", "no etc", "no run", "no state", "no shadow"]
    assert said == [*expected, "no home", "end"]
    tiers = daemon.ctl("status", "a").stdout
    assert ("landlock" in tiers) == (kind == "landlock")


def test_a_path_that_the_unit_names_counts_more(daemon: Daemon, kind: str) -> None:
    state = f"{daemon.root}/var/lib/{'private/' if kind == 'dynamic' else ''}own"
    agent = {
        "exec": [
            "/bin/sh",
            "-c",
            "touch $$STATE_DIRECTORY/x || echo closed; touch $$CACHE_DIRECTORY/x && echo open",
        ],
        "type": "oneshot",
        "dynamic_user": kind == "dynamic",
        **dict.fromkeys(("state_directory", "cache_directory"), "own"),
    }
    # What its child does after that is hidden takes no code from there.
    closed = [
        f"-{place}"
        for place in (REPOSITORY, sys.prefix, sys.base_prefix)
        if not "/usr".startswith(str(place))
    ]
    sandbox = {"level": "strict", "required": False, "read_only_paths": [state], "inaccessible_paths": closed}
    daemon.unit("a", agent=agent, sandbox=sandbox)
    daemon.start()
    assert [job["state"] for job in daemon.call("start", units=["a"])["jobs"]] == ["done"], daemon.said()
    until(lambda: daemon.log("a").endswith(b"open\n"))
    assert b"closed\n" in daemon.log("a")
