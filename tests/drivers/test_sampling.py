"""Sampling."""

from __future__ import annotations

from maestro.drivers.cgroups import sampling


def test_where_descriptors_are_few_none_stays_open() -> None:
    """They took half of all, and streams the other half: no client was let in any more."""
    assert [sampling._share(limit) for limit in (64, 1024, 20_000)] == [0, 0, 4744]
