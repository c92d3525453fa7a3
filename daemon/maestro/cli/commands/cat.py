"""maestroctl cat."""

from __future__ import annotations

from maestro.cli.asking import asking
from maestro.cli.render.lists import pieces

COMMAND = asking("cat", "Show the files of units as they are.", pieces)
