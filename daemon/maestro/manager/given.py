"""What a unit or an agent says, as the ports take it."""

from __future__ import annotations

from functools import lru_cache

from maestro.model.unit import LogsSection
from maestro.ports import LogLimits


@lru_cache(64)
def log_limits(section: LogsSection) -> LogLimits:
    return LogLimits(
        max_size=int(section.max_size),
        max_files=section.max_files,
        rate_interval=float(section.rate_limit_interval),
        rate_burst=int(section.rate_limit_burst),
    )


def checked(fields: dict[str, str]) -> dict[str, str]:
    """Only numbers where numbers belong: what an agent says is not to be trusted."""
    numeric = ("MAINPID", "EXTEND_TIMEOUT_USEC", "WATCHDOG_USEC", "MONOTONIC_USEC", "ERRNO")
    return {
        key: value
        for key, value in fields.items()
        if key not in numeric or (value.isascii() and value.isdigit() and len(value) < 16)
    }
