"""All agents at once: held, let go on or ended by one write to the group that all of theirs are in."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable

from maestro.drivers.cgroups.events import Changes
from maestro.drivers.cgroups.files import read, wrote
from maestro.drivers.cgroups.layout import Layout

_log = logging.getLogger(__name__)


class Brake:
    """Implements `ports.Brake`. What the kernel says is what counts: so a client may do the same when no manager answers."""

    def __init__(self, layout: Layout, changes: Changes) -> None:
        self.group = layout.tracking
        self._is_v1 = layout.kind == "v1"
        self._changes = changes

    def begin(self, changed: Callable[[], None]) -> None:
        if self.group and not self._is_v1:
            self._changes.watch(f"{self.group}/cgroup.events", changed)

    def say_where(self, path: str) -> None:
        """For a client that has to do without us."""
        try:
            if self.group:
                with open(f"{path}.new", "w", encoding="utf-8") as file:
                    file.write(f"{self.group}\n")
                os.rename(f"{path}.new", path)
            elif os.path.exists(path):
                os.unlink(path)
        except OSError as error:
            _log.warning(
                "cannot write %s: %s; an emergency stop without us has to send signals", path, error.strerror
            )

    def hold(self, still: bool) -> bool:
        """False: this host has no such group."""
        if not self.group:
            return False
        if self._is_v1:
            return wrote(f"{self.group}/freezer.state", "FROZEN" if still else "THAWED")
        return wrote(f"{self.group}/cgroup.freeze", "1" if still else "0")

    def is_held(self) -> bool:
        """Whether they are to stand still."""
        name = "freezer.self_freezing" if self._is_v1 else "cgroup.freeze"
        return bool(self.group) and read(f"{self.group}/{name}").strip() == "1"

    def is_still(self) -> bool:
        """Whether all of them do by now."""
        if self._is_v1:
            return read(f"{self.group}/freezer.state").strip() == "FROZEN"
        return "frozen 1" in read(f"{self.group}/cgroup.events")

    def kill(self) -> bool:
        """SIGKILL to all. What is held by v1 ends when it is let go, before it does anything else."""
        if not self.group:
            return False
        if not self._is_v1 and wrote(f"{self.group}/cgroup.kill", "1"):
            return True
        for inner, _, _ in os.walk(self.group):
            for pid in read(f"{inner}/cgroup.procs").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        return True
