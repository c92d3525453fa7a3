"""maestroctl reset-failed."""

from __future__ import annotations

from maestro.cli.verbs import at_once

COMMAND = at_once(
    "reset-failed",
    "Forget that units have failed, and how often; of all units if none is named.",
    needs_names=False,
)
