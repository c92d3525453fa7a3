"""Two directories of unit files."""

from __future__ import annotations

import os
from pathlib import Path

from maestro.drivers.unit_files import UnitDirectories

AGENT = "agent: {exec: [a, '%i']}\n"


class Disk:
    """Two directories of unit files."""

    def __init__(self, base: Path) -> None:
        self.etc, self.lib = base / "etc", base / "lib"
        for directory in (base, self.etc, self.lib):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
        self.units = UnitDirectories([str(self.etc), str(self.lib)], os.geteuid())

    def write(self, path: str, text: str = AGENT, mode: int = 0o644) -> Path:
        file = self.etc.parent / path
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def refused(self, name: str) -> str:
        piece = self.units.read().files[name]
        assert piece.text == b""
        return piece.refused
