"""The host is short of memory: the kernel rings, and the least important agent stands still until there is some again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.drivers import pressure
from maestro.drivers.pressure import MemoryPressure
from maestro.engine.room import low
from tests.system.harness import Daemon, patient, until
from tests.system.layout import layout
from tests.system.standing import is_still
from tests.system.test_oom import has_limits_of_memory

MISSING = next((one.words for one in pressure.findings() if one.state == "missing"), "")


def memory() -> tuple[int, int]:
    """Bytes of this host, and those that are available."""
    driver = MemoryPressure()
    try:
        return driver.memory()
    finally:
        driver.close()


TOTAL = memory()[0]
SMALL = 2 << 30  # bytes of a host whose memory a test may fill

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(MISSING), reason=f"no word of memory pressure: {MISSING}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="makes control groups with limits of memory"),
]

# Reads a file that is larger than the memory there is for it, over and over.
THRASHES = """
import mmap, os, sys
path, size = sys.argv[1], int(sys.argv[2]) << 20
with open(path, "wb") as file:
    for _ in range(size >> 20):
        file.write(os.urandom(1 << 20))
    file.flush()
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as pages:
    pages.madvise(mmap.MADV_RANDOM)  # or it would be read ahead
    while True:
        for place in range(0, size, 4096):
            pages[place]
"""


@pytest.fixture
def file() -> Iterator[Path]:
    """On a disk: what is in /tmp may be memory itself."""
    with tempfile.TemporaryDirectory(prefix="maestro-", dir="/var/tmp") as folder:
        yield Path(folder, "file")


@pytest.fixture
def group() -> Iterator[Path]:
    """A group that may use 32M."""
    here = layout()
    tree = here.v1.get("memory", here.tree)
    assert tree is not None
    if "memory" not in here.v1:
        (tree / "cgroup.subtree_control").write_text("+memory")  # as maestrod does
    path = tree / f"maestro-pressure-{os.getpid()}"
    path.mkdir()
    try:
        (path / ("memory.limit_in_bytes" if "memory" in here.v1 else "memory.max")).write_text(str(32 << 20))
        yield path
    finally:
        path.rmdir()


@pytest.mark.skipif(not has_limits_of_memory(), reason="no group here may be given a limit of memory")
def test_the_kernel_rings_and_is_quiet_again(group: Path, file: Path) -> None:
    """By its own limit: an agent that does this rings as well, and the host has plenty."""
    enter = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')\n"
    command = [sys.executable, "-c", enter + THRASHES, str(file), "128"]
    rings: list[int] = []
    with subprocess.Popen(command) as process:
        try:
            more = asyncio.run(asyncio.wait_for(listen(rings, process), patient(30)))
        finally:
            process.kill()
    assert rings
    assert more <= 1, "a word that was heard is not heard again and again"


async def listen(rings: list[int], process: subprocess.Popen[bytes]) -> int:
    """Until it rings; then the culprit is ended. Returns how often it rings after that, for a while."""
    driver, rang, never = MemoryPressure(asyncio.get_running_loop()), asyncio.Event(), asyncio.Event()

    def ring() -> None:
        rings.append(1)
        rang.set()

    driver.begin(ring)
    await rang.wait()
    process.kill()
    seen = len(rings)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(never.wait(), 0.3)
    driver.close()
    return len(rings) - seen


def test_a_process_that_may_less_is_told_less_often() -> None:
    """Who has no CAP_SYS_RESOURCE may ask only for windows of two seconds."""
    code = (
        "import os\nfrom maestro.drivers.pressure import findings\n"
        "os.setgid(65534); os.setuid(65534)\nprint(findings()[0].state)"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() in ("ok", "missing"), done
    if "missing" in done.stdout:
        pytest.skip("this kernel tells root only")


COUNTS = "i=0; while :; do i=$((i+1)); echo $i > {path}.new; mv {path}.new {path}; sleep 0.05; done"
HOLDS = """
import sys, time
held = bytearray(int(sys.argv[1]))
for place in range(0, len(held), 4096):
    held[place] = 1
time.sleep(1000)
"""


@pytest.mark.skipif(
    TOTAL > SMALL, reason="fills the memory of the host: for the virtual machine of bin/test --vm"
)
def test_the_hog_stands_still_and_the_important_one_goes_on(daemon: Daemon, folder: Path, file: Path) -> None:
    """Most of the memory is another's; what is left is too little for what the hog reads, and for all that others run."""
    counter, vast = folder / "counter", {"memory_max": "infinity"}
    daemon.unit(
        "important",
        agent={"exec": ["/bin/sh", "-c", COUNTS.format(path=counter)]},
        resources={"priority": 100},
    )
    daemon.unit("late", agent={"exec": ["/bin/sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["important"])
    held = memory()[1] - (low(TOTAL) * 3 // 4)
    holder, hog = [sys.executable, "-c", HOLDS, str(held)], [sys.executable, "-c", THRASHES, str(file), "300"]
    daemon.unit("holder", agent={"exec": holder}, resources={**vast, "priority": 5})
    daemon.unit("hog", agent={"exec": hog}, resources=vast)
    daemon.call("daemon-reload")
    daemon.call("start", units=["holder"])
    until(lambda: memory()[1] < low(TOTAL), within=60, what="the holder has taken its share")
    daemon.call("start", units=["hog"])
    seen = daemon.wait_state("hog", "frozen", within=60)
    stands_still(daemon, seen)

    before = counted(counter)
    until(lambda: counted(counter) > before + 20, what="the important one goes on")
    assert daemon.status("important")["fine"] == "running"
    daemon.call("start", units=["late"], wait=False)
    assert daemon.wait_state("late", "waiting")["cause"].startswith("waits ")

    dead = daemon.kill_manager()
    daemon.new_manager(dead)
    assert daemon.status("hog")["fine"] == "frozen"
    assert is_still(seen["pid"])

    daemon.call("stop", units=["holder"])
    again = daemon.wait_state("hog", "running", within=60)
    assert again["pid"] == seen["pid"]
    assert again["cause"].startswith("the host has memory again"), again["cause"]
    daemon.wait_state("late", "active")


def stands_still(daemon: Daemon, seen: dict[str, Any]) -> None:
    assert seen["cause"].startswith("frozen: the host is short of memory ("), seen["cause"]
    assert "`maestroctl thaw hog`" in seen["cause"]
    assert "memory-pressure" in [event["kind"] for event in daemon.events() if event["unit"] == "hog"]
    assert "short of memory" in daemon.ctl("why", "hog").stdout
    until(lambda: is_still(seen["pid"]), what="it stands still")


def counted(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0
