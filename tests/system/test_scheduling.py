"""What a process is to the scheduler, and its limits: a real one reads each of them back."""

from __future__ import annotations

import os
import re
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from maestro.model.limits import LimitsSection
from maestro.model.option import describe
from maestro.model.scheduling import SchedulingOptions
from tests.system.harness import Daemon
from tests.system.test_environment import output

pytestmark = pytest.mark.system

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may")
MACHINE = os.uname().machine
CPU = min(os.sched_getaffinity(0))
CAP_SYS_RESOURCE = 24


def has_capability(number: int) -> bool:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> number & 1)


def failure(daemon: Daemon, **agent: Any) -> str:
    """Why an agent that is made so cannot be started."""
    daemon.unit("one", agent={"exec": ["/bin/true"], "restart": {"policy": "no"}, **agent})
    daemon.start()
    answer = daemon.call("start", units=["one"])
    assert answer["jobs"][0]["state"] == "failed", answer
    cause: str = daemon.status("one")["cause"]
    return cause


# ------------------------------------------------------------------------------------------------ limits

# name -> what the unit says; soft and hard as /proc/PID/limits has them; below what any host gives
LIMITS = {
    "as": ("4G:8G", 4 << 30, 8 << 30),
    "core": ("0", 0, 0),
    "cpu": ("10min:11min", 600, 660),
    "data": ("4G:8G", 4 << 30, 8 << 30),
    "fsize": ("1G:2G", 1 << 30, 2 << 30),
    "locks": ("10:20", 10, 20),
    "memlock": ("16K:32K", 16 << 10, 32 << 10),
    "msgqueue": ("1K:2K", 1 << 10, 2 << 10),
    "nice": ("0", 0, 0),
    "nofile": ("100:200", 100, 200),
    "nproc": ("2000:3000", 2000, 3000),
    "rss": ("4G:8G", 4 << 30, 8 << 30),
    "rtprio": ("0", 0, 0),
    "rttime": ("100ms:1s", 100_000, 1_000_000),
    "sigpending": ("50:60", 50, 60),
    "stack": ("4M:8M", 4 << 20, 8 << 20),
}
TITLES = {
    "as": "Max address space", "core": "Max core file size", "cpu": "Max cpu time", "data": "Max data size",
    "fsize": "Max file size", "locks": "Max file locks", "memlock": "Max locked memory",
    "msgqueue": "Max msgqueue size", "nice": "Max nice priority", "nofile": "Max open files",
    "nproc": "Max processes", "rss": "Max resident set", "rtprio": "Max realtime priority",
    "rttime": "Max realtime timeout", "sigpending": "Max pending signals", "stack": "Max stack size",
}  # fmt: skip


def test_each_limit_is_the_kernels(daemon: Daemon) -> None:
    assert LIMITS.keys() == {option.name for option in describe(LimitsSection)}
    wanted = {name: text for name, (text, _, _) in LIMITS.items()}
    lines = output(daemon, "cat /proc/self/limits", limits=wanted)
    found = {line[:26].strip(): tuple(line[26:68].split()) for line in lines[1:]}
    assert {name: found[TITLES[name]] for name in LIMITS} == {
        name: (str(soft), str(hard)) for name, (_, soft, hard) in LIMITS.items()
    }


def test_infinity_is_no_limit(daemon: Daemon) -> None:
    lines = output(daemon, "ulimit -S -v; ulimit -H -v", limits={"as": "4G:infinity"})
    assert lines == [str(4 << 20), "unlimited"]


def test_a_limit_that_only_root_may_raise_is_named(daemon: Daemon) -> None:
    if has_capability(CAP_SYS_RESOURCE):
        pytest.skip("here every limit may be raised")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    told = failure(daemon, limits={"nofile": most + 1})
    assert f"cannot set its limit NOFILE to {most + 1}:{most + 1}: operation not permitted" in told


# ------------------------------------------------------------------------------------------------ the others

READ = {  # option -> what the unit says; what a shell reads back; what that is
    "nice": (5, "nice", "5"),
    "cpu_scheduling_policy": ("batch", "cut -d')' -f2 /proc/self/stat | cut -d' ' -f40", "3"),
    "cpu_affinity": ([CPU], "sed -n 's/^Cpus_allowed_list:\\t//p' /proc/self/status", str(CPU)),
    "numa_policy": ("local", "sed -n '1s/^[0-9a-f]* //p' /proc/self/numa_maps | cut -d' ' -f1", "local"),
    "io_scheduling_class": ("idle", "LC_ALL=C ionice", "idle"),
    "io_scheduling_priority": (6, "LC_ALL=C ionice", "best-effort: prio 6"),
    "oom_score_adjust": (500, "cat /proc/self/oom_score_adj", "500"),
    "timer_slack": ("70us", "cat /proc/$$/timerslack_ns", "70000"),
    "ignore_sigpipe": (True, "kill -PIPE $$; echo alive", "alive"),
    "coredump_filter": (["elf-headers", "private-dax"], "cat /proc/self/coredump_filter", "00000090"),
    "exec_search_path": (["/nowhere", "/bin"], 'echo "$PATH"', "/nowhere:/bin"),
}
ELSEWHERE = {  # tested below
    "supplementary_groups", "cpu_scheduling_priority", "cpu_scheduling_reset_on_fork", "numa_mask", "personality",
    "keyring_mode",
}  # fmt: skip


def test_each_option_is_read_back(daemon: Daemon) -> None:
    own = SchedulingOptions.__annotations__.keys() - {"limits"}  # without those of what it is made from
    assert READ.keys() | ELSEWHERE == own
    if not Path("/proc/self/numa_maps").exists():
        pytest.skip("this kernel knows no NUMA")
    wanted: dict[str, Any] = {
        name: value for name, (value, _, _) in READ.items() if name != "io_scheduling_priority"
    }
    code = "; ".join(code for name, (_, code, _) in READ.items() if name in wanted)
    code = code.replace("$PATH", "${PATH%:/usr/bin}")
    lines = output(daemon, f"export PATH=$PATH:/usr/bin; {code}", **wanted)
    assert dict(zip(wanted, lines, strict=True)) == {name: READ[name][2] for name in wanted}


def test_a_priority_of_the_disk_alone_is_best_effort(daemon: Daemon) -> None:
    value, code, found = READ["io_scheduling_priority"]
    assert output(daemon, str(code), io_scheduling_priority=value) == [found]


@as_root
def test_real_time(daemon: Daemon) -> None:
    code = "chrt -p $$ | sed 's/.*: //'; sh -c 'chrt -p $$' | sed 's/.*: //'"
    wanted: dict[str, Any] = {
        "cpu_scheduling_policy": "rr",
        "cpu_scheduling_priority": 7,
        "cpu_scheduling_reset_on_fork": True,
    }
    lines = output(daemon, code, **wanted)
    assert lines[:2] == ["SCHED_RR|SCHED_RESET_ON_FORK", "7"]
    assert lines[2:] == ["SCHED_OTHER", "0"]


@pytest.mark.skipif(not Path("/sys/devices/system/node/node0").exists(), reason="no node to bind to")
def test_memory_of_a_node(daemon: Daemon) -> None:
    code = "sed -n '1s/^[0-9a-f]* //p' /proc/self/numa_maps | cut -d' ' -f1"
    assert output(daemon, code, numa_policy="bind", numa_mask="0") == ["bind:0"]


@pytest.mark.skipif(MACHINE != "x86_64", reason="the names are of another machine")
def test_a_personality(daemon: Daemon) -> None:
    assert output(daemon, "uname -m", personality="x86") == ["i686"]
    assert output(daemon, "uname -m", name="two", personality="x86-64") == ["x86_64"]
    daemon.unit("three", agent={"exec": ["/bin/true"], "personality": "s390"})
    daemon.call("daemon-reload")
    daemon.call("start", units=["three"])
    assert "cannot have personality s390: this machine is x86-64" in daemon.status("three")["cause"]


KEYS = """
import ctypes
call = ctypes.CDLL(None).syscall
print(call(250, 0, -3, 0), call(250, 11, -3, (buffer := (ctypes.c_int * 8)()), 32) // 4, call(250, 0, -4, 1) in buffer)
"""


@as_root
@pytest.mark.skipif(MACHINE != "x86_64", reason="the number of keyctl(2) is of another machine")
def test_a_session_keyring(daemon: Daemon) -> None:
    """Whose keyring it is, how many keys are in it, and whether its user's are among them."""
    seen = {}
    for mode in ("inherit", "private", "shared"):
        code = f"/usr/bin/python3 -c '{KEYS}'"
        [line] = output(daemon, code, name=mode, keyring_mode=mode, user="daemon")
        number, *seen[mode] = line.split()
        seen[mode].append(number)
    assert seen["private"][:2] == ["0", "False"]
    assert seen["shared"][:2] == ["1", "True"]
    assert len({numbers[-1] for numbers in seen.values()}) == 3


@as_root
def test_further_groups(daemon: Daemon) -> None:
    assert output(daemon, "id -G", supplementary_groups=["4242", 4243]) == ["0 4242 4243"]
    assert output(
        daemon, "id -u; id -G", name="two", user="nobody", supplementary_groups=["daemon", "4242"]
    ) == [
        "65534",
        "65534 1 4242",
    ]


# ------------------------------------------------------------------------------------------------ what cannot be


def test_a_cpu_that_is_not_there_is_named(daemon: Daemon) -> None:
    assert "cannot keep it to CPUs 8000,8001: invalid argument" in failure(daemon, cpu_affinity="8000-8001")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"oom_score_adjust": -900}, "set its OOM score to -900"),
        ({"limits": {"nice": -5}}, "set its limit NICE to 25:25"),
    ],
)
def test_what_takes_a_capability_is_named(daemon: Daemon, options: dict[str, Any], told: str) -> None:
    if has_capability(CAP_SYS_RESOURCE):
        pytest.skip("here it may be done")
    assert f"cannot {told}: " in failure(daemon, **options)


@as_root
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"nice": -5}, "cannot set its nice level to -5: permission denied"),
        (
            {"io_scheduling_class": "realtime"},
            "cannot set its I/O priority to realtime 4: operation not permitted",
        ),
        (
            {"cpu_scheduling_policy": "fifo"},
            "cannot set its CPU scheduling to fifo 1: operation not permitted",
        ),
        ({"supplementary_groups": ["4242"]}, "cannot set its groups 4242: operation not permitted"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_what_an_ordinary_user_may_not_is_named(daemon: Daemon, options: dict[str, Any], told: str) -> None:
    """As root without the capabilities, for a checkout in root's home is closed to others."""
    without = "-sys_nice,-sys_admin,-setgid,-sys_resource"
    daemon.prefix = ("setpriv", f"--bounding-set={without}", f"--inh-caps={without}")
    assert told in failure(daemon, **options)
