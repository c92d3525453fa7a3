"""An agent whose main process hands over to another of its processes (sd_notify's MAINPID=): from then on that one is the main."""

from __future__ import annotations

import os
import time

from maestro.keeper import adoption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maestro.keeper.agents import Surroundings
    from maestro.keeper.proc import Process
    from maestro.keeper.table import Entry, Table


class Followers:
    """Once the old main has ended, the new one is our child, and its end is reaped as any other's. Until then it is watched by pidfd."""

    def __init__(self, table: Table, around: Surroundings, lost: Callable[[Entry], None]) -> None:
        self._table, self._around, self._lost = table, around, lost
        self._watched: dict[str, int] = {}  # agent -> pidfd of its new main

    def follow(self, entry: Entry, pid: int) -> bool:
        """Make `pid` the main process, or with 0 the only one that is left. False where there is no such process of this agent."""
        self._around.tree.refresh()
        tree = self._around.tree
        pid = pid or tree.only_orphan(entry)
        process = next((one for one in tree.members(entry) if one.pid == pid), None) or tree.nobodys(pid)
        if process is None:
            return False
        self._table.follow(entry, process)
        self.forget(entry)
        if process.parent != self._around.nest.keeper:
            self._watch(entry, process)
        return True

    def resume(self, entry: Entry) -> None:
        """After a re-exec: watch again what another process is the parent of."""
        process = self._around.proc.look(entry.pid)
        if process is not None:
            self._table.widen(entry, process)
            if process.parent != self._around.nest.keeper:
                self._watch(entry, process)

    def pidfd(self, entry: Entry) -> int:
        """Of its new main, while another process is the parent of that; -1: it is our child, or could not be opened."""
        return self._watched.get(entry.agent, -1)

    def forget(self, entry: Entry) -> None:
        fd = self._watched.pop(entry.agent, -1)
        if fd >= 0:
            self._around.watch.off(fd)
            os.close(fd)

    def _watch(self, entry: Entry, process: Process) -> None:
        proc, see_to = self._around.proc, self._around.nest.spare.see_to
        fd = see_to(lambda: adoption.open_process(proc, process.pid, process.start))
        if fd < 0:
            self._over(entry)
            return
        self._watched[entry.agent] = fd
        self._around.watch.on(fd, lambda: self._over(entry))

    def _over(self, entry: Entry) -> None:
        """It has ended: if it is our child by now, reaping it tells how; otherwise nobody here can know."""
        self.forget(entry)
        process = self._around.proc.look(entry.pid)
        ours = process is not None and process.parent == self._around.nest.keeper
        if entry.ended is None and not ours:
            self._table.end(entry, (None, None, 0.0, 0, time.monotonic()))
            self._lost(entry)
