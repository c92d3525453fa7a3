"""The same recipe, started by the keeper itself and by a starter: nothing that can be seen from outside tells the two apart."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from maestro.keeper import vfork
from maestro.keeper.proc import Proc
from tests.keeper.rig import Manager, Rig, until
from tests.keeper.test_many_starts import at_once, spawn, those_of

pytestmark = pytest.mark.system
MANY = range(2, 12)
FILES = (
    *("limits", "oom_score_adj", "cgroup", "environ", "cmdline", "personality", "coredump_filter"),
    *("timerslack_ns", "loginuid", "sessionid", "setgroups", "uid_map", "cpuset", "attr/current"),
)
LINKS = ("cwd", "root", "exe", *(f"ns/{name}" for name in ("mnt", "net", "ipc", "pid", "user", "uts")))
ITS_OWN = re.compile(
    r"^(State|\w*[Pp]id|N?S?[Tt]gid|NSpgid|NSsid|Ngid|Vm\w*|Rss\w*|SigQ|Hugetlb\w*|\w*ctxt_switches):.*$",
    re.M,
)
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "modest": {"umask": 0o077, "oom_score_adjust": 500},
    "user": {"uid": 4321, "gid": 4322, "groups": (4323, 4324)},
    "user without groups": {"uid": 4321, "gid": 4322, "groups": ()},
    "root with a group": {"groups": (7,)},
}


def seen(pid: int) -> dict[str, Any]:
    """Once it sleeps: a moment before, its exec has let us go on, and its arguments are not there yet."""
    until(lambda: (found := Proc().look(pid)) and found.state == "S" and found.executed, "it has begun")
    folder = Path(f"/proc/{pid}")
    found: dict[str, Any] = {name: os.readlink(folder / name) for name in LINKS}
    for name in FILES:
        with contextlib.suppress(OSError):  # this kernel has none
            found[name] = (folder / name).read_text()
    for line in ITS_OWN.sub("", (folder / "status").read_text()).split("\n"):
        found[line.partition(":")[0]] = line
    found["cpus"] = os.sched_getaffinity(pid)
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    found["leads its group and session"] = [field == str(pid) for field in fields[2:4]]
    found["parent, terminal, nice, exit signal, priority, policy"] = fields[1:2] + fields[4:6] + [
        fields[place] for place in (15, 16, 35, 37, 38)
    ]  # fmt: skip
    found["files"] = {one.name: os.readlink(one) for one in (folder / "fd").iterdir()}
    found["their flags"] = {
        one.name: re.findall(r"flags:.*", one.read_text()) for one in (folder / "fdinfo").iterdir()
    }
    found["owners"] = [
        folder.stat().st_uid,
        (folder / "fd/1").stat().st_uid,
        (folder / "fd/1").stat().st_mode,
    ]
    return found


@pytest.mark.parametrize("prefix", [(), ("nohup", "nice", "-n", "3", "env", "--ignore-signal=USR1")], ids=len)
@pytest.mark.parametrize("name", RECIPES)
def test_it_is_the_same(rig: Rig, name: str, prefix: tuple[str, ...]) -> None:
    recipe = RECIPES[name]
    if not Path(vfork.PATH).exists() or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there are no starters")
    if os.geteuid() != 0 and "groups" in recipe:
        pytest.skip("changes its user")
    rig.prefix = prefix
    keeper: Manager = rig.start()
    keeper.hello()
    spawn(keeper, "a#1", env={"A": "b", "EMPTY": ""}, **recipe)
    lone = seen(keeper.news("spawned", "a#1")[2])
    assert those_of(rig) == [], "the keeper has started it"
    keeper.order("send", "a#1", signal.SIGKILL, True)
    keeper.news("ended", "a#1")
    with at_once(rig):
        for number in MANY:
            spawn(keeper, f"a#{number}", env={"A": "b", "EMPTY": ""}, **recipe)
    others = [keeper.news("spawned", f"a#{number}")[2] for number in MANY]
    assert len(those_of(rig)) == 2, "they have started all but the last"
    for other in map(seen, others):
        assert {what: (lone[what], other[what]) for what in lone if lone[what] != other[what]} == {}
