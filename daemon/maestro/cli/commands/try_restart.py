"""maestroctl try-restart."""

from __future__ import annotations

from maestro.cli.verbs import verb

COMMAND = verb("try-restart", "Restart units that run; leave the others alone.")
