"""maestroctl thaw."""

from __future__ import annotations

from maestro.cli.verbs import at_once

COMMAND = at_once("thaw", "Have the processes of frozen agents go on.")
