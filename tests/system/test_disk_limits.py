"""What a unit may read and write, and its share of a disk: direct reads and writes of real processes, counted by the kernel.

Limits are felt by direct input and output with both versions of control groups, where the folder for such files is on a
block device. Shares are divided by the kernel's io.cost, with control groups v2 alone, and where it is turned on for a device: the
test makes a loop device of its own and turns it on for that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, until
from tests.system.layout import layout
from tests.system.test_resources import KIND, device_of, group, needs_groups, python, run, says

pytestmark = [pytest.mark.system, needs_groups]

_BLOCK = 1 << 16
_BLOCKS = 24  # each process reads or writes so many
_BLOCKS_A_SECOND = 16

# Reads or writes a file past the page cache, block by block, and says how long that took.
_DIRECT = f"""
import mmap, os, sys, time
flag, move = {{"read": (os.O_RDONLY, os.preadv), "write": (os.O_WRONLY, os.pwritev)}}[sys.argv[1]]
file, block = os.open(sys.argv[2], flag | os.O_DIRECT), [mmap.mmap(-1, {_BLOCK})]
began = time.monotonic()
for number in range({_BLOCKS}):
    assert move(file, block, number * {_BLOCK}) == {_BLOCK}
print("took", time.monotonic() - began, "seconds", flush=True)
time.sleep(1000)
"""

# Four threads that read here and there in a device without end.
_READER = """
import mmap, os, random, sys, threading
def read():
    block = [mmap.mmap(-1, 4096)]
    while True:
        os.preadv(device, block, random.randrange(4000) * 4096)
device = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)
for _ in range(4):
    threading.Thread(target=read).start()
"""


@pytest.fixture
def spot() -> Iterator[Path]:
    """A folder on a block device."""
    with tempfile.TemporaryDirectory(prefix="maestro-", dir="/var/tmp") as name:
        if device_of(Path(name)) is None:
            pytest.skip("/var/tmp is on no block device")
        yield Path(name)


LIMITS: dict[str, tuple[str, str | int]] = {
    "io_read_bandwidth_max": ("read", _BLOCKS_A_SECOND * _BLOCK),
    "io_write_bandwidth_max": ("write", _BLOCKS_A_SECOND * _BLOCK),
    "io_read_iops_max": ("read", _BLOCKS_A_SECOND),
    "io_write_iops_max": ("write", _BLOCKS_A_SECOND),
}


def test_reads_and_writes_are_held_back(daemon: Daemon, spot: Path) -> None:
    """Each limit by a process of its own, all at once; beside each, one that does the same without a limit."""
    for option, (what, limit) in LIMITS.items():
        for name, resources in ((option, {option: {str(spot): limit}}), (f"free-{option}", {})):
            file = spot / name
            file.write_bytes(os.urandom(_BLOCK) * _BLOCKS)
            run(daemon, name, python(_DIRECT, what, file), start=False, **resources)
    os.sync()
    daemon.start()
    assert not daemon.call("start", units=[*LIMITS, *(f"free-{one}" for one in LIMITS)])["errors"]
    for option, (what, _) in LIMITS.items():
        held, free = took(daemon, option), took(daemon, f"free-{option}")
        least = _BLOCKS / _BLOCKS_A_SECOND
        assert held > 0.7 * least > 2 * free, (option, held, free)
        assert moved(daemon, option, what, spot) >= _BLOCK * _BLOCKS, f"{option} did not come to the disk"


def took(daemon: Daemon, name: str) -> float:
    assert says(daemon, name, "seconds")
    return float(daemon.log(name).split()[1])


def moved(daemon: Daemon, name: str, what: str, spot: Path) -> int:
    """Bytes that the kernel says that it has read or written there for this unit."""
    device = device_of(spot)
    if KIND == "v2":
        lines = (group(daemon, name, "io") / "io.stat").read_text().splitlines()
        words = next((line.split()[1:] for line in lines if line.startswith(f"{device} rbytes=")), [])
        return int(dict(word.split("=") for word in words).get(f"{what[0]}bytes", 0))
    total = 0
    for path in group(daemon, name, "blkio").rglob("blkio.throttle.io_service_bytes"):
        for line in path.read_text().splitlines():
            if line.startswith(f"{device} {what.capitalize()} "):
                total += int(line.split()[2])
    return total


def test_limits_are_in_the_kernels_file(daemon: Daemon, spot: Path) -> None:
    """All four of a device, and none when they are taken back."""
    limits: dict[str, Any] = {option: {str(spot): 4096} for option in LIMITS}
    run(daemon, "disk", ["/bin/sleep", "1000"], **limits)
    device = device_of(spot)

    def written() -> list[str]:
        if KIND == "v2":
            return [(group(daemon, "disk", "io") / "io.max").read_text()]
        names = ("read_bps", "write_bps", "read_iops", "write_iops")
        folder = group(daemon, "disk", "blkio")
        return [(folder / f"blkio.throttle.{name}_device").read_text() for name in names]

    one_file = [f"{device} rbps=4096 wbps=4096 riops=4096 wiops=4096\n"]
    assert written() == (one_file if KIND == "v2" else [f"{device} 4096\n"] * 4)
    run(daemon, "disk", ["/bin/sleep", "1000"], start=False)
    daemon.call("daemon-reload")
    assert not any(written()), written()


# ------------------------------------------------------------------------------------------------ shares


@pytest.fixture
def shared() -> Iterator[str]:
    """A device of our own which the kernel thinks can do 500 reads a second, and shares by weight."""
    if KIND != "v2":
        pytest.skip("cgroup v1 has no io.cost: io_weight is not for it")
    top = layout().tree
    assert top is not None
    if not (top / "io.cost.qos").exists():
        pytest.skip(
            "the kernel has no io.cost (CONFIG_BLK_CGROUP_IOCOST), or this is not the top of its groups"
        )
    if shutil.which("losetup") is None:
        pytest.skip("losetup is not installed")
    with tempfile.NamedTemporaryFile(prefix="maestro-", dir="/var/tmp") as backing:
        backing.truncate(16 << 20)
        done = subprocess.run(
            ["losetup", "--find", "--show", backing.name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no loop device: {done.stderr.strip()}")
        device = done.stdout.strip()
        number = Path(f"/sys/block/{Path(device).name}/dev").read_text().strip()
        speeds = " ".join(f"{way}bps=100000000 {way}seqiops=500 {way}randiops=500" for way in "rw")
        try:
            (top / "io.cost.model").write_text(f"{number} ctrl=user model=linear {speeds}")
            (top / "io.cost.qos").write_text(f"{number} enable=1 ctrl=user min=100 max=100")
            yield device
        finally:
            with contextlib.suppress(OSError):
                (top / "io.cost.qos").write_text(f"{number} enable=0")
            subprocess.run(["losetup", "--detach", device], check=True)


def test_a_disk_is_shared_by_weight(daemon: Daemon, shared: str) -> None:
    """Eight parts to one, by the weight for all devices and by that for one of them."""
    weights: dict[str, dict[str, Any]] = {
        "few": {"io_weight": 100},
        "much": {"io_weight": 800},
        "named": {"io_weight": 100, "io_device_weight": {shared: 800}},
    }
    for name, resources in weights.items():
        run(daemon, name, python(_READER, shared), start=False, **resources)
    daemon.start()
    assert not daemon.call("start", units=[*weights])["errors"]
    before = until(lambda: reads(daemon, shared, weights), what="all read")
    until(lambda: sum(more(daemon, shared, before)) > 600, within=40, what="600 reads")
    few, much, named = more(daemon, shared, before)
    assert min(much, named) > 3 * few, (few, much, named)


def reads(daemon: Daemon, device: str, names: Any) -> dict[str, int]:
    """How often each has read; nothing until all have."""
    number = Path(f"/sys/block/{Path(device).name}/dev").read_text().strip()
    found = {}
    for name in names:
        for line in (group(daemon, name, "io") / "io.stat").read_text().splitlines():
            if line.startswith(f"{number} rbytes="):
                found[name] = int(line.partition("rios=")[2].split()[0])
    return found if len(found) == len(names) else {}


def more(daemon: Daemon, device: str, before: dict[str, int]) -> list[int]:
    after = reads(daemon, device, before)
    return [after[name] - count for name, count in before.items()]
