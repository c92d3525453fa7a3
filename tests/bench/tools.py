"""What the benchmark knows of the machine it runs on: clocks, /proc, the compiler, and how to leave nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = REPOSITORY / ".bench"  # git-ignored: compiled programs, fetched peers
PROGRAMS = Path(__file__).parent / "programs"
PATIENCE = 120.0  # seconds after which something that does not happen is broken

_PR_SET_CHILD_SUBREAPER = 36


class Unable(Exception):
    """This cannot be measured here; says why."""


class Broken(Exception):
    """Something did not happen at all."""


class Stamp(NamedTuple):
    """An agent's first instruction."""

    name: str
    pid: int
    at: float  # CLOCK_MONOTONIC, seconds


def machine() -> str:
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def pause(seconds: float) -> None:
    select.select([], [], [], seconds)


# --------------------------------------------------------------------------------------- programs in C


def compiled(name: str) -> Path:
    """A program of ours, compiled when it is not or is older than its source."""
    source, made = PROGRAMS / f"{name}.c", CACHE / "bin" / name
    if made.exists() and made.stat().st_mtime >= source.stat().st_mtime:
        return made
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unable("there is no C compiler: apt-get install gcc libc6-dev")
    made.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [compiler, "-O2", "-Wall", "-static", "-o", str(made), str(source)], capture_output=True, text=True
    )
    if done.returncode:
        raise Unable(f"{source.name} cannot be compiled: {done.stderr.strip().splitlines()[-1]}")
    return made


def agent() -> Path:
    """The program that is supervised: it says when its first instruction ran, and sleeps."""
    try:
        return compiled("stamp")
    except Unable:
        script = CACHE / "bin/stamp.sh"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text('#!/bin/sh\necho "${2:--} $$ 0" >"$1"\nexec sleep infinity\n')
        script.chmod(0o755)
        return script


class Stamps:
    """A FIFO into which agents say that they run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        path.chmod(0o666)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._rest = b""

    def close(self) -> None:
        os.close(self._fd)

    def take(self, count: int, within: float = PATIENCE) -> list[Stamp]:
        """The next `count` stamps."""
        found: list[Stamp] = []
        deadline = time.monotonic() + within
        while len(found) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._fd], [], [], left)[0]:
                raise Broken(f"{len(found)} of {count} agents ran within {within:.0f} s")
            found += self._read()
            if count > 10:
                pause(0.01)  # the reader must not take the processor from those it watches
        return found

    def _read(self) -> list[Stamp]:
        now = time.monotonic()
        *lines, self._rest = (self._rest + os.read(self._fd, 1 << 16)).split(b"\n")
        stamps = []
        for line in lines:
            name, pid, at = line.split()
            stamps.append(Stamp(name.decode(), int(pid), int(at) / 1e9 or now))
        return stamps


# --------------------------------------------------------------------------------------- /proc


def children(pid: int) -> list[int]:
    try:
        lists = [task / "children" for task in Path(f"/proc/{pid}/task").iterdir()]
        return [int(child) for one in lists for child in one.read_text().split()]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    found = []
    todo = children(pid)
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children(one)
    return found


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of all threads, in nanoseconds where the kernel counts them."""
    total = 0.0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0]) / 1e9
    return total


def pss(pids: Iterable[int]) -> float:
    """MB of memory, shared pages counted by their share."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def until_gone(pids: Iterable[int], within: float = PATIENCE) -> None:
    """Wait for the end of processes that need not be our children, without asking again and again."""
    poll = select.poll()
    fds = set()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fds.add(fd := os.pidfd_open(pid))
            poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + within
    try:
        while fds:
            ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise Broken(f"{len(fds)} processes did not end within {within:.0f} s")
            for fd, _ in ready:
                poll.unregister(fd)
                fds.discard(fd)
                os.close(fd)
    finally:
        for fd in fds:
            os.close(fd)


def until(question: Callable[[], bool], what: str, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not question():
        if time.monotonic() > deadline:
            raise Broken(f"not within {within:.0f} s: {what}")
        pause(0.02)


# --------------------------------------------------------------------------------------- leaving nothing behind


def adopt_orphans() -> None:
    """From now on every orphan of what we start is our child: so nothing gets away."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM, within: float = 60.0) -> None:
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def sweep() -> int:
    """Kill all that descends from us, and reap it; returns how many were left."""
    left: set[int] = set()
    while pids := descendants(os.getpid()):
        left.update(pid for pid in pids if not _is_dead(pid))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        pause(0.01)
    return len(left)


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def clean_environment() -> dict[str, str]:
    """Ours, without what would slow one of them down for the benchmark's sake."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAESTRO_"))}


def wall(command: list[str]) -> float:
    """Milliseconds that a command takes, the whole process."""
    began = time.monotonic()
    done = subprocess.run(command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True)
    took = time.monotonic() - began
    if done.returncode:
        raise Broken(
            f"{' '.join(command)}: {(done.stderr or done.stdout).decode(errors='replace').strip()[-300:]}"
        )
    return took * 1000


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
