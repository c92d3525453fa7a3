"""Whether a process stands still."""

from __future__ import annotations

from pathlib import Path

from maestro.drivers.cgroups.layout import directory, mounts
from tests.system.layout import layout


def state(pid: int) -> str:
    """One letter, as ps shows it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def is_still(pid: int) -> bool:
    """By a signal, or by its control group, of which ps says nothing."""
    if state(pid) == "T":
        return True
    groups = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    if _is_in_frozen_v1(groups):
        return True
    mount = next((m for m in mounts(Path("/proc/self/mountinfo").read_text()) if m.version == 2), None)
    path = next((line.removeprefix("0::") for line in groups if line.startswith("0::")), "")
    events = Path(directory(mount, path), "cgroup.events") if mount is not None else Path("/none")
    return events.exists() and "frozen 1" in events.read_text()


def _is_in_frozen_v1(groups: list[str]) -> bool:
    """The root of a hierarchy cannot be frozen."""
    tree = layout().v1.get("freezer")
    path = next((line.split(":", 2)[2] for line in groups if ":freezer:" in line), "/")
    if tree is None or path == "/":
        return False
    return (tree / path.lstrip("/") / "freezer.state").read_text() == "FROZEN\n"
