"""When the hour, day, week or month of a moment began and when it ends, where a time zone's clock is read.

Nothing here asks for the time or reads a file: the moment is an argument, and so are the rules of the zone.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from math import floor

_HOUR = 3600
_FIRST, _LAST = (
    10 * 86400.0,
    2.5e11,
)  # seconds since 1970 that a calendar can be read for, with a month to spare


def bounds(window: str, wall: float, zone: tzinfo) -> tuple[float, float]:
    """First moment of the window that `wall` is in, and the first moment after it, in seconds since 1970."""
    wall = min(max(wall, _FIRST), _LAST)
    here = datetime.fromtimestamp(
        floor(wall), zone
    )  # it would be rounded to a microsecond: into the next day
    if window == "hour":
        return _hour(wall, here)
    first, after = _DAYS[window](here.date())
    return _midnight(first, zone), _midnight(after, zone)


def _hour(wall: float, here: datetime) -> tuple[float, float]:
    """Hours last an hour: when clocks are put back, the hour that is shown twice is two."""
    offset = (here.utcoffset() or timedelta()).total_seconds()
    start = (wall + offset) // _HOUR * _HOUR - offset
    return start, start + _HOUR


def _day(here: date) -> tuple[date, date]:
    return here, here + timedelta(days=1)


def _week(here: date) -> tuple[date, date]:
    monday = here - timedelta(days=here.weekday())
    return monday, monday + timedelta(days=7)


def _month(here: date) -> tuple[date, date]:
    first = here.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


_DAYS = {"day": _day, "week": _week, "month": _month}


def _midnight(day: date, zone: tzinfo) -> float:
    """Where clocks skip midnight, the moment at which they do; where they show it twice, the first time."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def stamp(wall: float, now: float, zone: tzinfo, name: str) -> str:
    """A moment for people: `00:00 UTC`, or with its date where that is not within a day."""
    wall = min(max(wall, _FIRST), _LAST)
    here = datetime.fromtimestamp(floor(wall), zone)
    form = "%H:%M" if 0 <= wall - now <= 86400 else "%Y-%m-%d %H:%M"
    return f"{here.strftime(form)} {name}"
