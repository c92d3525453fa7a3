"""maestroctl is-active."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.judging import judging

COMMAND = judging(
    "is-active",
    "Tell by a word each, and by the exit code, whether one of the units is active.",
    ("active", "reloading"),
    exits.NOT_ACTIVE,
)
