"""The groups of system calls and what filters make of them, judged by systemd."""

from __future__ import annotations

import errno
import json
import platform
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from maestro.drivers.seccomp import Seccomp
from maestro.model.syscall_groups import GROUPS, calls_of
from maestro.model.syscall_lists import ANY, SyscallList
from maestro.model.syscalls import SyscallOptions, filter_of
from tests.bpf import ALLOW, KILL, answer, number_of

_ANALYZE = shutil.which("systemd-analyze")
_LISTS_OF = "252"


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    """systemd's groups and what it prints in each, other groups among it."""
    if _ANALYZE is None:
        pytest.skip("systemd-analyze is not installed")
    version = subprocess.run([_ANALYZE, "--version"], capture_output=True, text=True, check=True).stdout
    if version.split()[1] != _LISTS_OF:
        pytest.skip(f"our lists are of systemd {_LISTS_OF}, and here is {version.split()[1]}")
    told = subprocess.run([_ANALYZE, "syscall-filter"], capture_output=True, text=True, check=True).stdout
    lists: dict[str, list[str]] = {}
    group = ""
    for line in re.sub(r"(?m)^ *#.*$", "", told).splitlines():
        if line.startswith("@"):
            group = line
            lists[group] = []
        elif line.strip():
            lists[group].append(line.strip())
    return {group: tuple(members) for group, members in lists.items()}


def _calls(group: str) -> set[str]:
    found: set[str] = set()
    for member in _lists()[group]:
        found |= _calls(member) if member.startswith("@") else {member}
    return found


def test_there_are_the_same_groups() -> None:
    assert set(GROUPS) == set(_lists())


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_a_group_has_the_same_calls(group: str) -> None:
    assert calls_of(group) == _calls(group)


@pytest.mark.parametrize(
    ("lines", "allows", "added", "removed"),
    [
        (["@system-service"], True, "@default @system-service", ""),
        (["@system-service", "~@privileged @resources"], True, "@system-service", "@privileged @resources"),
        (["@basic-io @file-system"], True, "@default @basic-io @file-system", ""),
        (["@system-service @mount"], True, "@system-service @mount", ""),
        (["~@privileged @resources"], False, "@privileged @resources", ""),
        (["~@clock @debug @module @raw-io @reboot"], False, "@clock @debug @module @raw-io @reboot", ""),
        (["~@ipc @network-io", "@network-io"], False, "@ipc", "@network-io"),
    ],
)
def test_a_filter_allows_what_it_allows_in_systemd(
    lines: list[str], allows: bool, added: str, removed: str
) -> None:
    """systemd's rule: the lists are added and taken away in their order; calls of no group are ENOSYS to us, and refused to it."""
    driver = Seccomp()
    if driver.missing() or platform.machine() != "x86_64":
        pytest.skip(driver.missing() or "the numbers are of x86-64")
    listed = set().union(*map(_calls, added.split())).difference(*map(_calls, removed.split()))
    made = filter_of(SyscallOptions(system_call_filter=SyscallList(lines)))
    assert made is not None
    [program] = driver.programs(made).programs
    known = [call for call in sorted(_calls("@known")) if number_of(call) >= 0]
    assert len(known) > 300
    ours = {call for call in known if answer(program, number_of(call)) == ALLOW}
    assert ours == {call for call in known if (call in listed) == allows}
    assert {answer(program, number_of(call)) for call in known} == {ALLOW, KILL}
    assert answer(program, 999) == (errno.ENOSYS if allows else ALLOW)


@pytest.mark.parametrize(
    "lines",
    [
        ["@system-service"],
        ["@system-service", "~@privileged @resources"],
        ["@system-service", "~@privileged @resources:EACCES", "@mount"],
        ["@system-service", "~@resources:EPERM", "@clock @debug"],
        ["@basic-io chroot", "~@mount:ENOENT"],
        ["~@privileged @resources", "@chown chroot"],
        ["~@mount:ENOENT @swap:kill", "swapon swapoff"],
        ["~@mount", "", "@mount"],
        ["@mount", "", "~@raw-io @obsolete"],
        ["~", "@debug"],
        ["@debug", "~"],
        ["~reboot kexec_load", "~@module", "init_module"],
    ],
)
def test_lines_come_to_what_they_come_to_in_systemd(lines: list[str], tmp_path: Path) -> None:
    """It says of some groups whether a service could make any of their calls."""
    _lists()
    Seccomp().missing() and pytest.skip(Seccomp().missing())
    unit = tmp_path / "x.service"
    filters = "".join(f"SystemCallFilter={line}\n" for line in lines)
    unit.write_text(f"[Service]\nExecStart=/bin/true\n{filters}")
    told = subprocess.run(
        [str(_ANALYZE), "security", "--offline=true", "--no-pager", "--json=short", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.startswith("["), told.stderr
    refused = {
        judged["name"].partition("~")[2]: judged["set"]
        for judged in json.loads(told.stdout)
        if judged["name"].startswith("SystemCallFilter=~")
    }
    assert len(refused) == 11
    chosen = SyscallList(lines).chosen
    members = (
        {}
        if chosen is None
        else {call for call, error in chosen.members if (error == ANY) == chosen.allows or not chosen.allows}
    )
    allows = chosen is not None and chosen.allows
    for group, is_refused in refused.items():
        there = {call for call in _calls(group) if number_of(call) != -1}
        assert is_refused == (not any((call in members) == allows for call in there)), group
