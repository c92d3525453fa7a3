"""What has to wait while every agent stands still."""

from __future__ import annotations

from collections.abc import Callable

from maestro.engine.events import CannotSpawn, Deed, Freeze, Spawn
from maestro.engine.state import Coarse
from maestro.engine.world import World


class Held:
    """`on` while nothing is to be started, and nothing to go on; what was to be is kept meanwhile."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.on = False
        self._later: list[Spawn | Freeze] = []

    def keeps(self, deed: Deed) -> bool:
        """Whether that has to wait. What comes down may go on, so that it can hear of that."""
        if not self.on or not isinstance(deed, Spawn | Freeze):
            return False
        if isinstance(deed, Freeze) and (deed.still or not self._stays_up(deed)):
            return False
        self._later.append(deed)
        return True

    def _stays_up(self, deed: Freeze) -> bool:
        name = self._world.owner(deed.agent)
        return name is not None and self._world.life(name).coarse in (Coarse.ACTIVATING, Coarse.ACTIVE)

    def take(self) -> list[Spawn | Freeze]:
        """What may be done now; what stands still for a reason of its own by now goes on standing still."""
        later, self._later = self._later, []
        return [deed for deed in later if isinstance(deed, Spawn) or self._goes_on(deed)]

    def _goes_on(self, deed: Freeze) -> bool:
        name = self._world.owner(deed.agent)
        return name is not None and not self._world.life(name).stands_still

    def drop(self, feed: Callable[[CannotSpawn], object]) -> None:
        """What was to be started meanwhile is not wanted any more."""
        later, self._later = self._later, []
        for deed in later:
            if isinstance(deed, Spawn):
                feed(CannotSpawn(deed.agent, "not started: everything was stopped"))
