"""Times and spans as they are typed: "10min", "2 h ago", "2026-11-21 10:00", "yesterday", "@1795255501"."""

from __future__ import annotations

from datetime import datetime, timedelta

from maestro.control.trouble import CallError
from maestro.model.plain import Mistake
from maestro.model.timespan import microseconds

_EXAMPLE = "write 10min, 2h, 2026-11-21, '2026-11-21 10:00', today, yesterday or @SECONDS"


def span(text: str, option: str) -> float | None:
    """Seconds; None for infinity."""
    try:
        length = microseconds(text)
    except Mistake as mistake:
        raise CallError("bad-request", f"{option}: {mistake}", "write 30s, 5min or infinity") from None
    return None if length is None else length / 1e6


def moment(text: str, option: str, now: float) -> float:
    """Seconds since 1970. A span counts back from now; a time without a zone is local."""
    said = text.strip()
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight.timestamp()}
    named["yesterday"] = (midnight - timedelta(days=1)).timestamp()
    if said in named:
        return named[said]
    if said.startswith("@"):
        return _number(said[1:], option)
    try:
        return now - (microseconds(said.removesuffix("ago").removeprefix("-")) or 0) / 1e6
    except Mistake:
        return _date(said, option, midnight)


def _number(text: str, option: str) -> float:
    if not text.replace(".", "", 1).isdecimal():
        raise _unclear(f"@{text}", option)
    return float(text)


def _date(text: str, option: str, midnight: datetime) -> float:
    try:
        if ":" in text and "-" not in text:  # only a time: of today
            text = f"{midnight:%Y-%m-%d} {text}"
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise _unclear(text, option) from None


def _unclear(text: str, option: str) -> CallError:
    return CallError("bad-request", f"{option}: {text[:40]!r} is not a time", _EXAMPLE)
