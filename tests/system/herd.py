"""Many agents that tell the truth about themselves, and the comparison with what Maestro says."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import Daemon, cmdline, is_alive, until

COUNTER = Path(__file__).parent / "agents/counter.py"
ENDS = frozenset({"restart-scheduled", "completed", "failed", "gave-up", "stopped", "ended"})
LOST = "its exit status is lost"


class Herd:
    """Units that run agents/counter.py, and the comparison of what they say with what Maestro says."""

    def __init__(self, daemon: Daemon, folder: Path) -> None:
        self.daemon, self.folder = daemon, folder
        self.policies: dict[str, str] = {}
        folder.mkdir()

    def add(self, name: str, policy: str, *, shortest: float, longest: float, **logs: Any) -> None:
        self.policies[name] = policy
        command = [sys.executable, "-I", "-S", str(COUNTER), str(self.folder), str(shortest), str(longest)]
        restart = {"policy": policy, "delay": "200ms", "factor": 1, "start_limits": []}
        self.daemon.unit(name, agent={"exec": command, "restart": restart}, logs=logs)

    @property
    def names(self) -> list[str]:
        return sorted(self.policies)

    # -------------------------------------------------------------------------------- what the agents say

    def truth(self, name: str) -> dict[str, tuple[int, int | None, int | None]]:
        """Incarnations in order: invocation -> (pid, lines, status); None while it runs."""
        found: dict[str, tuple[int, int | None, int | None]] = {}
        path = self.folder / f"{name}.truth"
        for line in path.read_text().splitlines() if path.exists() else ():
            kind, invocation, *numbers = line.split()
            if kind == "begin":
                assert invocation not in found, f"{name}: {invocation} was started twice"
                found[invocation] = (int(numbers[0]), None, None)
            else:
                found[invocation] = (found[invocation][0], int(numbers[0]), int(numbers[1]))
        return found

    def calm(self) -> None:
        """From now on none ends by itself."""
        (self.folder / "calm").touch()

    def copies(self) -> Counter[str]:
        """Unit -> living processes that run its command, whoever started them."""
        found: Counter[str] = Counter()
        for pid in self.daemon.named_after_this_root():
            if str(COUNTER) in cmdline(pid) and is_alive(pid):
                with contextlib.suppress(OSError):
                    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                    found.update(v[13:].decode() for v in environment if v.startswith(b"MAESTRO_UNIT="))
        return found

    # -------------------------------------------------------------------------------- comparison

    def check_nobody_is_lost(self, besides: str = "") -> None:
        """When calm: each unit is where its policy says, with exactly one process or none."""
        wrong: dict[str, str] = {}

        def settled() -> bool:
            wrong.clear()
            units = {unit["name"]: unit for unit in self.daemon.call("status", detail=False)["units"]}
            for name, policy in self.policies.items():
                if name == besides:
                    continue
                incarnations = list(self.truth(name).values())
                pid, _, status = incarnations[-1] if incarnations else (0, None, None)
                expected = _state_after(policy, status)
                state = units[name]["fine"]
                if state != expected or (state == "running" and units[name]["pid"] != pid):
                    wrong[name] = f"{state} ({units[name]['cause']}), expected {expected}, pid {pid}"
            return not wrong

        try:
            until(settled, 30)
        except pytest.fail.Exception:
            pytest.fail(f"{len(wrong)} units are not where they belong: {dict(list(wrong.items())[:5])}")
        copies = self.copies()
        for name in self.policies:
            expected = int(self.truth(name) != {} and list(self.truth(name).values())[-1][2] is None)
            assert copies[name] == expected, f"{name}: {copies[name]} processes, expected {expected}"

    def check_no_second_copy(self) -> None:
        violations = self.folder / "violations"
        assert not violations.exists(), violations.read_text()[:2000]

    def check_lines(self, cut: str = "") -> int:
        """After all have ended: every line of every incarnation once and in order. Returns how many there were.

        Of the invocation `cut` the last lines may be missing.
        """
        total = 0
        for name in self.names:
            expected = [(i, lines, status) for i, (_, lines, status) in self.truth(name).items()]
            assert all(lines is not None for _, lines, _ in expected), f"{name} still runs"
            wanted = b"".join(
                b"".join(b"%s %s %d\n" % (name.encode(), i.encode(), n + 1) for n in range(lines or 0))
                + f"{name} {i} end {lines} {status}\n".encode()
                for i, lines, status in expected
            )
            if cut not in self.truth(name):
                until(lambda n=name, w=wanted: len(self.daemon.log(n)) >= len(w), 10)  # type: ignore[misc]
            logged = self.daemon.log(name)
            if cut in self.truth(name):
                kept = [line for line in logged.splitlines(True) if cut.encode() in line]
                wanted = b"".join(kept) + b"".join(
                    line for line in wanted.splitlines(True) if cut.encode() not in line
                )
                assert [int(line.split()[2]) for line in kept] == list(range(1, len(kept) + 1))
            assert logged == wanted, f"{name}: {_difference(logged, wanted)}"
            total += wanted.count(b"\n")
        return total

    def check_events(self, may_be_lost: Iterable[str] = ()) -> int:
        """After all have ended: numbers without gap or repeat, one end for each incarnation, and a true one."""
        events = self.daemon.events()
        assert events[0]["seq"] == 1
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        ends: dict[str, list[str]] = defaultdict(list)
        for event in events:
            if event["kind"] in ENDS and event["agent"]:
                ends[self.daemon.invocation(event["agent"])].append(f"{event['kind']}: {event['words']}")
        lost = frozenset(may_be_lost)
        ended = 0
        for name in self.names:
            for invocation, (_, _, status) in self.truth(name).items():
                if status is None:
                    continue
                words = ends.get(invocation, [])
                assert len(words) == 1, f"{name} {invocation}, which ended with {status}: {words}"
                if status == 143:
                    assert "stopped" in words[0]
                elif invocation in lost and LOST in words[0]:
                    pass
                elif status < 0:
                    assert f"was killed by {signal.Signals(-status).name}" in words[0], (name, words[0])
                else:
                    assert re.search(rf"ended with exit status {status}\b", words[0]), (name, words[0])
                ended += 1
        return ended

    def running(self) -> dict[str, tuple[str, int]]:
        """Unit -> invocation and pid of those that run, by their own word."""
        return {
            name: (list(truth)[-1], list(truth.values())[-1][0])
            for name in self.names
            if (truth := self.truth(name)) and list(truth.values())[-1][2] is None
        }


def _state_after(policy: str, status: int | None) -> str:
    if status is None or policy == "always" or (policy == "on-failure" and status != 0):
        return "running"
    return "dead" if status == 0 else "failed"


def _difference(logged: bytes, wanted: bytes) -> str:
    have, want = logged.splitlines(), wanted.splitlines()
    for number, (one, other) in enumerate(zip(have, want, strict=False)):
        if one != other:
            return f"line {number + 1} of {len(want)} is {one!r}, not {other!r}; {len(have)} lines are there"
    return f"{len(have)} lines, not {len(want)}; the rest: {have[len(want) :][:3]!r}"
