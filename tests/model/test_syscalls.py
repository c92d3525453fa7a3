"""What may be asked of the kernel: the grammar of the options, and the filter that they come to."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from msgspec import Struct

from maestro.model.option import option
from maestro.model.plain import Given, Mistake
from maestro.model.syscall_groups import GROUPS, calls_of, names
from maestro.model.syscall_lists import (
    ANY,
    KILL,
    NAMESPACES,
    Chosen,
    ErrorNumber,
    FamilyList,
    LogList,
    NamespaceList,
    SyscallList,
)
from maestro.model.syscalls import Architecture, SyscallFilter, SyscallOptions, filter_of, on_level

ALL_NAMESPACES = sum(NAMESPACES.values())


def chosen(*lines: str) -> Chosen:
    found = SyscallList.read(Given(list(lines))).chosen
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------------ system calls


def test_a_list_of_what_is_allowed_has_what_every_process_needs() -> None:
    found = chosen("read write")
    assert found.allows
    assert dict(found.members) == dict.fromkeys({"read", "write", *calls_of("@default")}, ANY)
    assert "execve" in dict(found.members)


def test_a_list_of_what_is_not_allowed_has_only_that() -> None:
    assert chosen("~mount umount2") == Chosen(False, (("mount", ANY), ("umount2", ANY)))


def test_lines_add_and_take_away() -> None:
    found = dict(chosen("@system-service", "~@file-system", "openat").members)
    assert "openat" in found
    assert "unlink" not in found
    assert dict(chosen("~@mount", "mount").members).keys() == calls_of("@mount") - {"mount"}


def test_a_call_has_an_error_of_its_own() -> None:
    denied = chosen("~mount:ENOENT ptrace:kill @swap:1 bpf")
    assert dict(denied.members) == {
        "mount": errno.ENOENT,
        "ptrace": KILL,
        "bpf": ANY,
        "swapon": errno.EPERM,
        "swapoff": errno.EPERM,
    }
    assert dict(chosen("@system-service", "~ioctl:ENOTTY").members)["ioctl"] == errno.ENOTTY


def test_an_empty_line_begins_anew() -> None:
    assert chosen("@system-service", "", "~mount") == Chosen(False, (("mount", ANY),))
    assert SyscallList(["@mount", ""]).chosen is None


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("raed", "there is no system call 'raed'", "did you mean read?"),
        ("@system-services", "there is no system call '@system-services'", "did you mean @system-service?"),
        ("mount network-io", "there is no system call 'network-io'", "did you mean @network-io?"),
        ("MOUNT", "there is no system call 'MOUNT'", "`systemd-analyze syscall-filter` and syscalls(2)"),
        ("mount:EPERM", "'mount' is allowed here: that leaves no room for an error", "leave out :EPERM"),
        ("~mount:EPRM", "there is no error 'EPRM'", "did you mean EPERM?"),
        ("~mount:", "there is no error ''", "write a name such as EPERM, or kill"),
        ("@", "there is no system call '@'", "there are @aio @basic-io"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line: str, message: str, hint: str) -> None:
    with pytest.raises(Mistake) as caught:
        SyscallList.read(Given(line))
    [fault] = caught.value.faults
    assert fault.message == message
    assert fault.hint.startswith(hint)
    assert fault.at == ()


def test_every_wrong_word_is_named_with_its_line() -> None:
    with pytest.raises(Mistake) as caught:
        SyscallList.read(Given(["@system-service", "raed wirte", "~nope:EPERM"]))
    assert [fault.at for fault in caught.value.faults] == [(1,), (1,), (2,)]
    with pytest.raises(Mistake) as caught:
        SyscallList.read(Given(["read", 5, None]))
    assert [fault.at for fault in caught.value.faults] == [(1,), (2,)]


@pytest.mark.parametrize("plain", [5, True, None, {}])
def test_other_things_are_no_lists(plain: Any) -> None:
    with pytest.raises(Mistake, match="expected system calls and groups"):
        SyscallList.read(Given(plain))


def test_what_is_noted_has_no_error() -> None:
    assert LogList.read(Given("@mount")).chosen == Chosen(
        True, tuple((call, ANY) for call in sorted(calls_of("@mount")))
    )
    with pytest.raises(Mistake, match="what is noted has no error"):
        LogList(["~mount:EPERM"])


def test_every_group_can_be_named() -> None:
    for group in GROUPS:
        assert chosen(group).members
    assert chosen(" ".join(sorted(names())))


# ------------------------------------------------------------------------------------------------ other lists


@pytest.mark.parametrize(
    ("lines", "allows", "numbers"),
    [
        (["AF_UNIX AF_INET"], True, {"1", "2"}),
        (["AF_LOCAL", "~AF_UNIX"], True, set()),
        (["none"], True, set()),
        (["none", "AF_INET6"], True, {"10"}),
        (["~AF_PACKET AF_VSOCK"], False, {"17", "40"}),
        (["~AF_PACKET", "AF_PACKET"], False, set()),
        (["AF_UNIX", "", "~AF_MCTP"], False, {"45"}),
    ],
)
def test_families(lines: list[str], allows: bool, numbers: set[str]) -> None:
    found = FamilyList(lines).chosen
    assert found is not None
    assert (found.allows, set(dict(found.members))) == (allows, numbers)


@pytest.mark.parametrize(
    ("word", "hint"), [("AF_INET4", "did you mean AF_INET"), ("inet6", "did you mean AF_INET6?"), ("xyz", "AF_UNIX, AF_INET")]
)  # fmt: skip
def test_no_families(word: str, hint: str) -> None:
    with pytest.raises(Mistake) as caught:
        FamilyList([word])
    assert caught.value.faults[0].hint.startswith(hint)


@pytest.mark.parametrize(
    ("plain", "kept"),
    [
        (True, 0),
        (False, None),
        ("true", 0),
        ([], None),
        ("user mnt", 0x10000000 | 0x20000),
        (["user", "mnt"], 0x10000000 | 0x20000),
        ("~user", ALL_NAMESPACES & ~0x10000000),
        (["~user", "~net"], ALL_NAMESPACES & ~0x50000000),
        (["user net", "~net"], 0x10000000),
        ("cgroup ipc net mnt pid user uts time", None),
        (["user", ""], None),
        ([True, "user"], 0x10000000),  # a drop-in's word after the unit's
        (["user", True], 0),
        ([True, False], None),
    ],
)
def test_namespaces(plain: Any, kept: int | None) -> None:
    found = NamespaceList.read(Given(plain))
    assert found.kept == kept
    assert NamespaceList.read(Given(found.show())) == found


def test_no_namespace() -> None:
    with pytest.raises(Mistake) as caught:
        NamespaceList(["user mount"])
    assert caught.value.faults[0].hint == "did you mean mnt?"


@pytest.mark.parametrize(
    ("text", "number"), [("EPERM", 1), ("1", 1), ("ENOSYS", 38), ("255", 255), ("4095", 4095), ("kill", KILL)]
)
def test_error_numbers(text: str, number: int) -> None:
    assert ErrorNumber(text).number == number
    assert ErrorNumber(str(ErrorNumber(text).show())) == ErrorNumber(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "4096", "99999", "²", "KILL", "EWHAT"])
def test_no_error_numbers(text: str) -> None:
    with pytest.raises(Mistake, match="there is no error"):
        ErrorNumber(text)


def test_no_architecture() -> None:
    with pytest.raises(Mistake) as caught:
        Architecture("x86_64")
    assert caught.value.faults[0].hint == "did you mean x86-64?"


# ------------------------------------------------------------------------------------------------ filters


def test_what_asks_for_nothing_is_no_filter() -> None:
    assert filter_of(SyscallOptions()) is None
    assert filter_of(SyscallOptions(system_call_error_number=ErrorNumber("EPERM"))) is None
    assert filter_of(SyscallOptions(restrict_namespaces=NamespaceList(["false"]))) is None
    assert filter_of(on_level(SyscallOptions(), "none")) is None


def test_a_filter_of_the_units_own_kills_and_one_of_a_level_refuses() -> None:
    own = SyscallOptions(system_call_filter=SyscallList(["@system-service"]))
    assert _made(own, "none").error == KILL
    assert _made(own, "strict").error == errno.EPERM
    assert (
        _made(SyscallOptions(system_call_error_number=ErrorNumber("EACCES")), "strict").error == errno.EACCES
    )


def test_a_unit_takes_away_from_what_its_level_allows() -> None:
    less = SyscallOptions(
        system_call_filter=SyscallList(["~socket", "~@chown:ENOSYS"]),
        restrict_address_families=FamilyList(["~AF_NETLINK"]),
    )
    for level in ("baseline", "strict"):
        before, after = _made(SyscallOptions(), level).calls, _made(less, level).calls
        assert before is not None
        assert after is not None
        assert before.allows == after.allows == (level == "strict")
        assert ("socket" in dict(after.members)) == (level == "baseline")
        assert dict(after.members)["chown"] == errno.ENOSYS
        assert len(set(before.members) ^ set(after.members)) > 1
        assert _made(less, level).families == Chosen(True, (("1", ANY), ("10", ANY), ("2", ANY)))


def test_what_a_unit_allows_stands_instead_of_what_its_level_does() -> None:
    """Behind the list of what baseline refuses, "@system-service" would only open what that closes."""
    own = SyscallOptions(
        system_call_filter=SyscallList(["@system-service ptrace"]),
        restrict_address_families=FamilyList(["AF_UNIX"]),
        restrict_namespaces=NamespaceList(["user mnt"]),
        restrict_realtime=False,
    )
    for level in ("baseline", "strict"):
        made = _made(own, level)
        assert made.calls == chosen("@system-service ptrace")
        assert made.families == Chosen(True, (("1", ANY),))
        assert made.namespaces == 0x10020000
        assert made.realtime
        assert not made.suid_sgid
        assert made.error == errno.EPERM


def test_an_empty_line_leaves_the_level() -> None:
    made = _made(SyscallOptions(system_call_filter=SyscallList(["", "~mount"])), "strict")
    assert made.calls == Chosen(False, (("mount", ANY),))


def test_what_is_protected_is_refused_once() -> None:
    alone = SyscallOptions(protect_hostname=True, protect_kernel_logs=True)
    assert _made(alone, "none").refused == ("setdomainname", "sethostname", "syslog")
    assert _made(SyscallOptions(), "strict").refused == ()


def test_a_section_that_inherits_them_has_levels_too() -> None:
    class Section(SyscallOptions, Struct, frozen=True, kw_only=True):
        level: str = option("strict", "How much.")

    assert _made(Section(), "strict") == _made(SyscallOptions(), "strict")


def _made(options: SyscallOptions, level: str) -> SyscallFilter:
    made = filter_of(on_level(options, level))
    assert made is not None
    return made
