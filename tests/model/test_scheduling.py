"""Options of scheduling and limits: what is refused, and with which words; what contradicts what."""

from __future__ import annotations

import pytest

from maestro.model.amounts import NumberSet
from maestro.model.limits import (
    UNLIMITED,
    CountLimit,
    Limit,
    MicrosecondsLimit,
    NiceLimit,
    SecondsLimit,
    SizeLimit,
)
from maestro.model.load import load_text
from maestro.model.plain import Mistake
from maestro.model.scheduling import Nanoseconds
from maestro.model.unit import Unit


def unit_of(options: str) -> Unit:
    loaded = load_text("x.agent.yaml", f"agent: {{exec: a, {options}}}".encode(), "f")
    assert loaded.unit is not None, list(map(str, loaded.problems))
    return loaded.unit


def problem(options: str) -> str:
    [one] = load_text("x.agent.yaml", f"agent: {{exec: a, {options}}}".encode(), "f").problems
    return f"{one.option}: {one.message} ({one.hint})"


@pytest.mark.parametrize(
    ("kind", "text", "soft", "hard", "shown"),
    [
        (CountLimit, "1024:4096", 1024, 4096, "1024:4096"),
        (CountLimit, "4096", 4096, 4096, "4096"),
        (CountLimit, "1 : infinity", 1, UNLIMITED, "1:infinity"),
        (SizeLimit, "1024K", 1 << 20, 1 << 20, "1M"),
        (SizeLimit, "1G 512M:infinity", 3 << 29, UNLIMITED, "1536M:infinity"),
        (SecondsLimit, "90", 90, 90, "1min 30s"),
        (SecondsLimit, "100ms:2s", 1, 2, "1s:2s"),
        (MicrosecondsLimit, "500000", 500_000, 500_000, "500ms"),
        (NiceLimit, "+5:-5", 15, 25, "+5:-5"),
        (NiceLimit, "25", 25, 25, "-5"),
        (NiceLimit, "20", 20, 20, "+0"),
        (NiceLimit, "0", 0, 0, "0"),
    ],
)
def test_a_limit(kind: type[Limit], text: str, soft: int, hard: int, shown: str) -> None:
    limit = kind(text)
    assert (limit.soft, limit.hard, str(limit)) == (soft, hard, shown)
    assert kind(shown) == limit


def test_a_section_of_limits() -> None:
    unit = unit_of("limits: {nofile: 1024:4096, as: 1G, core: 0, nice: -5, rttime: 1s}")
    assert unit.agent is not None
    limits = unit.agent.limits
    assert limits.as_ is not None
    assert (limits.as_.hard, str(limits.nofile), str(limits.core)) == (1 << 30, "1024:4096", "0")
    assert unit.origins["agent.limits.as"].line == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            "limits: {nofile: 010}",
            "agent.limits.nofile: '010' is not a number (write a number such as 4096, ",
        ),
        ("limits: {nofile: '4096:1024'}", "above the hard one (write 1024:4096)"),
        ("limits: {nice: 50}", "agent.limits.nice: '50' is out of range (nice levels are -20 to +19"),
        ("limits: {memlock: 1g}", "'1g' is not a size (did you mean 1G?)"),
        ("limits: {vmem: 1}", "agent.limits.vmem: no such option"),
        ("nice: 20", "agent.nice: 20 is too large: it is 19 or less"),
        ("nice: -5.5", "expected a whole number"),
        ("oom_score_adjust: -1001", "is too small: it is -1000 or more"),
        ("cpu_affinity: 3-1", "agent.cpu_affinity: '3-1' runs backwards (write 1-3)"),
        ("cpu_affinity: [0, 9999]", "agent.cpu_affinity[1]: 9999 is too large"),
        ("cpu_affinity: true", "expected numbers and ranges such as 0-3 5, found true"),
        ("timer_slack: infinity", "is too long"),
        ("personality: x64", "is not one of x86, x86-64, "),
        ("cpu_scheduling_priority: 5", "agent.cpu_scheduling_priority: only fifo and rr have a priority"),
        ("cpu_scheduling_policy: idle, cpu_scheduling_priority: 5", "only fifo and rr have a priority"),
        (
            "io_scheduling_class: idle, io_scheduling_priority: 5",
            "class idle has no priorities (leave it out)",
        ),
        ("numa_policy: bind", "agent.numa_policy: bind needs nodes (write numa_mask: 0)"),
        (
            "numa_policy: local, numa_mask: 0",
            "agent.numa_mask: only preferred, bind and interleave have nodes",
        ),
        ("exec_search_path: [/bin, bin]", "agent.exec_search_path[1]: 'bin' is not the path of a directory"),
        ("coredump_filter: all-of-it", "is not one of private-anonymous, "),
    ],
)
def test_what_is_refused(options: str, told: str) -> None:
    assert told in problem(options)


def test_numbers_and_ranges() -> None:
    assert str(NumberSet("5, 0-1 2 7")) == "0-2,5,7"
    assert NumberSet("5,0-1").numbers == (0, 1, 5)
    unit = unit_of("cpu_affinity: [0, 2-3]")
    assert unit.agent is not None
    assert [one.numbers for one in unit.agent.cpu_affinity] == [(0,), (2, 3)]


def test_short_durations() -> None:
    assert [str(Nanoseconds(text)) for text in ("50000", "1us 5ns", "0", "1.5ms")] == [
        "50us",
        "1us 5ns",
        "0",
        "1ms 500us",
    ]
    with pytest.raises(Mistake, match="negative"):
        Nanoseconds("-1")
