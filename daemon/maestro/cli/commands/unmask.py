"""maestroctl unmask."""

from __future__ import annotations

from maestro.cli.verbs import RUNTIME, linking

COMMAND = linking("unmask", "Let masked units be started again.", RUNTIME)
