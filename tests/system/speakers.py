"""Agents made of a few lines of Python that speak sd_notify."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.harness import Daemon

PROGRAMS = Path(__file__).parent / "programs"
SLEEP = ["/bin/sleep", "1000"]


def speaker(daemon: Daemon, name: str, code: str) -> list[str]:
    """The command of an agent made of a few lines of Python, which has `say`, `on`, `linger` and `forever`."""
    path = daemon.root / f"{name}.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(PROGRAMS)!r})\nfrom speaker import *\n{code}\n")
    return [sys.executable, "-B", str(path)]


def start(daemon: Daemon, name: str, wait: bool = False) -> dict[str, Any]:
    return daemon.call("start", units=[name], wait=wait)


@contextmanager
def beside(act: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)


def dependant(daemon: Daemon, of: str) -> None:
    daemon.unit("after", unit={"requires": [of], "after": [of]}, agent={"exec": SLEEP})


def catches(pid: int, number: int) -> bool:
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt")
    ]
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
