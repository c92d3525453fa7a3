"""An agent takes all it can get of something: its unit's limits hold it, and 20 others and the manager notice only load."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers import cgroups
from maestro.drivers.abilities import probe
from tests.system.harness import Daemon, daemon_in, patient, until

KIND = cgroups.probe(cgroups.this_host(0)) if os.geteuid() == 0 else "none"
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(KIND == "none", reason="this host has no control groups that we may use"),
]
HEALTHY = [f"healthy{number:02}" for number in range(20)]
LONGEST_STALL = (
    5.0  # seconds, on a host with other work; a hog that gets through takes all for as long as it lives
)
BEATS = 20  # of each healthy agent that have to come while the hog is at its limit

# A numbered line 20 times a second, and with it for how long nothing was heard of it, in milliseconds.
HEART = """
import os, select, socket, time
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
    door.connect(os.environ["NOTIFY_SOCKET"])
    door.send(b"READY=1")
    last, number = time.monotonic(), 0
    while True:
        select.select([], [], [], 0.05)
        now = time.monotonic()
        number += 1
        os.write(1, b"%d %d\\n" % (number, (now - last) * 1000))
        last = now
        door.send(b"WATCHDOG=1")
"""
# Each child forks as its parent does. 512 are born at most, should nothing hold them.
FORK_BOMB = """
import os
born = 0
while born < 9:
    try:
        os.fork()
        born += 1
    except OSError:
        pass
import time; time.sleep(1000)
"""
# A child eats until it is killed, then the next one; 256 MiB at most.
MEMORY_HOG = """
import os, time
for _ in range(1000):
    if (child := os.fork()) == 0:
        eaten = [bytearray(b"x") * (1 << 20) for _ in range(256)]
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("killed" if os.WIFSIGNALED(status) else "ate all", flush=True)
"""
# Four processes with as many descriptors as they get; 4096 each at most.
DESCRIPTOR_HOG = """
import errno, os, time
for _ in range(3):
    if os.fork() == 0: break
kept = []
try:
    while len(kept) < 4096: kept.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    os.write(1, f"{errno.errorcode[error.errno]} at {kept[-1]}\\n".encode())
while True:
    try: os.close(os.open("/dev/null", os.O_RDONLY))
    except OSError: pass
"""
# Writes 64 MiB at most, again and again into the same file.
DISK_FILLER = """
import errno, os, sys
while True:
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for _ in range(64): os.write(file, bytes(1 << 20))
        os.write(1, b"all of it\\n")
    except OSError as error:
        os.write(1, f"{errno.errorcode[error.errno]} after {os.fstat(file).st_size >> 20}\\n".encode())
    os.close(file)
"""
# Three for each processor.
BUSY_LOOP = """
import os
for _ in range(3 * os.cpu_count() - 1):
    if os.fork() == 0: break
while True: pass
"""


class Scene:
    """The healthy ones, that run for all tests, and what they told until now."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        for name in HEALTHY:
            agent = {
                "exec": python(HEART),
                "type": "notify",
                "watchdog": "10s",
                "stop": {"sequence": ["KILL"]},
            }
            daemon.unit(name, agent=agent)
        daemon.unit("healthy.target", unit={"wants": HEALTHY})
        daemon.start()
        daemon.call("start", units=["healthy.target"])
        until(lambda: all(self.beats(name) for name in HEALTHY), what="all hearts beat")
        self.manager = daemon.manager()
        self.pids = self._pids()

    def _pids(self) -> dict[str, int]:
        units = self.daemon.call("status", units=HEALTHY, detail=False)["units"]
        return {one["name"]: one["pid"] for one in units if one["state"] == "active" and not one["restarts"]}

    def beats(self, name: str) -> list[tuple[int, ...]]:
        """(number, milliseconds since the one before) of each line."""
        *lines, _ = self.daemon.log(name).split(b"\n")
        return [tuple(map(int, line.split())) for line in lines]

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """What happens meanwhile is no more than load, to the healthy ones and to the manager."""
        before = {name: len(self.beats(name)) for name in HEALTHY}
        with self.daemon.hammered(1, units=HEALTHY[:1], lines=0) as hammer:
            yield
            now = {name: len(self.beats(name)) for name in HEALTHY}
            until(
                lambda: all(len(self.beats(name)) >= now[name] + BEATS for name in HEALTHY),
                what="they beat on",
            )
            asked = len(hammer.waits)
            until(lambda: len(hammer.waits) > asked + 2, what="status is answered")
        assert max(hammer.waits) < patient(LONGEST_STALL), f"status took {max(hammer.waits):.1f} s"
        assert self.pids == self._pids(), "each is the process that it was"
        assert self.daemon.manager() == self.manager
        for name in HEALTHY:
            beats = self.beats(name)
            assert [number for number, _ in beats] == list(range(1, len(beats) + 1)), (
                f"{name} has lost a line"
            )
            stall = max(gap for _, gap in beats[before[name] :]) / 1000
            assert stall < patient(LONGEST_STALL), f"{name} stood still for {stall:.1f} s"

    def hog(self, code: str, *arguments: str, **sections: Any) -> int:
        """Start it; its pid."""
        agent = {
            "exec": python(code, *arguments),
            "restart": {"policy": "no"},
            "stop": {"sequence": ["KILL"]},
        }
        agent |= sections.pop("agent", {})
        self.daemon.unit("hog", agent=agent, **sections)
        self.daemon.call("daemon-reload")
        assert not self.daemon.call("start", units=["hog"])["errors"]
        return int(self.daemon.status("hog")["pid"])

    def told(self) -> str:
        return self.daemon.ctl("status", "hog").stdout

    def counted(self, controller: str, file: str, key: str) -> int:
        """A counter of the hog's group, and of those in it."""
        layout = cgroups.detect(cgroups.this_host(0), str(self.daemon.root))
        top = Path(layout.tracking if layout.kind == "v2" else layout.v1[controller], "hog.agent")
        lines = [line for path in top.rglob(file) for line in path.read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.split()[0] == key)


def python(code: str, *arguments: str) -> list[str]:
    return [
        os.path.realpath(sys.executable),
        "-I",
        "-S",
        "-c",
        code.replace("$", "$$").replace("%", "%%"),
        *arguments,
    ]


@pytest.fixture(scope="module")
def running() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="maestro-") as folder:
        Path(folder).chmod(0o755)
        with daemon_in(Path(folder)) as daemon:
            yield Scene(daemon)
            assert daemon.stop() == 0


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    """Without a hog, before and afterwards."""
    yield running
    running.daemon.call("stop", units=["hog"])
    assert not running.daemon.status("hog")["pid"]


def test_a_fork_bomb(scene: Scene) -> None:
    with scene.untouched():
        scene.hog(FORK_BOMB, resources={"tasks_max": 40})
        until(lambda: scene.counted("pids", "pids.events", "max") > 100, what="forks are refused")
        assert scene.daemon.status("hog")["usage"]["tasks"] <= 40
    assert "forks refused by tasks_max" in scene.told(), scene.told()
    assert "(max 40)" in scene.told()


def test_a_memory_hog(scene: Scene) -> None:
    limits = {"memory_max": "32M", "memory_swap_max": 0, "oom_policy": "continue"}
    file = "memory.events" if KIND == "v2" else "memory.oom_control"
    with scene.untouched():
        pid = scene.hog(MEMORY_HOG, resources=limits)
        until(lambda: scene.counted("memory", file, "oom_kill") >= 3, what="it is killed again and again")
    seen = scene.daemon.status("hog")
    assert (seen["state"], seen["pid"]) == ("active", pid)
    assert b"ate all" not in scene.daemon.log("hog")
    assert "killed for want of memory: used 32M of memory_max 32M" in scene.told(), scene.told()


def test_a_hog_of_descriptors(scene: Scene) -> None:
    with scene.untouched():
        pid = scene.hog(DESCRIPTOR_HOG, agent={"limits": {"nofile": 64}})
        until(lambda: scene.daemon.log("hog").count(b"EMFILE at 63\n") == 4, what="all four have no more")
        assert len(os.listdir(f"/proc/{pid}/fd")) in (63, 64)
    assert " of 64 descriptors are open in pid " in scene.told(), scene.told()


def test_a_disk_filler_is_ended_by_its_largest_file(scene: Scene) -> None:
    """Python ignores the signal that the kernel sends; dd does not."""
    path = f"{scene.daemon.root}/filler"
    command = ["/bin/dd", "if=/dev/zero", f"of={path}", "bs=1M", "count=64"]
    with scene.untouched():
        scene.hog("", agent={"exec": command, "limits": {"fsize": "8M"}})
        scene.daemon.wait_state("hog", "failed")
    assert os.stat(path).st_size == 8 << 20
    assert "was killed by SIGXFSZ: a file of it grew past agent.limits.fsize" in scene.told(), scene.told()


@pytest.mark.skipif(not probe().mounts, reason="this host lets us make no mounts")
def test_a_disk_filler_in_a_file_system_of_its_own(scene: Scene) -> None:
    with scene.untouched():
        scene.hog(DISK_FILLER, "/mnt/filler", sandbox={"temporary_file_system": ["/mnt:size=8M"]})
        until(
            lambda: scene.daemon.log("hog").count(b"ENOSPC after 8\n") >= 3,
            what="it is full, again and again",
        )
    assert b"all of it" not in scene.daemon.log("hog")
    assert not Path("/mnt/filler").exists()


def test_a_busy_loop_that_is_capped(scene: Scene) -> None:
    key = "throttled_usec" if KIND == "v2" else "throttled_time"
    with scene.untouched():
        scene.hog(BUSY_LOOP, resources={"cpu_max": "20%"})
        until(lambda: scene.counted("cpu", "cpu.stat", key) > 0, what="it is held back")
    assert "held back by cpu_max for" in scene.told(), scene.told()
    assert scene.daemon.status("hog")["usage"]["held_back"] > 0


def test_a_busy_loop_of_little_weight(scene: Scene) -> None:
    """It may have what nobody else wants, and waits for the rest."""
    with scene.untouched():
        pid = scene.hog(BUSY_LOOP, resources={"cpu_weight": 1})
        until(lambda: waited(pid) > 1, what="it waits for a processor")
    assert scene.daemon.status("hog")["usage"]["cpu"] > 0
    assert "CPU:" in scene.told(), scene.told()


def waited(pid: int) -> float:
    """Seconds for which a process could have run, and others did."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
