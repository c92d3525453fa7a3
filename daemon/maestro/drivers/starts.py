"""What `maestroctl doctor` says of how agents are started."""

from __future__ import annotations

from maestro.keeper import vfork
from maestro.ports import Finding


def findings() -> tuple[Finding, ...]:
    try:
        vfork.load()
    except (OSError, ValueError):
        return (
            Finding(
                part="starts",
                state="limited",
                words="by a fork of the keeper where an agent has a control group or a user",
                cost="some 2 ms of each such start",
                advice="have a C compiler where bin/maestrod runs, or where the package is built: it builds keeper/spawn.c",
            ),
        )
    return (Finding(part="starts", state="ok", words="without a fork where an agent has no sandbox"),)
