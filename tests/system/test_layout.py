"""What a host's mounts say about its control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.layout import Kind, layout

V1 = "36 25 0:31 / {place}/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n" \
     "37 25 0:32 / {place}/cpu,cpuacct rw,nosuid shared:10 - cgroup cgroup rw,cpu,cpuacct\n" \
     "38 25 0:33 / {place}/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd\n"  # fmt: skip
V2 = "39 25 0:34 / {place}/unified rw,nosuid shared:12 - cgroup2 cgroup2 rw,nsdelegate\n"
OTHER = "22 1 0:20 / /proc rw - proc proc rw\n"


@pytest.mark.parametrize(
    ("mounts", "controllers", "kind"),
    [
        (OTHER + V2, "cpu memory pids", "v2"),
        (OTHER + V1 + V2, "", "hybrid"),
        (OTHER + V1, "", "hybrid"),
        (OTHER + V1 + V2, "hugetlb", "hybrid"),  # a controller that no v1 hierarchy has taken
        (OTHER + V2, "", "none"),
        (OTHER, "", "none"),
    ],
)
def test_a_layout_is_read_from_the_mounts(tmp_path: Path, mounts: str, controllers: str, kind: Kind) -> None:
    place = tmp_path / "with blank"
    (place / "unified").mkdir(parents=True)
    (place / "unified/cgroup.controllers").write_text(controllers + "\n")
    found = layout(mounts.replace("{place}", str(place).replace(" ", r"\040")))
    assert found.kind == kind
    assert found.controllers == (set(controllers.split()) if V2 in mounts else set())
    assert found.tree == (place / "unified" if V2 in mounts else None)
    hierarchies = {"memory": place / "memory", "cpu": place / "cpu,cpuacct", "cpuacct": place / "cpu,cpuacct"}
    assert found.v1 == (hierarchies if V1 in mounts else {})
