"""Processes of ours that start agents while the keeper goes on: where many are to be started, it would mostly wait for execs.

Each is spawn.c, executed: 60 kB without Python. The keeper lays plans out in memory that it shares with them; the children are the
keeper's own, since the kernel gives them to the parent of who made them, if he asks for it. Between two batches of orders none has
anything to do, and it ends with the keeper. One that somebody else has ended is followed by another.
"""

from __future__ import annotations

import ctypes
import os
from mmap import mmap

from maestro.keeper.vfork import Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import SIGKILL
    from typing import Any

    from maestro.keeper.proc import Proc, Process
    from maestro.keeper.vfork import Spawner
else:
    from _signal import SIGKILL

_BOARD = 0x2000000000  # where its memory is for a starter, as in spawn.c
_DONE = 4  # where it says how many are done
_PLANS = 4
_ROOM = 65536
_MOST = 2  # at once: more would have nothing to do, since the keeper takes half as long for an order as they for a start
_REPLACED = 10  # times that others may end one of ours, until we do without
_LOOK = 100  # milliseconds until it is looked whether one lives that is waited for
_STOPPED = ("T", "t")
_GONE = ("Z", "X")


class Starter:
    """One of them, and the plans that it has been given. Raises OSError where there can be none."""

    def __init__(self, spawner: Spawner) -> None:
        size = _ROOM * (1 + _PLANS)
        self._spawner = spawner
        self._alarm = -1
        self._alarm, report = os.pipe2(os.O_CLOEXEC)  # a starter ends that finds our end closed
        memory = -1
        try:
            memory = os.memfd_create("plans")
            os.ftruncate(memory, size)
            self._memory = mmap(memory, size)
            words = [b"maestrod: starter", *(b"%d" % one for one in (memory, report, size, os.getpid()))]
            self.pid = spawner.employ(words, (spawner.library, memory, report))
        finally:
            os.close(report)
            if memory >= 0:
                os.close(memory)
        if not self.pid:
            raise OSError("it cannot be executed")
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._board, self._done = ctypes.c_void_p(address), ctypes.c_uint32.from_address(address + _DONE)
        places = [_ROOM * (1 + place) for place in range(_PLANS)]
        self._pages = [Page(self._memory, place, _ROOM, _BOARD + place) for place in places]
        self._given = self._taken = 0
        self.lives = True  # as far as we know

    def __del__(self) -> None:
        if self._alarm >= 0:
            os.close(self._alarm)

    def has_room(self) -> bool:
        return self._given - self._taken < _PLANS

    def give(self, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> None:
        """Raises ValueError where it is too long."""
        self._spawner.give(self._pages[self._given % _PLANS], recipe, output, files)
        self._given += 1
        self._spawner.functions.maestro_give(self._board)

    def is_done(self) -> bool:
        """Whether the oldest plan is, at a glance."""
        return ctypes.c_int32(self._done.value - self._taken).value > 0

    def take(self, proc: Proc) -> int:
        """The pid of what was made by the oldest plan; 0 where it has to be forked. Waits for it."""
        page = self._pages[self._taken % _PLANS]
        self._taken += 1
        while not (is_over := self._is_over(self._taken)) and self.lives:
            self._see_to(proc.look(self.pid))
        if not is_over and (born := proc.look(page.plan.born)):
            # Who made it was ended in between: it is the agent, and may have done its work by now.
            is_over = born.executed
        return page.outcome(is_over=is_over)

    def _is_over(self, number: int) -> bool:
        wait = _LOOK if self.lives else 0
        done = self._spawner.functions.maestro_await(self._board, ctypes.c_uint32(number), wait)
        return ctypes.c_int32(done - number).value >= 0

    def _see_to(self, process: Process | None) -> None:
        """One that was killed is waited for: until it is gone it may go on, and what it makes then would not be known."""
        self.lives = process is not None and process.state not in _GONE
        if process is not None and process.state in _STOPPED:  # somebody holds it, and with it us
            os.kill(self.pid, SIGKILL)


class Starters:
    """All of them. `children`: pids of ours that are no agents, until they are reaped."""

    def __init__(self, spawner: Spawner, proc: Proc, children: set[int]) -> None:
        self._spawner = spawner
        self._proc = proc
        self._children = children
        processors = len(os.sched_getaffinity(0))
        self._most = min(_MOST, processors) if processors > 1 else 0
        self._engaged = 0
        self._starters: list[Starter] = []  # the next to be given something comes first
        self._begun: list[tuple[Starter, Any]] = []  # in the order in which they were given

    def __bool__(self) -> bool:
        """Whether there is an outcome to be taken."""
        return bool(self._begun)

    def next_is_busy(self) -> bool:
        return bool(self._starters) and not self._starters[0].has_room()

    def give(self, order: Any, recipe: dict[str, Any], output: int, files: tuple[int, int]) -> bool:
        """Whether somebody starts it now; `order` comes back with what has come of it. Raises ValueError where it is too long."""
        starter = self._next()
        if starter is None or not starter.has_room():
            return False
        starter.give(recipe, output, files)
        self._begun.append((starter, order))
        return True

    def has_outcome(self) -> bool:
        """Whether there is one, and it need not be waited for."""
        return bool(self._begun) and self._begun[0][0].is_done()

    def take(self) -> tuple[Any, int]:
        """The oldest order, and its pid, or 0 where it has to be forked. Waits for it."""
        starter, order = self._begun.pop(0)
        return order, starter.take(self._proc)

    def reaped(self, pid: int) -> None:
        """If it was one of them: the pid may be another's from now on."""
        for one in self._starters:
            one.lives = one.lives and one.pid != pid
        self._starters = [one for one in self._starters if one.pid != pid]

    def end(self) -> None:
        """To be called when there is no outcome to be taken."""
        for starter in self._starters:
            os.kill(starter.pid, SIGKILL)
            os.waitpid(starter.pid, 0)
            self._children.discard(starter.pid)
        self._starters.clear()

    def _next(self) -> Starter | None:
        """Each has its turn."""
        if len(self._starters) < self._most and self._engaged < self._most + _REPLACED:
            self._engaged += 1
            self._engage()
        if not self._starters:
            return None
        self._starters.append(self._starters.pop(0))
        return self._starters[-1]

    def _engage(self) -> None:
        try:
            starter = Starter(self._spawner)
        except OSError:
            return  # the next order may find what this one did not
        self._children.add(starter.pid)
        self._starters.insert(0, starter)
