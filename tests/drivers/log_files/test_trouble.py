"""Disks that refuse: agents run on, what is lost is told, and it mends itself."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FULL_DISK = """
import asyncio, os, re, sys, threading, time
from maestro.drivers.log_files import LogFiles
from maestro.ports import LogLimits

def until(happened):
    deadline, never = time.monotonic() + 20, threading.Event()
    while not happened():
        assert time.monotonic() < deadline
        never.wait(0.005)

def pipe():
    out, into = os.pipe()
    both = os.open(f"/proc/self/fd/{out}", os.O_RDWR)
    return both, into

directory = sys.argv[1]
loop = asyncio.new_event_loop()
logs = LogFiles(directory + "/logs", loop, time.time_ns)
both, into = pipe()
logs.take("a", both, LogLimits(rate_burst=0))
for begin in range(0, 50_000, 25):  # 3 MB, on a disk of 1 MB: never blocks for ever
    os.write(into, b"".join(b"%08d %s\\n" % (number, b"x" * 50) for number in range(begin, begin + 25)))
until(lambda: logs.mark("a").unwritable)
assert logs.mark("a").unwritable == "no space left on device", logs.mark("a")
assert logs.mark("a").dropped_lines > 10_000
os.unlink(directory + "/ballast")
until(lambda: not logs.mark("a").unwritable)
os.write(into, b"the end\\n")
until(lambda: logs.tail("a", 1)[-1].text == "the end")
name, = [name for name in os.listdir(directory + "/logs/a") if name.endswith(".log")]
lines = open(directory + "/logs/a/" + name).read().splitlines()
told = [re.fullmatch(r"-- maestro: (\\d+) lines \\((\\d+) bytes\\) dropped: no space left on device --", line)
        for line in lines if line.startswith("-- ")]
assert told and all(told), told
mark = logs.mark("a")
assert sum(int(match[1]) for match in told) == mark.dropped_lines
assert sum(int(match[2]) for match in told) == mark.dropped_bytes
kept = [line for line in lines if re.fullmatch(r"\\d{8} x{50}", line)]
whole = set(kept)
halves = [line for line in lines if line not in whole and not line.startswith("-- ") and line != "the end"]
assert len(halves) <= 1, halves  # the line at which the disk was full: it stands alone
assert len(kept) + mark.dropped_lines == 50_000
assert kept == sorted(set(kept))
logs.close()
loop.close()
print("well")
"""


def test_a_full_disk(tmp_path: Path) -> None:
    script = tmp_path / "full.py"
    script.write_text(FULL_DISK)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=3m none {disk} && head -c 2000000 /dev/zero > {disk}/ballast"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("cannot mount a small tmpfs in a mount namespace of its own")
    command = f"{mount} && exec {sys.executable} {script} {disk}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "well\n", done.stderr


@pytest.fixture
def small_files() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    yield soft
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_may_not_grow(rig: Any, small_files: int) -> None:
    into = rig.take("a")
    other = rig.take("b")
    for number in range(300):
        os.write(into, b"%08d %s\n" % (number, b"x" * 40))
    rig.until(lambda: rig.logs.mark("a").unwritable == "file too large")
    os.write(other, b"fine\n")
    rig.until(lambda: rig.logs.mark("b").size == 5)
    assert rig.logs.mark("a").dropped_bytes == 0  # there is room in the pipe
    resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)[1:] * 2)
    rig.until(lambda: rig.logs.mark("a").size == 300 * 50)
    assert rig.logs.mark("a").unwritable == ""
    assert rig.texts("a") == [f"{number:08d} {'x' * 40}" for number in range(300)]


def test_a_place_where_nothing_can_be_made(rig: Any) -> None:
    rig.directory.write_text("in the way")
    into = rig.take("a")
    writer = threading.Thread(target=_odd_writes, args=(into,))
    writer.start()
    writer.join(20)
    assert not writer.is_alive(), "the agent is blocked"
    assert rig.logs.mark("a").unwritable in ("not a directory", "file exists")
    rig.logs.note("a", "written late")
    rig.directory.unlink()
    rig.until(lambda: (rig.directory / "a").exists() and b"late" in rig.kept("a"))
    rig.logs.drop("a")
    rig.settled()
    texts = rig.texts("a")
    told = [re.match(r"-- maestro: (\d+) lines \(\d+ bytes\) dropped: ", text) for text in texts]
    dropped = sum(int(match[1]) for match in told if match)
    assert 0 < dropped < 200
    assert dropped + sum(text.startswith("z") for text in texts) == 200


def _odd_writes(into: int) -> None:
    """Pieces that fill the pipe's slots, but only half of its bytes."""
    for _ in range(200):
        os.write(into, b"z" * 2048 + b"\n")
