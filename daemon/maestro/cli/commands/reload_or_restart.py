"""maestroctl reload-or-restart."""

from __future__ import annotations

from maestro.cli.verbs import verb

COMMAND = verb(
    "reload-or-restart",
    "Have units read their configuration again, or restart those that cannot; start those that do not run.",
)
