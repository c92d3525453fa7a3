"""maestroctl disable."""

from __future__ import annotations

from maestro.cli.verbs import NOW, RUNTIME, linking

COMMAND = linking(
    "disable", "Let units no longer start with their targets; of a template, all its instances.", NOW, RUNTIME
)
