"""What slices say of the logs of agents in them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from maestro.manager.log_keeping import log_limits
from maestro.model.slices import SliceSection
from maestro.model.unit import LogsSection, Unit
from maestro.model.values import Size
from maestro.testing.theatre import unit


def limits(quota: str | None, inner: str | None = None, **logs: object) -> tuple[int, int]:
    def section(amount: str | None) -> SliceSection:
        return SliceSection(log_quota=None if amount is None else Size(amount))

    made: dict[str, Unit] = {
        "a.slice": unit("a.slice", slice=section(quota)),
        "a-b.slice": unit("a-b.slice", slice=section(inner)),
        "web": replace(unit("web", slice="a-b.slice"), logs=LogsSection(**logs)),  # type: ignore[arg-type]
    }
    found = log_limits("web", made)
    return found.max_size, found.max_files


def test_without_a_quota_a_log_is_kept_as_the_unit_says() -> None:
    assert limits(None) == (16 << 20, 4)
    assert limits("2G") == (16 << 20, 4)


@pytest.mark.parametrize(("outer", "inner"), [("1M", None), (None, "1M"), ("1M", "1G"), ("1G", "1M")])
def test_the_files_are_small_beside_the_quota(outer: str | None, inner: str | None) -> None:
    """Whole files are removed: one that was larger than the quota took all that was written last along."""
    assert limits(outer, inner) == (128 << 10, 8)


def test_what_the_unit_keeps_in_all_stays_the_same() -> None:
    assert limits("1M", max_size=Size("256K"), max_files=1) == (128 << 10, 2)
    assert limits("1M", max_size=Size("64K"), max_files=5) == (64 << 10, 5)
    assert limits("64K") == (8 << 10, 8)
