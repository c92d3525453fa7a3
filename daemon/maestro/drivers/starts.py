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
                words="by a fork of the keeper where an agent has a control group, a user or a sandbox",
                cost="some 2 ms of each such start, and 6 more in a sandbox",
                advice="have a C compiler where bin/maestrod runs, or where the package is built: it builds keeper/spawn.c",
            ),
        )
    return (Finding(part="starts", state="ok", words="without a fork, but for what few agents ask for"),)
