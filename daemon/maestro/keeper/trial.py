"""A new keeper is tried out first: a child imports its code, for one that doesn't start would take all with it."""

from __future__ import annotations

import os

from maestro.keeper import child, reexec, steps
from maestro.keeper.say import error_name, how_it_ended, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.keeper.tree import Tree


class Trial:
    def __init__(self, setting: reexec.Setting, nest: child.Nest, tree: Tree) -> None:
        self._setting = setting
        self._nest = nest
        self._tree = tree
        self.pid = 0  # of the successor that is being tried out
        self.fits = False

    def begin(self) -> None:
        if self.pid:
            return
        recipe = {"argv": reexec.command(self._setting, reexec.ON_TRIAL), "env": dict(os.environ)}
        try:
            self.pid = child.fork(child.Birth(recipe, self._nest), steps.SUCCESSOR_ON_TRIAL)
            self._tree.not_agents.add(self.pid)
        except OSError as error:
            say(f"cannot try out the new keeper: {error_name(error)}; going on with the old one")

    def ended(self, status: int) -> None:
        self.pid = 0
        self.fits = status == 0
        if status != 0:
            say(f"the new keeper {how_it_ended(status)} when tried out; going on with the old one")
