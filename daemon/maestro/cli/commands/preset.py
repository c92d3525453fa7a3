"""maestroctl preset."""

from __future__ import annotations

from maestro.cli.verbs import linking

COMMAND = linking("preset", "Enable or disable units as the preset files say.")
