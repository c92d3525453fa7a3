"""The manager is killed at any instruction: no byte is lost, doubled or out of order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

STREAMS, LINES, KILLS = 20, 15_000, 30

MANAGER = """
import asyncio, sys, time
from maestro.drivers.log_files import LogFiles
from maestro.ports import LogLimits
loop = asyncio.new_event_loop()
logs = LogFiles(sys.argv[1], loop, time.time_ns)
for number, fd in enumerate(sys.argv[2:]):
    logs.take(f"unit{number}", int(fd), LogLimits(max_size=20_000, max_files=100_000, rate_burst=0))
print("up", flush=True)
loop.run_forever()
"""


def _manager(directory: Path, pipes: list[int]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", MANAGER, str(directory), *map(str, pipes)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, pass_fds=pipes, stdout=subprocess.PIPE, env=environment)


def _write(into: int, stream: int, seed: int) -> None:
    chance, buffer = random.Random(seed), b""
    for number in range(LINES):
        buffer += b"%d %d %s\n" % (stream, number, b"x" * chance.randrange(60))
        if len(buffer) > chance.randrange(3000):
            os.write(into, buffer)
            buffer = b""
    os.write(into, buffer + b"%d end\n" % stream)


def test_thirty_kills_lose_nothing(rig: Any) -> None:
    pipes = [rig.pipe() for _ in range(STREAMS)]
    readable = [both for both, _ in pipes]
    writers = [threading.Thread(target=_write, args=(into, n, n)) for n, (_, into) in enumerate(pipes)]
    chance, never = random.Random(1), threading.Event()
    for number in range(KILLS):
        manager = _manager(rig.directory, readable)
        with manager:
            assert manager.stdout is not None
            assert manager.stdout.readline() == b"up\n"
            if number == 0:
                for writer in writers:
                    writer.start()
            never.wait(chance.random() * 0.05)  # the instruction at which it dies is left to chance
            manager.send_signal(signal.SIGKILL)
    for number, both in enumerate(readable):
        rig.logs.take(f"unit{number}", both, _limits())
    for writer in writers:
        writer.join()
    for number in range(STREAMS):
        name, last = f"unit{number}", b"%d end\n" % number
        rig.until(lambda name=name, last=last: rig.logs.tail(name, 1)[-1].text.encode() + b"\n" == last)
        assert rig.kept(name) == _whole(number)
    assert len(list((rig.directory / "unit0").glob("*.log"))) > 10


def _limits() -> Any:
    from maestro.ports import LogLimits

    return LogLimits(max_size=20_000, max_files=100_000, rate_burst=0)


def _whole(stream: int) -> bytes:
    chance, parts, size = random.Random(stream), [], 0
    for number in range(LINES):
        line = b"%d %d %s\n" % (stream, number, b"x" * chance.randrange(60))
        parts.append(line)
        size += len(line)
        if size > chance.randrange(3000):
            size = 0
    return b"".join([*parts, b"%d end\n" % stream])
