"""Windows of the calendar, compared with what zoneinfo says of each moment in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro.engine.calendar import bounds, stamp
from maestro.model.budget import CALENDAR

# Half an hour of summer time; midnight that is skipped; midnight that comes twice; offsets that are no hours; none of all that.
ZONES = (
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "UTC",
)
moments = st.floats(946_684_800, 2_208_988_800)  # 2000 to 2039
whole_moments = st.integers(946_684_800, 2_208_988_800)


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@given(st.sampled_from(CALENDAR), moments, st.sampled_from(ZONES))
def test_a_moment_is_in_its_window_and_the_next_one_begins_where_it_ends(
    window: str, wall: float, name: str
) -> None:
    zone = ZoneInfo(name)
    start, end = bounds(window, wall, zone)
    assert start <= wall < end
    assert bounds(window, end, zone)[0] <= end < bounds(window, end, zone)[1]
    assert bounds(window, end, zone) != (start, end)
    if window != "hour" or name != "Australia/Lord_Howe":  # where an hour may begin half an hour late
        assert bounds(window, end, zone)[0] == end


@given(
    st.sampled_from(CALENDAR[1:]), whole_moments, st.sampled_from(ZONES), st.floats(0, 1, exclude_max=True)
)
def test_all_of_a_window_has_the_same_date(window: str, wall: float, name: str, part: float) -> None:
    zone = ZoneInfo(name)
    start, end = bounds(window, wall, zone)
    other = start + int((end - start) * part)
    one, two = datetime.fromtimestamp(wall, zone), datetime.fromtimestamp(other, zone)
    dates: dict[str, Callable[[datetime], object]] = {
        "day": lambda when: when.date(),
        "week": lambda when: when.isocalendar()[:2],
        "month": lambda when: (when.year, when.month),
    }
    of = dates[window]
    assert of(one) == of(two)
    assert of(datetime.fromtimestamp(end, zone)) != of(one)
    assert of(datetime.fromtimestamp(start - 1, zone)) != of(one)


@given(moments, st.sampled_from([zone for zone in ZONES if zone != "Australia/Lord_Howe"]))
def test_an_hour_is_one_by_the_clock_and_lasts_an_hour(wall: float, name: str) -> None:
    start, end = bounds("hour", wall, ZoneInfo(name))
    assert end - start == 3600
    assert datetime.fromtimestamp(start, ZoneInfo(name)).minute == 0


@pytest.mark.parametrize(
    ("window", "moment", "zone", "start", "hours"),
    [
        ("day", "2026-03-29 12:00", "Europe/Berlin", "2026-03-29 00:00", 23),
        ("day", "2026-10-25 02:30", "Europe/Berlin", "2026-10-25 00:00", 25),
        ("month", "2024-02-29 23:59", "UTC", "2024-02-01 00:00", 29 * 24),
        ("month", "2026-12-31 23:59", "Europe/Berlin", "2026-12-01 00:00", 31 * 24),
        ("month", "2026-03-31 00:00", "Europe/Berlin", "2026-03-01 00:00", 31 * 24 - 1),
        ("week", "2027-01-01 00:00", "UTC", "2026-12-28 00:00", 168),
        ("hour", "2026-10-25 02:30", "Europe/Berlin", "2026-10-25 02:00", 1),
        ("day", "2018-11-04 12:00", "America/Sao_Paulo", "2018-11-04 01:00", 23),  # there was no midnight
    ],
)
def test_days_that_are_short_or_long(window: str, moment: str, zone: str, start: str, hours: int) -> None:
    found = bounds(window, at(moment, zone), ZoneInfo(zone))
    assert found == (at(start, zone), at(start, zone) + hours * 3600)


def test_the_hour_that_is_shown_twice_is_two() -> None:
    zone = ZoneInfo("Europe/Berlin")
    first = bounds("hour", at("2026-10-25 02:30", "Europe/Berlin", 0), zone)
    second = bounds("hour", at("2026-10-25 02:30", "Europe/Berlin", 1), zone)
    assert first[1] == second[0]


@pytest.mark.parametrize("wall", [-1e18, 0.0, 1e18])
@pytest.mark.parametrize("window", CALENDAR)
def test_a_clock_that_is_out_of_its_mind_is_no_error(wall: float, window: str) -> None:
    start, end = bounds(window, wall, UTC)
    assert start < end
    assert stamp(wall, 0.0, UTC, "UTC").endswith("UTC")


def test_a_moment_in_words() -> None:
    assert stamp(at("2026-11-22 00:00"), at("2026-11-21 10:00"), UTC, "UTC") == "00:00 UTC"
    assert stamp(at("2026-12-01 00:00"), at("2026-11-21 10:00"), UTC, "UTC") == "2026-12-01 00:00 UTC"
