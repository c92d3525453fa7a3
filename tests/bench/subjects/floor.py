"""A C program that starts, restarts and stops, and does nothing else."""

from __future__ import annotations

import signal

from tests.bench import tools
from tests.bench.life import Life


class Floor(Life):
    name = "C loop"
    role = "floor"

    @classmethod
    def prepare(cls) -> None:
        tools.compiled("floor")

    def begin(self) -> None:
        program, *_ = self.agent_command("")
        self.daemon = self.run(
            [str(tools.compiled("floor")), str(self.count), program, str(self.stamps.path)]
        )
        tools.pause(0.1)

    def start_all(self) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGUSR1)

    def stop_all(self) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
