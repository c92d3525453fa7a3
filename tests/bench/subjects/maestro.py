"""maestrod and maestroctl, by the commands of the checkout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.bench import tools
from tests.bench.life import Life
from tests.bench.tools import REPOSITORY, Broken

_CTL = str(REPOSITORY / "bin/maestroctl")
_SIMPLE = {"restart": {"policy": "always", "delay": 0, "start_limits": []}}


class Maestro(Life):
    name = "maestro"

    def begin(self) -> None:
        self._root = self.folder / "root"
        units = self._root / "etc/maestro/units"
        units.mkdir(parents=True, mode=0o755)
        self._units = units
        for name in self.names:
            self._unit(f"{name}.agent", {"agent": {"exec": self.agent_command(name), **_SIMPLE}})
        self._unit("all.target", {"unit": {"wants": self.names}})
        unlimited = {"rate_limit_interval": 0}
        self._unit(
            "writer.agent",
            {"agent": {"exec": self.writer_command(), "restart": {"policy": "no"}}, "logs": unlimited},
        )
        self.daemon = self.run([str(REPOSITORY / "bin/maestrod"), "--root", str(self._root)])
        self.until_there(self.control_socket())

    def _unit(self, name: str, content: dict[str, Any]) -> None:
        path = self._units / f"{name}.yaml"
        path.write_text(json.dumps(content))  # which is YAML
        path.chmod(0o644)

    def ctl(self, *words: str) -> list[str]:
        return [_CTL, "--root", str(self._root), *words]

    # ------------------------------------------------------------------------------ what is asked

    def start_all(self) -> subprocess.Popen[bytes]:
        return self.run(self.ctl("start", "x*"))

    def stop_all(self) -> subprocess.Popen[bytes]:
        return self.run(self.ctl("stop", "x*"))

    def start_target(self) -> subprocess.Popen[bytes]:
        return self.run(self.ctl("start", "all.target"))

    def status_command(self, name: str) -> list[str]:
        return self.ctl("status", name)

    def control_socket(self) -> Path:
        return self._root / "run/maestro/control.sock"

    def start_writer(self) -> None:
        tools.wall(self.ctl("start", "writer"))

    def overhead(self) -> dict[str, list[int]]:
        assert self.daemon is not None
        return {"keeper": [self.daemon.pid], "manager": [self._manager()]}

    def _manager(self) -> int:
        assert self.daemon is not None
        found = [pid for pid in tools.children(self.daemon.pid) if tools.cmdline(pid) == "maestrod: manager"]
        return found[0] if found else 0

    def lose_manager(self) -> None:
        from maestro.control.client import Client

        os.kill(self._manager(), signal.SIGKILL)
        deadline = time.monotonic() + tools.PATIENCE
        with Client(str(self.control_socket())) as client:
            answer = client.call("status", {"units": [self.names[0]], "detail": False})
        if time.monotonic() > deadline or answer["units"][0]["state"] != "active":
            raise Broken(f"after the manager's death: {answer}")
