"""What a measure may ask of a supervisor. One `Life` is one supervisor that runs, with N agents that it knows of."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from tests.bench import tools
from tests.bench.tools import Broken, Stamps, Unable

LEVELS = ("none", "baseline", "strict")  # of a sandbox


@dataclass(frozen=True)
class Options:
    """What the command line sets for all measures."""

    idle_seconds: float = 20.0
    kills: int = 50
    log_bytes: int = 1 << 29
    api_seconds: float = 3.0


class Life(ABC):
    """A supervisor in a folder of its own. What it has no answer to raises `Unable`, and is left out of the table."""

    name: str
    role = "supervisor"

    def __init__(self, folder: Path, count: int, options: Options) -> None:
        self.folder, self.count, self.options = folder, count, options
        self.stamps = Stamps(folder / "stamps")
        self.pids: dict[str, int] = {}  # agent -> pid, as it said itself
        self.daemon: subprocess.Popen[bytes] | None = None

    @classmethod  # noqa: B027 - some need nothing
    def prepare(cls) -> None:
        """Fetch or compile what is needed; raises `Unable`."""

    @property
    def names(self) -> list[str]:
        return [f"x{number:04}" for number in range(self.count)]

    def __enter__(self) -> Life:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        finally:
            self.stamps.close()

    @abstractmethod
    def begin(self) -> None:
        """Have the supervisor run and know its agents, none of them started."""

    def end(self) -> None:
        if self.daemon is not None:
            tools.end(self.daemon)

    def run(self, command: list[str], **environ: str) -> subprocess.Popen[bytes]:
        """Start a process that says nothing here; what it says is in `FOLDER/said`."""
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                command,
                env={**tools.clean_environment(), **environ},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=self.folder,
            )

    def until_there(self, path: Path) -> None:
        """Wait for the supervisor to make this, unless it ends."""
        while not path.exists():
            if self.daemon is None or self.daemon.poll() is not None:
                raise Broken(f"it ended: {(self.folder / 'said').read_text(errors='replace').strip()[-300:]}")
            tools.pause(0.02)

    # ------------------------------------------------------------------------------ what is asked

    @abstractmethod
    def start_all(self) -> subprocess.Popen[bytes] | None:
        """Ask for all agents to be started, as an operator would; the client that asks, if there is one."""

    @abstractmethod
    def stop_all(self) -> subprocess.Popen[bytes] | None:
        """The same for the end of all."""

    def overhead(self) -> dict[str, list[int]]:
        """Everything that is not an agent, by role."""
        assert self.daemon is not None
        agents = set(self.pids.values())
        return {
            self.role: [
                self.daemon.pid,
                *(pid for pid in tools.descendants(self.daemon.pid) if pid not in agents),
            ]
        }

    def all_overhead(self) -> list[int]:
        return [pid for pids in self.overhead().values() for pid in pids]

    def status_command(self, name: str) -> list[str]:
        raise Unable("it has no status")

    def start_target(self) -> subprocess.Popen[bytes] | None:
        raise Unable("it has no targets")

    def lose_manager(self) -> None:
        """Kill the half that may die, and return when the other has made it whole again."""
        raise Unable("it is one process")

    @property
    def confined(self) -> Stamps:
        """Where agents of the `LEVELS` tell, c-LEVEL, python-LEVEL, and compute-LEVEL and calls-LEVEL, which work and end."""
        raise Unable("it confines nobody")

    def ask(self, verb: str, name: str) -> None:
        """Of a client that is connected already; returns when it is done."""
        raise Unable("its control socket speaks another language")

    def control_socket(self) -> Path:
        raise Unable("its control socket speaks another language")

    def start_writer(self) -> None:
        """Start an agent named `writer` that writes `log_bytes` to its stdout, which is kept in a file."""
        raise Unable("it keeps no logs")

    def writer_command(self) -> list[str]:
        return [str(tools.compiled("writer")), str(self.stamps.path), str(self.options.log_bytes)]

    def agent_command(self, name: str) -> list[str]:
        return [str(tools.agent()), str(self.stamps.path), name]

    def kill_agent(self, name: str) -> None:
        os.kill(self.pids[name], 9)
