"""maestroctl show."""

from __future__ import annotations

from maestro.cli.asking import asking
from maestro.cli.render.lists import options

COMMAND = asking("show", "Show every option of units, and the file and line that set it.", options)
