"""Which control groups this host has, so that one test can run on all layouts, or say why it does not.

v2      one tree with all controllers, as systemd mounts it (`unified`)
hybrid  controllers in v1 hierarchies; a v2 tree beside them may be there, without controllers of its own
none    no controllers at all, as in many containers
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

Kind = Literal["v2", "hybrid", "none"]

# What may be among the options of a v1 hierarchy and is a controller; all else is an option of the mount.
_CONTROLLERS = {
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
}
_CONTROLLERS |= {"perf_event", "pids", "rdma"}


@dataclass(frozen=True)
class Layout:
    """The mounted trees. Nothing is said about what we may write there."""

    kind: Kind
    tree: Path | None = None  # the v2 tree
    controllers: frozenset[str] = frozenset()  # that the v2 tree has at its root
    v1: dict[str, Path] = field(default_factory=dict)  # controller -> its v1 hierarchy


def layout(mountinfo: str | None = None) -> Layout:
    """The layout of this host, or of the one whose /proc/self/mountinfo is given."""
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    tree: Path | None = None
    v1: dict[str, Path] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        place = Path(_plain(before.split(" ")[4]))
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            tree = tree or place
        elif kind == "cgroup":
            v1 |= dict.fromkeys(_CONTROLLERS.intersection(options.split(",")), place)
    controllers = _controllers(tree)
    return Layout("hybrid" if v1 else "v2" if controllers else "none", tree, controllers, v1)


def _controllers(tree: Path | None) -> frozenset[str]:
    try:
        return frozenset((tree / "cgroup.controllers").read_text().split()) if tree else frozenset()
    except OSError:
        return frozenset()


def _plain(escaped: str) -> str:
    """A path as the kernel writes it in mountinfo: a blank is \\040."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), escaped)


def only_on(*kinds: Kind) -> Callable[[Any], Any]:
    """Decorates a test that makes sense on these layouts alone."""
    here = layout().kind
    return pytest.mark.skipif(
        here not in kinds, reason=f"is about control groups {' or '.join(kinds)}; this host has: {here}"
    )
