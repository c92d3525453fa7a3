"""The pauses of other supervisors before a restart: defaults of the `restart` options, taken where a unit names none of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from maestro.model.unit import Unit
from maestro.model.values import Percentage, Seconds, StartLimit

_FOR_EVER = Seconds("inf")
_PLAIN: dict[str, Any] = {"jitter": Percentage(0), "start_limits": (), "steps": 0, "factor": 2.0}

PROFILES: Mapping[str, Mapping[str, Any]] = {
    "maestro": {},
    # constant, unless `steps` and `max_delay` are set; never forgiven but by a start by hand
    "systemd": _PLAIN
    | {
        "delay": Seconds("100ms"),
        "max_delay": _FOR_EVER,
        "factor": 1.0,
        "reset_after": _FOR_EVER,
        "start_limits": (StartLimit("5/10s"),),
        "on_give_up": "fail",
    },
    "docker": _PLAIN
    | {"delay": Seconds("100ms"), "max_delay": Seconds("60s"), "reset_after": Seconds("10s")},
    "kubelet": _PLAIN
    | {"delay": Seconds("10s"), "max_delay": Seconds("300s"), "reset_after": Seconds("10min")},
    "pebble": _PLAIN
    | {
        "delay": Seconds("500ms"),
        "max_delay": Seconds("30s"),
        "jitter": Percentage(10),
        "reset_after": Seconds("30s"),
    },
}


def applied(unit: Unit) -> Unit:
    """The same unit with the options of its profile, but for those that its file sets."""
    if unit.agent is None:
        return unit
    chosen = {
        option: value
        for option, value in PROFILES[unit.agent.restart.profile].items()
        if f"agent.restart.{option}" not in unit.origins
    }
    if not chosen:
        return unit
    return replace(unit, agent=replace(unit.agent, restart=replace(unit.agent.restart, **chosen)))
