"""maestrod and maestroctl, by the commands of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.bench import tools
from tests.bench.life import LEVELS, Life
from tests.bench.tools import REPOSITORY, Broken, Stamps

_CTL = str(REPOSITORY / "bin/maestroctl")
_SIMPLE = {"restart": {"policy": "always", "delay": 0, "start_limits": []}}
_ROUNDS = {"compute": "40000000", "chores": "2000", "calls": "150000"}  # a fifth of a second each
# As toil.c: when it ran, and what it had used until then.
_SNAKE = """
import os, sys, time
at, used = time.monotonic_ns(), time.process_time_ns()
name, pid = sys.argv[2], os.getpid()
file = os.open(sys.argv[1], os.O_WRONLY)
os.write(file, f"{name} {pid} {at}\\n{name}/cpu {pid} {used}\\n".encode())
os.close(file)
time.sleep(1000)
"""
# As toil.c's work: what an agent does between two answers of a model.
_CHORES = """
import hashlib, json, os, sys, time
used = time.process_time_ns()
for number in range(int(sys.argv[4])):
    with open("/etc/passwd") as file:
        found = [dict(enumerate(line.split(":"))) for line in file]
    text = json.dumps({"round": number, "found": found, "digest": hashlib.sha256(repr(found).encode()).hexdigest()})
    assert json.loads(text)["round"] == number
line = f"{sys.argv[2]} {os.getpid()} {time.process_time_ns() - used}\\n"
with open(sys.argv[1], "w") as file:
    file.write(line)
"""


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
        self._confined: Stamps | None = None
        self._client: Any = None
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

    # ------------------------------------------------------------------------------ sandboxes

    @property
    def confined(self) -> Stamps:
        """Below the root, which is all that strict shows of a temporary folder."""
        if self._confined is None:
            self._confined = Stamps(self._root / "stamps")
            self._write_confined()
            self.ask("daemon-reload")
        return self._confined

    def _write_confined(self) -> None:
        program, fifo = self._root / "toil", str(self._root / "stamps")
        shutil.copy(tools.compiled("toil"), program)
        program.chmod(0o755)
        python = ["/usr/bin/python3", "-I", "-S", "-c", _SNAKE]
        quiet = {"restart": {"policy": "no"}, "stop": {"sequence": ["KILL"]}}
        for level in LEVELS:
            for kind, command in (("c", [str(program)]), ("python", python)):
                agent = {"exec": [*command, fifo, f"{kind}-{level}"], **quiet}
                self._unit(f"{kind}-{level}.agent", {"agent": agent, "sandbox": {"level": level}})
            for work, rounds in _ROUNDS.items():
                toil = ["/usr/bin/python3", "-I", "-S", "-c", _CHORES] if work == "chores" else [str(program)]
                words = [*toil, fifo, f"{work}-{level}", work, rounds]
                agent = {"exec": words, "type": "oneshot", **quiet}
                self._unit(f"{work}-{level}.agent", {"agent": agent, "sandbox": {"level": level}})

    def ask(self, verb: str, name: str = "") -> None:
        from maestro.control.client import Client

        if self._client is None:
            self._client = Client(str(self.control_socket()))
        answer = self._client.call(verb, {"units": [name]} if name else {})
        if answer.get("errors"):
            raise Broken(f"{verb} {name}: {answer['errors']}")

    def end(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._confined is not None:
            self._confined.close()
        super().end()

    def overhead(self) -> dict[str, list[int]]:
        assert self.daemon is not None
        return {"keeper": [self.daemon.pid, *self._named("maestrod: starter")], "manager": [self._manager()]}

    def _manager(self) -> int:
        assert self.daemon is not None
        found = self._named("maestrod: manager")
        return found[0] if found else 0

    def _named(self, title: str) -> list[int]:
        assert self.daemon is not None
        return [pid for pid in tools.children(self.daemon.pid) if tools.cmdline(pid).startswith(title)]

    def lose_manager(self) -> None:
        from maestro.control.client import Client

        os.kill(self._manager(), signal.SIGKILL)
        deadline = time.monotonic() + tools.PATIENCE
        with Client(str(self.control_socket())) as client:
            answer = client.call("status", {"units": [self.names[0]], "detail": False})
        if time.monotonic() > deadline or answer["units"][0]["state"] != "active":
            raise Broken(f"after the manager's death: {answer}")
