"""maestroctl is-failed."""

from __future__ import annotations

from maestro.cli import exits
from maestro.cli.judging import judging

COMMAND = judging(
    "is-failed",
    "Tell by a word each, and by the exit code, whether one of the units has failed.",
    ("failed",),
    exits.FAILED,
)
