"""maestroctl enable."""

from __future__ import annotations

from maestro.cli.verbs import NOW, RUNTIME, linking

COMMAND = linking(
    "enable", "Let units start with their targets, as their install sections say.", NOW, RUNTIME
)
