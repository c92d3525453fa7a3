"""From the section `sandbox` to what the keeper is told; and what becomes of it where the host cannot do all."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from maestro.engine.events import Errand
from maestro.manager import recipe
from maestro.manager.mounting import Mount, Scene, mounts
from maestro.manager.recipe import CannotPrepare, House
from maestro.manager.sandbox import Confinement, Premises, confine, tiers
from maestro.model.load import load_text
from maestro.model.sandbox import in_force
from maestro.model.unit import Unit
from maestro.ports import Abilities

KINDS = frozenset({"mnt", "net", "ipc", "uts", "pid", "user"})
ALL = Abilities(root=True, namespaces=KINDS, mounts=True, proc=True, landlock=7, seccomp=True)
ORDINARY = replace(ALL, root=False)
NOTHING = Abilities(reason="user.max_user_namespaces is 0")
PREMISES = Premises(
    uid=1000,
    gid=100,
    root="/",
    run="/run/maestro",
    hidden=("/var/lib/maestro",),
    common="/var/lib/maestro/private",
)
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
OPTIONAL, FRESH, FLAT, MAKE = 1, 2, 4, 8
NEWNS, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000


def unit(sandbox: str, agent: str = "") -> Unit:
    text = f"agent: {{exec: [a]{agent}}}\nsandbox: {{{sandbox}}}"
    loaded = load_text("a.agent.yaml", text.encode(), "f")
    assert loaded.unit is not None, list(map(str, loaded.problems))
    return loaded.unit


def confined(sandbox: str, able: Abilities = ALL, *, main: bool = True) -> Confinement:
    return confine(unit(sandbox), lambda: able, PREMISES, main=main)


def laid(sandbox: str, **scene: Any) -> list[Mount]:
    return list(mounts(in_force(unit(sandbox).sandbox), Scene(unit="a", **scene)))


def test_the_host_is_not_asked_for_one_that_is_not_confined() -> None:
    def able() -> Abilities:
        raise AssertionError("that costs time")

    assert confine(unit(""), able, PREMISES) == Confinement()


def test_strict_as_root() -> None:
    data = confined("level: strict").data
    assert data["namespaces"]["clone"] == NEWPID
    assert data["namespaces"]["unshare"] & (NEWNS | NEWNET) == NEWNS | NEWNET
    assert data["namespaces"]["loopback"]
    assert data["capabilities"] == {"bounding": ()}
    assert data["no_new_privileges"]
    assert "map" not in data["namespaces"]


def test_strict_has_no_user_but_its_own_unless_it_is_left_capabilities() -> None:
    assert confined("level: strict").data["namespaces"]["alone"]
    for kept in (
        "ambient_capabilities: [CAP_CHOWN]",
        "capability_bounding_set: [CAP_CHOWN]",
        "private_users: false",
    ):
        assert "alone" not in confined(f"level: strict, {kept}").data["namespaces"]
    assert "alone" in confined("level: strict, capability_bounding_set: []").data["namespaces"]


def test_its_own_directories_are_written_and_those_of_others_hidden_also_when_they_come_later() -> None:
    places = {"private": ("/var/lib/private",), "own": ("/var/lib/private/a", "/run/a")}
    found = laid("level: strict", **places)
    assert ("tmpfs", "/var/lib/private", "mode=0755", RDONLY | NOSUID | NODEV | NOEXEC, OPTIONAL) in found
    assert ("tree", "/run/a", "/run/a", 0, OPTIONAL) in found
    assert ("tree", "/var/lib/private/a", "/var/lib/private/a", 0, OPTIONAL | MAKE) in found
    assert ("hide", "/var/lib/private", OPTIONAL | MAKE) in laid("level: strict", private=places["private"])
    assert laid("no_new_privileges: true", **places) == []


def test_an_ordinary_user_is_the_only_one_in_its_namespace() -> None:
    spaces = confined("private_tmp: true", ORDINARY).data["namespaces"]
    assert spaces == {"map": (1000, 100), "clone": NEWUSER, "unshare": NEWNS}


def test_no_new_privileges_alone_takes_no_namespace() -> None:
    assert confined("no_new_privileges: true", ORDINARY).data == {"no_new_privileges": True}


def test_a_command_around_the_process_is_in_no_pid_namespace_of_its_own() -> None:
    data = confined("level: strict", ORDINARY, main=False).data
    assert data["namespaces"]["clone"] == NEWUSER
    assert not [one for one in data["mounts"] if one[0] == "proc"]


def test_what_lacks_is_named_where_all_is_required() -> None:
    said = confined("level: strict", NOTHING).refusal()
    assert "private_pids" in said
    assert "private_tmp" in said
    assert "user.max_user_namespaces is 0" in said
    assert "required: false" in said
    house = House(notify="n", control="c", identity="i", environ={}, uid=1000, abilities=lambda: NOTHING)
    with pytest.raises(CannotPrepare, match="cannot be confined"):
        recipe.make(unit("level: strict"), "a#1", house)


def test_what_lacks_is_left_out_where_it_is_not_required() -> None:
    found = confined("level: baseline", NOTHING)
    assert found.data == {"no_new_privileges": True}
    assert found.refusal() == ""
    assert tiers(unit("level: baseline"), NOTHING) == (
        "no new privileges",
        "without private_tmp, protect_kernel_tunables, system_call_filter",
    )


def test_tiers_name_the_strongest_first() -> None:
    assert tiers(unit(""), ALL) == ()
    assert tiers(unit("level: strict"), ORDINARY) == (
        "namespaces (user pid net ipc uts mnt)",
        "mounts",
        "capabilities",
        "no new privileges",
    )


def test_options_take_capabilities_as_in_systemd() -> None:
    bounding = confined("protect_clock: true, protect_kernel_modules: true").data["capabilities"]["bounding"]
    assert {16, 25, 35}.isdisjoint(bounding)
    assert len(bounding) == 38


def test_a_privileged_command_is_not_confined() -> None:
    house = House(notify="n", control="c", identity="i", environ={}, uid=0, abilities=lambda: ALL)
    one = unit("level: strict", ", exec_start_pre: [+/bin/b, '!/bin/c']")
    assert one.agent is not None
    made = [
        recipe.make_errand(one, Errand(agent="a#1", option="exec_start_pre", place=0, line=line), house)
        for line in one.agent.exec_start_pre
    ]
    assert [bool(command.sandbox) for command in made] == [False, True]


# ------------------------------------------------------------------------------------------------ mounts


def test_shorter_paths_come_first_and_longer_ones_count() -> None:
    assert laid("read_only_paths: [/a, /a/b/c], read_write_paths: [/a/b]") == [
        ("tree", "/a", "/a", RDONLY, 0),
        ("tree", "/a/b", "/a/b", 0, 0),
        ("tree", "/a/b/c", "/a/b/c", RDONLY, 0),
    ]


def test_what_changes_nothing_is_left_out() -> None:
    assert laid("read_write_paths: [/a], exec_paths: [/b]") == []
    assert laid("read_only_paths: [/a, /a/b]") == [("tree", "/a", "/a", RDONLY, 0)]


def test_strict_writes_where_it_may() -> None:
    found = laid("protect_system: strict, read_write_paths: [/srv]")
    assert found[0] == ("set", "/", RDONLY)
    assert {(one[1], one[3]) for one in found[1:]} == {
        (path, 0) for path in ("/dev", "/proc", "/sys", "/srv")
    }


def test_one_that_may_execute_stays_read_only() -> None:
    found = laid("protect_system: strict, no_exec_paths: [/], exec_paths: [/usr]")
    assert ("set", "/", RDONLY | NOEXEC) in found
    assert ("tree", "/usr", "/usr", RDONLY, 0) in found
    assert ("tree", "/sys", "/sys", NOEXEC, OPTIONAL) in found


def test_nothing_is_executed_in_a_private_tmp_either() -> None:
    found = laid("private_tmp: true, no_exec_paths: [/]", common="/c")
    assert ("own", "/c/a/tmp", "/tmp", NOSUID | NODEV | NOEXEC, OPTIONAL) in found
    assert ("own", "/c/a/var-tmp", "/var/tmp", NOSUID | NODEV | NOEXEC, OPTIONAL) in found


def test_sockets_and_working_directory_show_in_a_private_tmp() -> None:
    found = laid("private_tmp: true", kept=("/tmp/x/run", "/run/maestro"), cwd="/tmp/work")
    shown = [one[1] for one in found if one[0] == "tree"]
    assert shown == ["/tmp/work", "/tmp/x/run"]


def test_what_shows_below_a_hidden_place_makes_it_an_empty_one() -> None:
    found = laid("protect_home: yes", kept=("/run/user/1000/maestro",))
    assert ("hide", "/home", OPTIONAL) in found
    assert ("tmpfs", "/run/user", "mode=0755", RDONLY | NOSUID | NODEV | NOEXEC, OPTIONAL) in found
    assert found[-1] == ("tree", "/run/user/1000/maestro", "/run/user/1000/maestro", 0, OPTIONAL | MAKE)


def test_what_is_in_a_new_proc_is_taken_when_it_is_there() -> None:
    found = laid("private_pids: true, protect_kernel_tunables: true, protect_proc: invisible", pids=True)
    assert ("proc", "/proc", "hidepid=invisible", NOSUID | NODEV | NOEXEC, 0) in found
    assert ("tree", "/proc/sys", "/proc/sys", RDONLY, OPTIONAL | FRESH) in found


def test_paths_below_another_root() -> None:
    found = laid(
        "private_devices: true, protect_system: strict, read_write_paths: ['+/srv', /mnt]", root="/roots/a/"
    )
    assert found[0] == ("tree", "/roots/a", "/roots/a", RDONLY, OPTIONAL)
    assert ("tree", "/roots/a/srv", "/roots/a/srv", 0, 0) in found
    assert ("dev", "/roots/a/dev", 0) in found


def test_bind_mounts() -> None:
    found = laid("bind_paths: ['/a:/x'], bind_read_only_paths: ['-/b:/y:norbind']")
    assert found == [
        ("tree", "/a", "/x", 0, MAKE),
        ("tree", "/b", "/y", RDONLY, OPTIONAL | FLAT | MAKE),
    ]


def test_temporary_file_systems() -> None:
    assert laid("temporary_file_system: ['/a:size=1M,ro,exec', '/b:dev']") == [
        ("tmpfs", "/a", "mode=0755,size=1M", RDONLY | NOSUID | NODEV, MAKE),
        ("tmpfs", "/b", "mode=0755", NOSUID, MAKE),
    ]


def test_when_a_temporary_file_system_notes_accesses() -> None:
    usual, noatime, strictatime = NOSUID | NODEV, 1 << 10, 1 << 24
    options = ("noatime", "noatime,atime", "strictatime", "strictatime,nostrictatime")
    found = [laid(f"temporary_file_system: ['/a:{one}']")[0][3] for one in options]
    assert found == [usual | noatime, usual, usual | strictatime, usual]


def test_read_only_devices() -> None:
    found = laid("private_devices: true, read_only_paths: [/dev], read_write_paths: [/dev/shm]")
    assert found[0] == ("dev", "/dev", RDONLY)
    assert found[1] == ("tree", "/dev/shm", "/dev/shm", 0, FRESH)


@pytest.mark.parametrize("option", ["read_write_paths", "exec_paths"])
def test_what_shows_nothing_still_gives_a_view_of_its_own(option: str) -> None:
    data = confined(f"{option}: [-/no/such]").data
    assert data["namespaces"] == {"unshare": NEWNS}
    assert data["propagation"] == "slave"
    assert "mounts" not in confined(f"{option}: [-/no/such]", NOTHING).data
