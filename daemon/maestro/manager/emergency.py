"""Everything stands still at once, at an operator's word, and goes on or ends at another.

It is done in the kernel first and told to the engine then: nothing here waits for the disk. Whether it is so says the kernel: a new
manager, and one that was held itself, finds it out from there, and maestroctl may do the same without us.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time

from msgspec import Struct

from maestro.engine.events import Asked
from maestro.engine.freezing import EMERGENCY
from maestro.engine.pressure import is_frozen
from maestro.engine.state import Goal, Life, State
from maestro.manager.carrier import Carrier
from maestro.manager.loop import Manager
from maestro.ports import Brake, Keeper

_PATIENCE = 1.0  # seconds that all may take to stand still until it is said that some do not
_LOOK = 0.005  # seconds after which it is looked whether they do, without word of the kernel
_log = logging.getLogger("maestro")


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of it."""

    agents: int
    how: str  # "group", "signals"
    took: float  # seconds
    still: bool  # all stand still


class Emergency:
    """`mark` is the path of a file that says so where the kernel has no group that could."""

    def __init__(self, manager: Manager, carrier: Carrier, keeper: Keeper, brake: Brake, mark: str) -> None:
        self._manager, self._carrier, self._keeper = manager, carrier, keeper
        self._world = manager.world
        self._brake, self._mark = brake, mark
        self._changed = asyncio.Event()

    @property
    def is_on(self) -> bool:
        return self._carrier.held.on

    def notice(self) -> str:
        """What an operator should know."""
        return (
            "every agent is held by emergency-stop: `maestroctl emergency-stop --thaw` lets them go on"
            if self.is_on
            else ""
        )

    def resume(self) -> None:
        """Find out whether it is on, and whether that was changed while nobody looked."""
        self._brake.begin(self._follow)
        self._carrier.held.on = self._is_held()
        self._tell()

    def _is_held(self) -> bool:
        return self._brake.is_held() or os.path.exists(self._mark)

    def _follow(self) -> None:
        """Somebody may have done it without us."""
        self._changed.set()
        held = self._brake.is_held()
        if held != self.is_on and not os.path.exists(self._mark):
            _log.warning("every agent was %s by somebody else", "frozen" if held else "thawed")
            self._set(held)

    def _set(self, held: bool) -> None:
        self._carrier.hold(held)
        self._tell()

    def _tell(self) -> None:
        """The engine: which units stand still, or go on; and that nothing is to be started, or may be again."""
        meant = _can_be_held if self.is_on else _is_held
        names = [name for name, life in self._world.lives.items() if meant(life)]
        if names or self._world.room.is_held != self.is_on:
            self._manager.feed(Asked("hold" if self.is_on else "release", tuple(names)))

    # ---------------------------------------------------------------------------------- what is asked

    async def freeze(self) -> Outcome:
        """Hold all, also what is only born in a moment."""
        began = time.monotonic()
        agents = self._agents()
        self._carrier.held.on = True
        by_group = self._brake.hold(True)
        if not by_group:
            self._note(True)
            for agent in agents:
                self._keeper.freeze(agent, still=True)
        while by_group and not self._brake.is_still() and time.monotonic() - began < _PATIENCE:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):  # v1 does not tell
                await asyncio.wait_for(self._changed.wait(), _LOOK)
        took = time.monotonic() - began
        self._set(True)
        still = self._brake.is_still() if by_group else True
        return Outcome(
            agents=len(agents), how="group" if by_group else "signals", took=round(took, 6), still=still
        )

    async def thaw(self) -> Outcome:
        began = time.monotonic()
        agents = self._agents()
        by_group = self._brake.hold(False)
        if not by_group:
            self._note(False)
            asked = {
                life.agent
                for life in self._world.lives.values()
                if life.stands_still and life.frozen_for != EMERGENCY
            }
            for agent in agents:
                if agent not in asked:
                    self._keeper.freeze(agent, still=False)
        took = time.monotonic() - began
        self._set(False)
        return Outcome(
            agents=len(agents), how="group" if by_group else "signals", took=round(took, 6), still=False
        )

    async def stop(self) -> Outcome:
        """End all where they stand: none of them gets another turn, and nothing is started again."""
        began = time.monotonic()
        agents = self._agents()
        self._carrier.held.on = True
        by_group = self._brake.hold(True)
        names = [
            name for name, life in self._world.lives.items() if name in self._world.units and _is_up(life)
        ]
        self._manager.feed(Asked("stop", tuple(names)))
        self.end()
        took = time.monotonic() - began
        return Outcome(
            agents=len(agents), how="group" if by_group else "signals", took=round(took, 6), still=False
        )

    def end(self) -> None:
        """All were told to stop: what is held cannot hear it."""
        if not self.is_on:
            return
        self._carrier.held.drop(self._manager.feed)
        if not self._brake.kill():
            self._carrier.kill_all()
            self._note(False)
        self._brake.hold(False)
        self._set(False)

    def _agents(self) -> list[str]:
        return [agent for life in self._world.lives.values() for agent in life.agents]

    def _note(self, held: bool) -> None:
        try:
            if held:
                with open(self._mark, "w", encoding="ascii"):
                    pass
            else:
                os.unlink(self._mark)
        except OSError as error:
            if held:
                _log.warning("%s: %s", self._mark, error.strerror)


def _can_be_held(life: Life) -> bool:
    """What runs, and what goes on by itself when the host has memory."""
    return life.state is State.RUNNING or is_frozen(life)


def _is_held(life: Life) -> bool:
    return life.state is State.FROZEN and life.frozen_for == EMERGENCY


def _is_up(life: Life) -> bool:
    return life.goal is Goal.UP or life.alive
