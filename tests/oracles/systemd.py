"""systemd as a judge: a directory of units, and what `systemd --test --user` would do with one of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

SYSTEMD = "/lib/systemd/systemd"
_NOBODY = 65534  # it refuses to be tried as root
_JOB = re.compile(r"^\t\tAction: (\S+)\.service -> (\S+)$", re.MULTILINE)
_REASONS = {  # part of what it says when it refuses -> what our planner calls that
    "has conflicting jobs": "conflict",
    "conflicting jobs": "conflict",
    "order is cyclic": "cycle",
    "not found": "no-such-unit",
    "is masked": "masked",
}
_CYCLE = "ordering cycle"


class Verdict(Struct, frozen=True):
    """The jobs by unit, or why there are none; and whether it had to break a cycle to get there."""

    jobs: dict[str, str] = {}
    refused: str = ""
    broke_cycle: bool = False


def why_not() -> str:
    """Why systemd cannot be asked on this machine, or an empty string."""
    if not os.path.exists(SYSTEMD):
        return "systemd is not installed"
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "asking systemd needs root and setpriv, to become nobody"
    return ""


def start(units: Mapping[str, str | None], name: str) -> Verdict:
    """What a start of this service would do. `units` are texts of services by name; None is a masked one."""
    with tempfile.TemporaryDirectory(prefix="maestro-oracle-") as root:
        folder = Path(root, "units")
        folder.mkdir()
        for unit, text in units.items():
            path = folder / f"{unit}.service"
            path.symlink_to("/dev/null") if text is None else path.write_text(text)
        os.chown(root, _NOBODY, _NOBODY)
        environment = {
            "XDG_RUNTIME_DIR": root,
            "HOME": root,
            "SYSTEMD_UNIT_PATH": str(folder),
            "PATH": "/usr/bin:/bin",
            "SYSTEMD_GENERATOR_PATH": root,  # the host's take two thirds of the time, and make units that no graph has
            "SYSTEMD_ENVIRONMENT_GENERATOR_PATH": root,
        }
        said = subprocess.run(
            [
                *("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"),
                *(SYSTEMD, "--test", "--user", f"--unit={name}.service", "--no-pager"),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    return _verdict(said.returncode, said.stdout, said.stderr)


def _verdict(status: int, output: str, errors: str) -> Verdict:
    if status == 0:
        _, _, jobs = output.partition("-> By jobs:")
        return Verdict(jobs=dict(_JOB.findall(jobs)), broke_cycle=_CYCLE in errors)
    reason = next((ours for theirs, ours in _REASONS.items() if theirs in errors), errors[-300:])
    return Verdict(refused=reason, broke_cycle=_CYCLE in errors)
