"""maestroctl isolate."""

from __future__ import annotations

from maestro.cli.verbs import verb

COMMAND = verb("isolate", "Start units and what they need, and stop everything else.")
