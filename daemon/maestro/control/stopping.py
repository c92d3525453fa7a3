"""The emergency stop: the request and its answer."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from maestro.control.request import Request


class EmergencyStop(Request, frozen=True, tag_field="do", tag="emergency-stop"):
    """Have every agent stand still at once; then let all go on, or end them where they stand."""

    act: Literal["freeze", "thaw", "stop"] = "freeze"


class EmergencyView(Struct, frozen=True, kw_only=True):
    agents: int
    how: str  # "group": by one write to the group of all agents; "signals": one by one
    took: float  # seconds
    still: bool  # all of them stand still
