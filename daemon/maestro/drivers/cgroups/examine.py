"""What `maestroctl doctor` says of control groups."""

from __future__ import annotations

from maestro.drivers.cgroups.layout import CONTROLLERS, Layout
from maestro.ports import Finding

_KINDS = {
    "v2": "cgroup v2",
    "hybrid": "cgroup v1 for limits, with a tree of v2 beside it",
    "v1": "cgroup v1",
}
_WITHOUT = {
    "memory": "limits and use of memory, and the notice of an OOM kill",
    "pids": "a limit on the number of tasks",
    "cpu": "shares and quotas of processor time",
    "cpuset": "a choice of processors",
    "io": "shares and limits of disk traffic",
    "blkio": "shares and limits of disk traffic",
}
_NO_GROUPS = (
    "limits of a whole process tree; its end and standstill at once; and a process that leaves its session, clears its "
    "environment and closes its output is not known as its agent's any more"
)


def findings(layout: Layout) -> tuple[Finding, ...]:
    if not layout.tracking:
        why = "; ".join(layout.why) or "none are mounted"
        advice = "run maestrod as root, or by systemd with Delegate=yes"
        return (Finding(part="control groups", state="missing", words=why, cost=_NO_GROUPS, advice=advice),)
    have = set(layout.v2) | set(layout.v1)
    lacking = [one for one in CONTROLLERS[2 if layout.kind == "v2" else 1] if one not in have]
    words = f"{_KINDS[layout.kind]}: {layout.tracking}"
    cost = "; ".join([*(f"{_WITHOUT[one]} ({one})" for one in lacking), *_without_v2(layout)])
    found = [
        Finding(
            part="control groups",
            state="limited" if lacking or layout.kind != "v2" else "ok",
            words=words,
            cost=cost,
            advice="; ".join(layout.why) if lacking else "",
        )
    ]
    return tuple(found)


def _without_v2(layout: Layout) -> list[str]:
    """What only v2 can, where limits are v1's."""
    if layout.kind == "v2":
        return []
    lost = ["memory_min, memory_high and io_weight"]
    if layout.kind == "v1":
        lost.append("agents are killed process by process")
    return lost
