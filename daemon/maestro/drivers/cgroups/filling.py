"""What is in the groups of units, for those that ask whether more fits in."""

from __future__ import annotations

import os

from maestro.drivers.cgroups import files, limits
from maestro.drivers.cgroups.groups import ControlGroups
from maestro.model.unit import Unit

# Pages of files that were not used for a while: the kernel drops them for whoever needs the room.
_DROPPABLE = {"v2": "inactive_file", "v1": "total_inactive_file"}


class Fillings:
    """Implements `headroom.Fillings`. A group that is not there is an empty one."""

    def __init__(self, groups: ControlGroups) -> None:
        self._groups = groups

    def memory(self, unit: Unit) -> int:
        path = self._groups.file_of(unit, "memory", "memory.current", "memory.usage_in_bytes")
        used = _in(path)
        if used <= 0:
            return used
        key = _DROPPABLE["v2" if path.endswith("memory.current") else "v1"]
        return max(0, used - files.pairs(files.read(f"{os.path.dirname(path)}/memory.stat")).get(key, 0))

    def tasks(self, unit: Unit) -> int:
        return _in(self._groups.file_of(unit, "pids", "pids.current", "pids.current"))

    def most_tasks(self) -> int:
        return limits.host_tasks()


def _in(path: str) -> int:
    return (files.number(path) or 0) if path else -1
