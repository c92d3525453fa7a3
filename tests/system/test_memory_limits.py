"""Memory that is kept for a unit, and swap space that it may use: real processes, and what the kernel has taken from whom.

`memory_min` and `memory_low` are tried with control groups v2 alone: v1 has no `memory_min`, and heeds its soft limit, which is
what `memory_low` is there, only when the whole host is short of memory. `memory_swap_max` needs swap space: a virtual machine
gets some for the test, another host must have it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, until
from tests.system.test_disk_limits import spot
from tests.system.test_resources import EATER, KIND, group, needs_groups, needs_v2, python, run, says

pytestmark = [pytest.mark.system, needs_groups]
__all__ = ["spot"]

_HELD = 12  # MiB of a file that each has in the page cache

# Reads a file once: what it read is in memory, and is its own.
_KEEPER = f"""
import sys, time
with open(sys.argv[1], "rb", buffering=0) as file:
    while file.read({1 << 20}):
        pass
print("all read", flush=True)
time.sleep(1000)
"""
# Reads a file again and again, each time from the disk: it wants all memory that there is.
_GREEDY = f"""
import os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
while True:
    os.lseek(file, 0, os.SEEK_SET)
    while os.read(file, {1 << 20}):
        pass
"""


@needs_v2
def test_what_is_kept_for_it_is_taken_from_others(daemon: Daemon, spot: Path) -> None:
    """Three have read as much as the other, in a slice that is full; then comes one who wants more than there is."""
    wanted: dict[str, dict[str, Any]] = {
        "plain": {},
        "low": {"memory_low": "24M"},
        "min": {"memory_min": "24M"},
    }
    daemon.unit("full.slice", unit={}, resources={"memory_max": "72M"})
    for name, resources in wanted.items():
        file = written(spot / name, _HELD)
        run(daemon, name, python(_KEEPER, file), start=False, slice="full.slice", **resources)
    big = written(spot / "big", 48)
    run(daemon, "greedy", python(_GREEDY, big), start=False, slice="full.slice")
    daemon.start()
    assert not daemon.call("start", units=[*wanted])["errors"]
    for name in wanted:
        assert says(daemon, name, "all read")
    before = {name: cached(daemon, name) for name in wanted}
    assert min(before.values()) > (_HELD - 2) << 20, before
    daemon.call("start", units=["greedy"])
    until(lambda: cached(daemon, "plain") < before["plain"] / 2, within=40, what="memory is taken from one")
    after = {name: cached(daemon, name) for name in wanted}
    assert min(after["low"], after["min"]) > 0.9 * before["low"], (before, after)


def written(path: Path, size: int) -> Path:
    """A file of so many MiB that is not in memory."""
    with path.open("wb") as file:
        for _ in range(size):
            file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def cached(daemon: Daemon, name: str) -> int:
    """Bytes of files that are in memory on its account."""
    base = group(daemon, name, "memory")
    where = base if base.exists() else base.parent / "full.slice" / base.name
    lines = (where / "memory.stat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["file"])


@pytest.fixture
def swap() -> Iterator[None]:
    """Swap space: the host's, or in a virtual machine a file of our own."""
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        yield
        return
    if not os.environ.get("MAESTRO_VM_GUEST"):
        pytest.skip("this host has no swap space, and gets none for a test")
    with tempfile.NamedTemporaryFile(prefix="maestro-", dir="/var/tmp") as file:
        file.write(bytes(64 << 20))
        file.flush()
        subprocess.run(["mkswap", file.name], check=True, capture_output=True)
        subprocess.run(["swapon", file.name], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["swapoff", file.name], check=True)


def test_memory_swap_max_is_what_it_may_have_beside_its_memory(swap: None, daemon: Daemon) -> None:
    """The same process in the same memory: where it may swap it gets all that it wants, where it may not it is killed."""
    for name, most in (("none", 0), ("some", "4M"), ("enough", "48M")):
        run(daemon, name, python(EATER, 40), start=False, memory_max="24M", memory_swap_max=most)
    daemon.start()
    daemon.call("start", units=["none", "some", "enough"])
    assert says(daemon, "enough", "all of it")
    assert swapped(daemon, "enough") > 8 << 20
    eaten = []
    for name in ("none", "some"):
        assert "SIGKILL" in (cause := daemon.wait_state(name, "failed")["cause"]) or "memory" in cause
        eaten.append(int(daemon.log(name).split()[-1]))
    assert eaten[0] < eaten[1] < 30, "some swap space is more than none, and less than enough"


def swapped(daemon: Daemon, name: str) -> int:
    base = group(daemon, name, "memory")
    if KIND == "v2":
        return int((base / "memory.swap.current").read_text())
    lines = (base / "memory.stat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["total_swap"])
