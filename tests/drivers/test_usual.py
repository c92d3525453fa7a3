"""Whose groups the keeper makes, and what it writes in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from maestro.drivers.cgroups import limits
from maestro.drivers.cgroups.groups import ControlGroups
from maestro.drivers.cgroups.layout import Layout
from maestro.drivers.cgroups.usual import Usual
from maestro.model.amounts import MemoryAmount, TaskAmount
from maestro.model.slices import SliceRef
from maestro.model.unit import ResourcesSection, Unit
from maestro.testing.theatre import unit

V1 = {"memory": (("memory.limit_in_bytes", f"{1 << 30}"),), "pids": (("pids.max", "512"),)}
V2 = {"memory": (("memory.max", f"{1 << 30}"),), "pids": (("pids.max", "512"),)}


def of(**options: Any) -> Unit:
    return replace(unit("web"), resources=ResourcesSection(**options))


@pytest.mark.parametrize(("settings", "lines"), [(limits.V1, V1), (limits.V2, V2)])
def test_limits_that_all_have(settings: tuple[limits.Setting, ...], lines: dict[str, Any]) -> None:
    assert Usual(settings)(of()) == lines


def test_each_has_its_own_amounts() -> None:
    usual = Usual(limits.V2)
    assert usual(of()) == V2
    assert usual(of(tasks_max=TaskAmount("7"))) == {**V2, "pids": (("pids.max", "7"),)}
    assert usual(of(memory_max=MemoryAmount("infinity"))) == {**V2, "memory": (("memory.max", "max"),)}
    assert usual(of()) == V2


def test_of_any_other_the_manager_sees_to() -> None:
    for options in (
        {"memory_high": MemoryAmount("1M")},
        {"oom_policy": "kill"},
        {"slice": SliceRef("a.slice")},
    ):
        assert Usual(limits.V2)(of(**options)) is None, options


def test_where_no_group_can_be_made_a_limit_is_told_and_not_raised(tmp_path: Path) -> None:
    """Somebody has removed the groups above it: a daemon-reload must not end the manager."""
    groups = ControlGroups(Layout(kind="hybrid", tracking=f"{tmp_path}/agents"))
    assert groups.place(of(), "web#1").make, "which leaves it to the keeper"
    assert groups.limit(of()) == (
        f"cannot make its control group {tmp_path}/agents/web.agent: No such file or directory",
    )
    assert groups.limit(of()) == ()
