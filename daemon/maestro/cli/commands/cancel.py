"""maestroctl cancel."""

from __future__ import annotations

from maestro.cli.verbs import at_once

COMMAND = at_once("cancel", "Take back what pending jobs asked for: of units, or by number.", metavar="JOB")
