"""What a unit may use, enforced by the kernel: every key of `resources` with a real process, whatever control groups this host has."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers import cgroups
from tests.system.harness import Daemon, daemon_in, until

pytestmark = pytest.mark.system

KIND = cgroups.probe(cgroups.this_host(0)) if os.geteuid() == 0 else "none"
needs_groups = pytest.mark.skipif(KIND == "none", reason="this host has no control groups that we may use")
needs_v2 = pytest.mark.skipif(KIND != "v2", reason="only cgroup v2 has it")

EATER = """
import sys, time
eaten = bytearray()
for _ in range(int(sys.argv[1])):
    eaten += b"x" * (1 << 20)
    print(len(eaten) >> 20, flush=True)
print("all of it", flush=True)
time.sleep(1000)
"""
_FORKER = """
import os, sys, time
born = 0
try:
    for _ in range(int(sys.argv[1])):
        if os.fork() == 0:
            time.sleep(1000)
        born += 1
except OSError as error:
    print("refused after", born, error.errno, flush=True)
else:
    print("all born", flush=True)
time.sleep(1000)
"""
_BUSY = "while True: pass"


def python(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", script, *map(str, arguments)]


def run(daemon: Daemon, name: str, command: list[str], *, start: bool = True, **resources: Any) -> int:
    """Start it; returns the pid of its main process."""
    restart = {"policy": "no"}
    daemon.unit(name, agent={"exec": command, "restart": restart}, resources=resources)
    if not start:
        return 0
    if daemon.process is None:
        daemon.start()
    else:
        daemon.call("daemon-reload")
    daemon.call("start", units=[name])
    return int(daemon.status(name)["pid"])


def group(daemon: Daemon, name: str, controller: str) -> Path:
    """The unit's group in the hierarchy that has this controller."""
    layout = cgroups.detect(cgroups.this_host(0), str(daemon.root))
    base = layout.tracking if layout.kind == "v2" else layout.v1[controller]
    return Path(base, f"{name}.agent")


def says(daemon: Daemon, name: str, words: str) -> bool:
    """Whether it does, sooner or later."""
    until(lambda: words.encode() in daemon.log(name), what=f"{name} says {words}")
    return words.encode() in daemon.log(name)


def memory_limit(daemon: Daemon, name: str) -> str:
    found = group(daemon, name, "memory")
    [text] = [p.read_text() for p in (found / "memory.max", found / "memory.limit_in_bytes") if p.exists()]
    return text.strip()


@needs_groups
def test_memory_max_kills(daemon: Daemon) -> None:
    run(daemon, "eater", python(EATER, 200), memory_max="48M", memory_swap_max=0)
    seen = daemon.wait_state("eater", "failed")
    assert "SIGKILL" in seen["cause"] or "memory" in seen["cause"]
    eaten = daemon.log("eater").split()
    assert 10 < int(eaten[-1]) < 48


@needs_groups
def test_without_it_there_is_no_limit(daemon: Daemon) -> None:
    run(daemon, "eater", python(EATER, 100))
    assert says(daemon, "eater", "all of it")


@needs_groups
def test_who_names_no_limits_has_the_usual_ones(daemon: Daemon) -> None:
    run(daemon, "plain", ["/bin/sleep", "1000"])
    assert (group(daemon, "plain", "pids") / "pids.max").read_text() == "512\n"
    assert memory_limit(daemon, "plain") == str(1 << 30)


@needs_groups
def test_a_limit_that_was_changed_between_two_starts_holds(daemon: Daemon, folder: Path) -> None:
    """Also where its groups are kept, for it is only down until its next start."""
    until_then = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    agent = {"exec": python(until_then, folder / "go"), "restart": {"policy": "always", "delay": "2s"}}
    daemon.unit("web", agent=agent, resources={"memory_max": "100M"})
    daemon.start()
    daemon.call("start", units=["web"])
    assert memory_limit(daemon, "web") == str(100 << 20)
    (folder / "go").touch()
    daemon.wait_state("web", "auto-restart")
    (folder / "go").unlink()
    daemon.unit("web", agent=agent, resources={"memory_max": "200M"})
    daemon.call("daemon-reload")
    daemon.wait_state("web", "active")
    assert memory_limit(daemon, "web") == str(200 << 20)


@needs_groups
def test_tasks_max_refuses_a_fork(daemon: Daemon) -> None:
    run(daemon, "forker", python(_FORKER, 50), tasks_max=10)
    assert says(daemon, "forker", "refused after 9 11")


@needs_groups
def test_tasks_max_counts_the_commands_beside_it(daemon: Daemon, folder: Path) -> None:
    """It has four tasks, the shell is the fifth, and what that would start is one too many."""
    born = f"{folder}/born"
    forker = _FORKER.replace('print("all born", flush=True)', f'open({born!r}, "w")')
    daemon.unit(
        "both",
        agent={
            "exec": python(forker, 3),
            "exec_start_post": [["/bin/sh", "-c", f"while ! [ -e {born} ]; do :; done; /bin/true; exit 7"]],
            "restart": {"policy": "no"},
        },
        resources={"tasks_max": 5},
    )
    daemon.start()
    assert daemon.ctl("start", "both").returncode != 0
    assert says(daemon, "both", "annot fork")


@needs_groups
def test_cpu_max_holds_it_back(daemon: Daemon) -> None:
    pid = run(daemon, "busy", python(_BUSY), cpu_max="20%")
    before, began = ticks(pid), uptime()
    until(lambda: uptime() - began > 1.5)
    share = (ticks(pid) - before) / os.sysconf("SC_CLK_TCK") / (uptime() - began)
    assert share < 0.35, f"{share:.0%} of a processor"


@needs_groups
def test_cpu_weight_shares(daemon: Daemon) -> None:
    """Two that want all of one processor: four parts to one."""
    one = min(os.sched_getaffinity(0))
    pin = f"import os; os.sched_setaffinity(0, {{{one}}})\n{_BUSY}"
    run(daemon, "much", python(pin), start=False, cpu_weight=800)
    few = run(daemon, "few", python(pin), cpu_weight=100)
    daemon.call("start", units=["much"])
    much = daemon.status("much")["pid"]
    start, began = (ticks(much), ticks(few)), uptime()
    until(lambda: uptime() - began > 2, within=30)
    used = ticks(much) - start[0], ticks(few) - start[1]
    assert used[0] > 2.5 * used[1], used


@needs_groups
def test_an_idle_one_gets_what_is_left(daemon: Daemon) -> None:
    """Of one processor that another wants as well, next to nothing; of one that nobody wants, all."""
    one = min(os.sched_getaffinity(0))
    pin = f"import os; os.sched_setaffinity(0, {{{one}}})\n{_BUSY}"
    run(daemon, "eager", python(pin), start=False, cpu_weight=100)  # v1 compares those that have a weight
    lazy = run(daemon, "lazy", python(pin), cpu_weight="idle")
    assert (group(daemon, "lazy", "cpu") / "cpu.idle").read_text() == "1\n"
    until(lambda: ticks(lazy) > 10, what="it runs while nobody else does")
    daemon.call("start", units=["eager"])
    eager = int(daemon.status("eager")["pid"])
    start = ticks(eager), ticks(lazy)
    until(lambda: ticks(eager) - start[0] > 100, within=30, what="a second for the other")
    assert ticks(lazy) - start[1] < 20, "it took from who wants the processor"


@needs_groups
def test_cpu_period_is_what_cpu_max_is_counted_over(daemon: Daemon) -> None:
    """The same share, in many short turns or in few long ones: so the kernel counts."""
    run(daemon, "long", python(_BUSY), start=False, cpu_max="20%", cpu_period="1s")
    run(daemon, "short", python(_BUSY), cpu_max="20%", cpu_period="10ms")
    assert not daemon.call("start", units=["long"])["errors"]
    before = periods(daemon, "short"), periods(daemon, "long")
    until(lambda: periods(daemon, "short")[0] - before[0][0] > 60, within=30, what="60 periods of 10 ms")
    short, long = periods(daemon, "short"), periods(daemon, "long")
    assert long[0] - before[1][0] <= (short[0] - before[0][0]) / 20, (short, long)
    assert short[1] > before[0][1], "it was never held back"


def periods(daemon: Daemon, name: str) -> tuple[int, int]:
    """Those in which it ran, and those at whose end it had to wait."""
    lines = (group(daemon, name, "cpu") / "cpu.stat").read_text().splitlines()
    counts = dict(line.split() for line in lines)
    return int(counts["nr_periods"]), int(counts["nr_throttled"])


@needs_groups
def test_allowed_cpus(daemon: Daemon) -> None:
    one = max(os.sched_getaffinity(0))
    pid = run(daemon, "pinned", ["/bin/sleep", "1000"], allowed_cpus=str(one), allowed_memory_nodes="0")
    assert os.sched_getaffinity(pid) == {one}
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Mems_allowed_list:\t0\n" in status


@needs_v2
def test_memory_high_slows_it_down(daemon: Daemon) -> None:
    run(daemon, "slow", python(EATER, 16), memory_high="10M", memory_max="64M")
    events = group(daemon, "slow", "memory") / "memory.events"
    until(lambda: "high 0\n" not in events.read_text(), what="it was held back")
    assert daemon.status("slow")["state"] == "active"


@needs_groups
def test_a_change_holds_at_once(daemon: Daemon) -> None:
    pid = run(daemon, "forker", python(_FORKER, 50), tasks_max=10)
    assert says(daemon, "forker", "refused after 9")
    daemon.unit(
        "forker",
        agent={"exec": python(_FORKER, 50), "restart": {"policy": "no"}},
        resources={"tasks_max": 30, "cpu_max": "50%", "memory_max": "300M"},
    )
    daemon.call("daemon-reload")
    assert (group(daemon, "forker", "pids") / "pids.max").read_text() == "30\n"
    assert daemon.status("forker")["pid"] == pid
    quota = group(daemon, "forker", "cpu")
    texts = [path.read_text() for path in (quota / "cpu.max", quota / "cpu.cfs_quota_us") if path.exists()]
    assert texts in (["50000 100000\n"], ["50000\n"])
    assert str(pid) in processes(quota)


@needs_groups
def test_set_writes_a_drop_in_that_holds_at_once(daemon: Daemon) -> None:
    pid = run(daemon, "web", ["/bin/sleep", "1000"], tasks_max=10)
    said = daemon.ctl("set", "web", "resources.tasks_max=7", "resources.cpu_max=70%", check=True)
    assert "changed: web" in said.stdout
    assert (group(daemon, "web", "pids") / "pids.max").read_text() == "7\n"
    assert daemon.status("web")["pid"] == pid
    refused = daemon.ctl("set", "web", "resources.tasks_max=none")
    assert (refused.returncode != 0, "is left as it was" in refused.stderr) == (True, True)
    assert "did you mean tasks_max?" in daemon.ctl("set", "web", "resources.task_max=1").stderr
    daemon.ctl("set", "--runtime", "web", "resources.tasks_max=8", check=True)
    assert (group(daemon, "web", "pids") / "pids.max").read_text() == "8\n"


def test_the_doctor_names_the_driver_and_what_it_costs(folder: Path) -> None:
    with daemon_in(folder, MAESTRO_CGROUPS="none") as daemon:
        daemon.start()
        found = daemon.ctl("doctor", check=True).stdout
    assert "control groups: turned off by $MAESTRO_CGROUPS" in found
    assert "limits of a whole process tree" in found


@needs_groups
def test_what_is_taken_back_is_without_limit(daemon: Daemon) -> None:
    command = ["/bin/sleep", "1000"]
    run(daemon, "free", command, tasks_max=10, cpu_weight=500)
    daemon.unit("free", agent={"exec": command}, resources={"tasks_max": "infinity"})
    daemon.call("daemon-reload")
    assert (group(daemon, "free", "pids") / "pids.max").read_text() == "max\n"


@needs_groups
def test_the_groups_are_gone_afterwards(daemon: Daemon) -> None:
    run(daemon, "short", ["/bin/sleep", "1000"], tasks_max=10, cpu_weight=500)
    found = group(daemon, "short", "pids")
    assert found.exists()
    daemon.call("stop", units=["short"])
    until(lambda: not found.exists(), what="its group is gone")
    bases = cgroups.detect(cgroups.this_host(0), str(daemon.root)).bases
    assert daemon.stop() == 0
    assert not any(os.path.exists(base) for base in bases)


# ------------------------------------------------------------------------------------------------ what the kernel says


def ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


def device_of(path: Path) -> str | None:
    number = path.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    return device if Path(f"/sys/dev/block/{device}").exists() else None


def processes(top: Path) -> str:
    return " ".join(path.read_text() for path in (top / "cgroup.procs", *top.glob("*/cgroup.procs")))
