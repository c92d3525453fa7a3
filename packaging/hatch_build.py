"""Build hook: a wheel made where there is a C compiler carries the keeper's quicker way to start agents, keeper/spawn.c, built.

Without a compiler, or with $MAESTRO_PURE set, it is left out, and the wheel is one for every platform: the keeper forks then.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_KEEPER = "daemon/maestro/keeper"
_NAME = "_spawn.so"
_FLAGS = "-O2 -Wall -shared -fPIC -fvisibility=hidden -fno-stack-protector -nostdlib -Wl,-z,defs"  # as in bin/.bootstrap


class SpawnBuildHook(BuildHookInterface):  # type: ignore[type-arg,unused-ignore]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable" or os.environ.get("MAESTRO_PURE"):
            return
        self._folder = Path(tempfile.mkdtemp(prefix="maestro-build-"))
        library = self._folder / _NAME
        if not _compiled(Path(self.root, _KEEPER, "spawn.c"), library):
            self.finalize(version, build_data, "")
            return
        build_data["force_include"][str(library)] = f"maestro/keeper/{_NAME}"
        build_data["pure_python"] = False
        # It is loaded by ctypes and knows nothing of Python: it is tied to the platform, and to no version.
        build_data["tag"] = f"py3-none-{re.sub('[^A-Za-z0-9]', '_', sysconfig.get_platform())}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)


def _compiled(source: Path, library: Path) -> bool:
    compiler = os.environ.get("CC") or "cc"
    if not sys.platform.startswith("linux") or shutil.which(compiler.split()[0]) is None:
        return False
    command = [*compiler.split(), *_FLAGS.split(), "-o", str(library), str(source)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
