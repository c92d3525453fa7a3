"""maestroctl reload."""

from __future__ import annotations

from maestro.cli.verbs import verb

COMMAND = verb("reload", "Make units read their own configuration again.")
