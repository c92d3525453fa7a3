"""maestroctl stop."""

from __future__ import annotations

from maestro.cli.verbs import verb

COMMAND = verb("stop", "Stop units, and what requires them, and wait until nothing of them is left.")
