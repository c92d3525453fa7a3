"""Durations, judged by systemd where it is installed."""

from __future__ import annotations

import math
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro.model.plain import Given, Mistake
from maestro.model.timespan import UNITS, Seconds, microseconds

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("30", 30, "30s"),
        ("30s", 30, "30s"),
        ("1min 30s", 90, "1min 30s"),
        ("90s", 90, "1min 30s"),
        ("500ms", 0.5, "500ms"),
        ("0.5", 0.5, "500ms"),
        (".5s", 0.5, "500ms"),
        ("1.5h", 1.5 * HOUR, "1h 30min"),
        ("1d2h", DAY + 2 * HOUR, "1d 2h"),
        ("1M 1m", 2629800 + MINUTE, "1month 1min"),
        ("5s5", 10, "10s"),
        ("5 5", 10, "10s"),
        ("+5s", 5, "5s"),
        (" 5 sec ", 5, "5s"),
        ("3us", 3e-6, "3us"),
        ("1µs", 1e-6, "1us"),
        ("1μs", 1e-6, "1us"),
        ("0", 0, "0"),
        ("infinity", math.inf, "infinity"),
        ("1y 2w", 31557600 + 14 * DAY, "1y 2w"),
    ],
)
def test_read_and_shown(text: str, seconds: float, shown: str) -> None:
    assert Seconds(text) == pytest.approx(seconds)
    assert str(Seconds(text)) == shown
    assert Seconds(shown) == Seconds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        "-5s",
        "5 parsecs",
        "1e3",
        "5.s",
        "5,5s",
        "12.34.56",
        "1H",
        "inf s",
        "1ns",
        "infinity 5s",
        "٥s",
    ],
)
def test_refused_in_words(text: str) -> None:
    with pytest.raises(Mistake) as caught:
        Seconds(text)
    assert "duration" in str(caught.value)


@pytest.mark.parametrize("value", [1e300, "1000000y", "4000000000000000000000s", 1 << 70])
def test_too_long(value: float | str) -> None:
    with pytest.raises(Mistake, match="too long"):
        Seconds.read(Given(value))


@pytest.mark.parametrize("value", [None, [], {}, True, -1, -0.5, math.nan])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(Mistake):
        Seconds.read(Given(value))


@given(st.integers(0, (1 << 53) - 1))
def test_shown_is_read_back(length: int) -> None:
    value = Seconds(length / 1e6)
    assert Seconds(str(value)) == value
    assert microseconds(str(value)) == round(value * 1e6)


ANALYZE = shutil.which("systemd-analyze")
SPELLINGS = [spelling for spellings, _ in UNITS.values() for spelling in spellings]
PIECE = st.sampled_from(
    [
        *SPELLINGS,
        "0",
        "1",
        "7",
        "30",
        "2.5",
        ".25",
        "0.000001",
        " ",
        "  ",
        "+",
        "-",
        ".",
        "S",
        "x",
        "infinity",
    ]
)


def judged(text: str) -> int | str | None:
    """What systemd makes of it: microseconds, None for infinity, "refused"."""
    assert ANALYZE is not None
    ran = subprocess.run([ANALYZE, "timespan", "--", text], capture_output=True, text=True, check=False)
    found = re.search(r"(?:μs|us): (\d+)", re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout))
    if ran.returncode or found is None:
        return "refused"
    return None if int(found[1]) == (1 << 64) - 1 else int(found[1])


def ours(text: str) -> int | str | None:
    try:
        return microseconds(text)
    except Mistake:
        return "refused"


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(PIECE, min_size=1, max_size=6).map("".join))
def test_as_systemd_judges(text: str) -> None:
    assert ours(text) == judged(text)


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(1, 1 << 52))
def test_systemd_reads_what_we_show(length: int) -> None:
    value = Seconds(length / 1e6)
    assert judged(str(value)) == round(value * 1e6)
