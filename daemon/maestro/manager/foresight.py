"""What is committed with the order to start a process, before it leaves."""

from __future__ import annotations

from maestro.engine import errands
from maestro.engine.events import Deed, Spawn
from maestro.engine.world import World
from maestro.manager import directories
from maestro.manager.catalogue import Catalogue
from maestro.manager.loop import Manager
from maestro.manager.recipe import House


class Foresight:
    """What an agent is started from is committed with the intent: its file may change, or go, before a new manager looks."""

    def __init__(self, manager: Manager, house: House, catalogue: Catalogue) -> None:
        self._manager, self._house, self._catalogue = manager, house, catalogue
        self._world: World = manager.world

    def __call__(self, deed: Deed) -> bool:
        """Whether there is something that nobody would know again."""
        if not isinstance(deed, Spawn):
            return False
        unit, line = self._world.units[deed.unit], self._world.life(deed.unit).line
        # Commands after the first are beside a process that may be of an older definition.
        directories.allot(unit, self._house)
        if unit.agent is None or not (deed.errand is None or errands.begins(deed, unit, line)):
            return False
        definition = self._catalogue.definition(deed.unit, unit)
        if definition is not None:
            self._manager.note_definition(deed.unit, definition)
        return definition is not None or unit.agent.dynamic_user
