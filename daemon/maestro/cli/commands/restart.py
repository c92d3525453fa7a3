"""maestroctl restart."""

from __future__ import annotations

from maestro.cli.verbs import verb

COMMAND = verb("restart", "Stop units and start them again; those that do not run are started.")
