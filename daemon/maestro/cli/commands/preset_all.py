"""maestroctl preset-all."""

from __future__ import annotations

from maestro.cli.verbs import linking

COMMAND = linking("preset-all", "Enable or disable all units as the preset files say.", do="preset")
