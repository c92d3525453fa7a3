"""s6: one s6-supervise for each agent, below one s6-svscan."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.bench.life import Life
from tests.bench.subjects import fetch
from tests.bench.tools import CACHE


class S6(Life):
    name = "s6"
    _environ: dict[str, str]

    @classmethod
    def prepare(cls) -> None:
        libraries = fetch.dependencies("s6", "libs6 libskarnet libexecline")
        folder = fetch.debs("s6", ["s6", *libraries])
        found = [str(path) for path in (folder / "usr/lib").iterdir() if path.is_dir()]
        programs = [str(path) for path in (folder / "usr/bin", folder / "bin") if path.is_dir()]
        _relocate(folder / "usr/bin/s6-svscan")
        cls._environ = {
            "LD_LIBRARY_PATH": os.pathsep.join([*found, str(folder / "lib")]),
            "PATH": os.pathsep.join([*programs, os.environ["PATH"]]),
        }

    def begin(self) -> None:
        self._scan = self.folder / "scan"
        self._scan.mkdir()
        (self._scan / ".bin").symlink_to(CACHE / "s6/usr/bin")
        for name in self.names:
            service = self.folder / "services" / name
            service.mkdir(parents=True)
            run = service / "run"
            program, fifo, _ = self.agent_command(name)
            if program.endswith(".sh"):
                run.write_text(f"#!/bin/sh\nexec {program} {fifo} {name}\n")
            else:
                run.write_text(f"#!{program} {fifo}\n")  # no shell between: the best that s6 can do
            run.chmod(0o755)
        self.daemon = self.run(["s6-svscan", "-c", str(self.count + 100), str(self._scan)], **self._environ)
        self.until_there(self._scan / ".s6-svscan/control")
        for name in self.names:
            (self._scan / name).symlink_to(self.folder / "services" / name)

    def start_all(self) -> subprocess.Popen[bytes]:
        return self.run(["s6-svscanctl", "-a", str(self._scan)], **self._environ)

    def stop_all(self) -> subprocess.Popen[bytes]:
        return self.run(["s6-svscanctl", "-t", str(self._scan)], **self._environ)

    def status_command(self, name: str) -> list[str]:
        prefix = ["env", *(f"{key}={value}" for key, value in self._environ.items())]
        return [*prefix, "s6-svstat", str(self._scan / name)]


def _relocate(svscan: Path) -> None:
    """s6-svscan executes /usr/bin/s6-supervise and no other: in our copy, one that is named from its scan directory."""
    program = svscan.read_bytes()
    svscan.write_bytes(program.replace(b"/usr/bin/s6-supervise\0", b".//.bin//s6-supervise\0"))
