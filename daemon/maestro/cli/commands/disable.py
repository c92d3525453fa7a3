"""maestroctl disable."""

from __future__ import annotations

from maestro.cli.verbs import linking

COMMAND = linking("disable", "Let units no longer start with their targets.")
