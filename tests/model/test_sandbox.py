"""The section `sandbox`: what a level means, and how its values are read."""

from __future__ import annotations

from typing import Any

import pytest

from maestro.model.confining import CAPABILITIES, BindPath, CapabilitySet, SandboxPath, TemporaryFileSystem
from maestro.model.load import load_text
from maestro.model.option import describe
from maestro.model.plain import Mistake
from maestro.model.sandbox import LEVELS, SandboxSection, confines, in_force
from maestro.model.syscalls import SyscallOptions


def section(**options: Any) -> SandboxSection:
    return in_force(SandboxSection(**options))


def test_a_level_says_each_option_that_is_left_open() -> None:
    calls = {one.name for one in describe(SyscallOptions)}  # theirs is in model/syscalls.py
    left_open = {one.name for one in describe(SandboxSection) if one.default is None} - calls
    assert all(set(level) == left_open for level in LEVELS.values())


def test_what_a_level_says_can_be_said_otherwise() -> None:
    strict = section(level="strict", network="host", private_pids=False)
    assert (strict.network, strict.private_pids, strict.private_ipc) == ("host", False, True)
    assert section(private_tmp=True).private_tmp
    assert section(level="strict").required
    assert not section(level="strict", required=False).required


def test_each_level_asks_for_all_that_the_one_below_does() -> None:
    nothing = LEVELS["none"]
    baseline = {name for name, value in LEVELS["baseline"].items() if value != nothing[name]}
    strict = {name for name, value in LEVELS["strict"].items() if value != nothing[name]}
    assert set() < baseline < strict


def test_a_sandbox_can_be_made_inside_one_unless_it_is_denied() -> None:
    assert not section(level="strict").restrict_namespaces


def test_who_says_nothing_is_not_confined() -> None:
    assert not confines(SandboxSection())
    assert not confines(SandboxSection(required=True))
    assert confines(SandboxSection(level="baseline"))
    assert confines(SandboxSection(read_only_paths=(SandboxPath("/srv"),)))


def test_capabilities() -> None:
    some = CapabilitySet(["CAP_CHOWN", "cap_kill CAP_BPF"])
    assert some.show() == ["CAP_CHOWN", "CAP_KILL", "CAP_BPF"]
    assert some.numbers == {0, 5, 39}
    others = CapabilitySet(["~CAP_CHOWN", "CAP_KILL"])
    assert others.numbers == set(CAPABILITIES.values()) - {0, 5}
    assert CapabilitySet(others.show()) == others
    assert CapabilitySet(["~"]).numbers == set(CAPABILITIES.values())
    assert not CapabilitySet([]).numbers
    with pytest.raises(Mistake, match="no capability") as why:
        CapabilitySet(["NET_ADMIN"])
    assert why.value.faults[0].hint == "did you mean CAP_NET_ADMIN?"


def test_paths() -> None:
    path = SandboxPath("-+/srv//x/")
    assert (path.path, path.may_miss, path.rooted) == ("/srv/x", True, True)
    for wrong in ("srv", "--/srv", "/srv/../etc", "~/x", ""):
        with pytest.raises(Mistake):
            SandboxPath(wrong)


def test_bind_paths() -> None:
    bind = BindPath("-/srv/a:/b:norbind")
    assert (bind.source, bind.destination, bind.may_miss, bind.recursive) == ("/srv/a", "/b", True, False)
    assert BindPath("/srv/a").destination == "/srv/a"
    for wrong in ("/a:b", "/a:/b:/c", "/a:/b:rbind:x", "a"):
        with pytest.raises(Mistake):
            BindPath(wrong)


def test_temporary_file_systems() -> None:
    one = TemporaryFileSystem("/scratch:size=64M,ro,mode=0700")
    assert (one.path, one.options) == ("/scratch", ("size=64M", "ro", "mode=0700"))
    assert TemporaryFileSystem("/var:nostrictatime,noatime,nosymfollow").options[0] == "nostrictatime"
    with pytest.raises(Mistake, match="no option of a tmpfs"):
        TemporaryFileSystem("/scratch:size=1M,data=/etc")


@pytest.mark.parametrize(
    ("sandbox", "option"), [("level: strict", "level"), ("private_pids: true", "private_pids")]
)
def test_what_ends_with_its_first_process_cannot_fork_away(sandbox: str, option: str) -> None:
    text = f"agent: {{exec: [a], type: forking}}\nsandbox: {{{sandbox}}}"
    [problem] = load_text("a.agent.yaml", text.encode(), "f").problems
    assert problem.option == f"sandbox.{option}"
    assert "private_pids: false" in problem.hint
