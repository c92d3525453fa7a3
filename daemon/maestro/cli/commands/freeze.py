"""maestroctl freeze."""

from __future__ import annotations

from maestro.cli.verbs import at_once

COMMAND = at_once("freeze", "Have all processes of agents stand still; their memory is kept.")
