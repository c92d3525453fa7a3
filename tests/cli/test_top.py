"""`maestroctl top`, and what `status` says of use."""

from __future__ import annotations

from typing import Any

from maestro.cli.render import usage
from maestro.cli.text import Paint, percent, size


def one(name: str, **facts: object) -> dict[str, Any]:
    base = dict.fromkeys(
        ("cpu", "cpu_share", "memory", "tasks", "read_rate", "write_rate", "read", "written", "memory_peak",
         "memory_max", "tasks_max")
    )  # fmt: skip
    return {"name": name, "state": "active", "fine": "running", "pid": 7, "oom_kills": 0, **base, **facts}


UNITS = [
    one("a", cpu=70.0, cpu_share=0.031, memory=12_900_000, tasks=4),
    one("b", cpu=1.2, cpu_share=1.5, memory=1 << 30, tasks=2, read_rate=2048.0, write_rate=0.0),
    one("c"),
]


def test_amounts_for_people() -> None:
    assert [size(n) for n in (0, 1023, 1024, 12_900_000, 1 << 30, 1 << 50)] == [
        "0", "1023", "1K", "12.3M", "1G", "1P",
    ]  # fmt: skip
    assert [percent(share) for share in (0, 0.031, 0.0999, 1.5)] == ["0.0%", "3.1%", "10%", "150%"]


def test_what_there_is_most_of_comes_first() -> None:
    assert [unit["name"] for unit in usage.ordered(UNITS, "cpu")] == ["b", "a", "c"]
    assert [unit["name"] for unit in usage.ordered(UNITS, "tasks")] == ["a", "b", "c"]
    assert [unit["name"] for unit in usage.ordered(UNITS, "io")] == ["b", "a", "c"]
    assert [unit["name"] for unit in usage.ordered(UNITS[::-1], "name")] == ["a", "b", "c"]


def test_the_table() -> None:
    lines = usage.table(UNITS, None, Paint(False))
    assert lines == [
        "NAME  STATE              CPU  MEMORY  TASKS  READ/s  WRITE/s    CPU TIME  PID",
        "a     active (running)  3.1%   12.3M      4       -        -  1 min 10 s    7",
        "b     active (running)  150%      1G      2      2K        0       1.2 s    7",
        "c     active (running)     -       -      -       -        -           -    7",
    ]


def test_the_summary() -> None:
    said = usage.summary({"units": UNITS, "processors": 2}, "cpu")
    assert said == "3 agents: CPU 153% of 2 processors, memory 1G, 6 tasks; by cpu"


def test_what_status_says() -> None:
    full = one("a", cpu=1.2, cpu_share=0.03, memory=12_900_000, memory_peak=20 << 20, memory_max=1 << 30)
    assert dict(usage.facts({**full, "tasks": 4, "tasks_max": 512, "read": 0, "written": 4096})) == {
        "Memory": "12.3M (peak 20M, max 1G)",
        "CPU": "1.2 s (3.0%)",
        "Tasks": "4 (max 512)",
        "IO": "0 read, 4K written",
    }
    assert dict(usage.facts(one("a"))) == {}
    assert dict(usage.facts(None)) == {}


def test_what_the_kernel_refused() -> None:
    met = {
        "tasks": 40,
        "tasks_max": 40,
        "forks_refused": 7,
        "cpu": 1.5,
        "held_back": 4.0,
        "crowded": "64 of 64",
    }
    assert dict(usage.facts({**one("a"), **met})) == {
        "CPU": "1.5 s, held back by cpu_max for 4.0 s",
        "Tasks": "40 (max 40), 7 forks refused by tasks_max",
        "Files": "64 of 64",
    }
