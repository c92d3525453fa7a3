from __future__ import annotations

import pytest

from maestro.cli.moment import moment, span
from maestro.control.trouble import CallError

NOW = 1_795_255_501.5  # 2026-11-21 10:05:01.5 UTC
TODAY = 1_795_219_200.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", NOW),
        ("today", TODAY),
        ("yesterday", TODAY - 86400),
        ("10min", NOW - 600),
        ("2 h ago", NOW - 7200),
        ("-1h 30min", NOW - 5400),
        ("@1795219200", TODAY),
        ("@1795219200.5", TODAY + 0.5),
        ("2026-11-21", TODAY),
        ("2026-11-21 10:00", TODAY + 36000),
        ("2026-11-21T10:00:01", TODAY + 36001),
        ("2026-11-21T10:00:00+01:00", TODAY + 32400),
        ("10:00", TODAY + 36000),
    ],
)
def test_moments(text: str, seconds: float) -> None:
    assert moment(text, "--since", NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "soon", "@", "@x", "2026-13-01", "10 parsecs", "25:00", "9999999-01-01"]
)
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(CallError, match=r"--since: .* is not a time") as caught:
        moment(text, "--since", NOW)
    assert caught.value.code == "bad-request"
    assert "yesterday" in caught.value.hint


def test_spans() -> None:
    assert span("1min 30s", "--timeout") == 90
    assert span("infinity", "--timeout") is None
    with pytest.raises(CallError, match=r"--timeout: .*soon.* is not a duration"):
        span("soon", "--timeout")
