"""maestroctl mask."""

from __future__ import annotations

from maestro.cli.verbs import NOW, RUNTIME, linking

COMMAND = linking("mask", "Make it impossible to start units, whoever asks.", NOW, RUNTIME)
