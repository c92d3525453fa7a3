"""maestroctl start."""

from __future__ import annotations

from maestro.cli.verbs import verb

COMMAND = verb("start", "Start units, and what they require, and wait until they are ready.")
