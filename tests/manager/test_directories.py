"""From unit to recipe: directories, dynamic users, and credentials."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from maestro.engine.events import Asked, Errand
from maestro.manager import credentials, directories, recipe
from maestro.manager.cannot import CannotPrepare
from maestro.manager.dynamic_users import RANGE, DynamicUsers
from maestro.manager.recipe import House
from maestro.model.credentials import CredentialPaths, CredentialTexts, CredentialVariables, Secret
from maestro.model.directories import DirectoryName
from maestro.model.specifiers import Specifiers
from maestro.model.values import Command, CommandLine, SignalName, UserName
from maestro.ports import Recipe
from maestro.testing.theatre import unit
from tests.manager.rig import HOUSE, Rig, really, rig, until

PLACES = Specifiers(
    state="/s", cache="/c", logs="/l", runtime="/r", configuration="/e", credentials="/r/m/cred"
)
ROOT = replace(HOUSE, places=PLACES, may_mount=True)
ORDINARY = replace(ROOT, uid=1000, may_mount=False, in_memory=True)
TEXTS = CredentialTexts({"key": Secret("s3cr3t")})


def named(*names: str) -> tuple[DirectoryName, ...]:
    return tuple(map(DirectoryName, names))


def make(house: House = ROOT, **options: Any) -> Recipe:
    return recipe.make(unit("web", **options), "web#1", house)


def test_directories_are_in_the_recipe_and_in_the_environment() -> None:
    made = make(
        state_directory=named("b/c", "a", "a:link", "a:other"),
        state_directory_mode="0700",
        runtime_directory=named("a"),
        configuration_directory=named("a"),
        exec=CommandLine(("/bin/x", "$STATE_DIRECTORY")),
    )
    assert made.directories == (
        ("state directory", "/s", "a", 0o700, 0, 0, False, ("link", "other")),
        ("state directory", "/s", "b/c", 0o700, 0, 0, False, ()),
        ("runtime directory", "/r", "a", 0o755, 0, 0, False, ()),
        ("configuration directory", "/e", "a", 0o755, None, None, False, ()),
    )
    assert made.argv == ("/bin/x", "/s/a:/s/b/c")
    told = {name: value for name, value in made.env.items() if name.endswith("_DIRECTORY")}
    assert told == {
        "STATE_DIRECTORY": "/s/a:/s/b/c",
        "RUNTIME_DIRECTORY": "/r/a",
        "CONFIGURATION_DIRECTORY": "/e/a",
    }


def test_nothing_is_in_the_recipe_of_one_that_has_none() -> None:
    made = make()
    assert (made.directories, made.credentials) == ((), {})
    assert not [name for name in made.env if "DIRECTORY" in name]


def test_an_ordinary_user_owns_what_he_makes() -> None:
    assert make(ORDINARY, cache_directory=named("a")).directories == (
        ("cache directory", "/c", "a", 0o755, None, None, False, ()),
    )


def test_a_command_with_privileges_leaves_its_agents_directories_to_that() -> None:
    one = unit("web", user=UserName("nobody"), state_directory=named("a"))
    errand = Errand(agent="web#1/pre1", option="exec_start_pre", place=0, line=tuple(Command("+/bin/x")))
    made = recipe.make_errand(one, errand, ROOT)
    assert made.uid is None
    assert made.directories[0][4] not in (None, 0)


# ------------------------------------------------------------------------------------------- dynamic users


def test_a_dynamic_user_has_a_number_a_name_and_private_directories() -> None:
    house = replace(ROOT, users=DynamicUsers())
    made = make(house, dynamic_user=True, state_directory=named("a"), configuration_directory=named("a"))
    assert made.uid == made.gid == house.users.find("web")
    assert made.groups == ()
    assert (made.env["HOME"], made.env["USER"], made.env["LOGNAME"]) == ("/", "web", "web")
    assert made.env["STATE_DIRECTORY"] == "/s/a", "by the link, as in systemd"
    assert make(house, dynamic_user=True, supplementary_groups=(UserName("7"),)).groups == (7,)
    assert [one[6] for one in made.directories] == [True, False]
    assert make(house, dynamic_user=True, user=UserName("web")).uid == made.uid, "the same user"
    assert make(house, dynamic_user=True, user=UserName("other")).uid != made.uid


def test_a_dynamic_user_may_be_in_a_group_that_there_is() -> None:
    made = make(dynamic_user=True, group=UserName("4242"), state_directory=named("a"))
    assert made.uid in RANGE
    assert made.gid == made.directories[0][5] == 4242


def test_where_nothing_may_be_mounted_its_directories_are_not_private() -> None:
    made = make(replace(ROOT, may_mount=False), dynamic_user=True, state_directory=named("a"))
    assert made.env["STATE_DIRECTORY"] == "/s/a"
    assert not made.directories[0][6]


def test_an_account_of_that_name_is_taken_instead() -> None:
    made = make(dynamic_user=True, user=UserName("nobody"), state_directory=named("a"))
    assert made.uid not in RANGE
    assert not made.directories[0][6]


def test_an_account_of_that_number_is_taken_instead_and_there_has_to_be_one() -> None:
    nobody = pwd.getpwnam("nobody")
    made = make(dynamic_user=True, user=UserName(str(nobody.pw_uid)), state_directory=named("a"))
    assert (made.uid, made.gid, made.directories[0][6]) == (nobody.pw_uid, nobody.pw_gid, False)
    free = next(uid for uid in reversed(RANGE) if not directories._is_account(str(uid)))
    house = replace(ROOT, users=DynamicUsers(keep=lambda fact: pytest.fail("it has no number to keep")))
    directories.allot(unit("web", dynamic_user=True, user=UserName(str(free))), house)
    with pytest.raises(CannotPrepare, match=f"cannot run as user {free}: no account has this number"):
        make(house, dynamic_user=True, user=UserName(str(free)))


def test_who_has_no_right_to_give_users_away_says_so() -> None:
    with pytest.raises(CannotPrepare, match="cannot give it a dynamic user: this daemon runs as uid 1000"):
        make(ORDINARY, dynamic_user=True)


def test_a_number_is_committed_before_anything_runs_as_it() -> None:
    async def go() -> None:
        async with rig(unit(dynamic_user=True)) as one:
            one.carrier.take_up_users("")
            one.manager.feed(Asked("start", ("web",)))
            kept = str(one.manager._next.batch.facts["dynamic_users"])
            await one.manager.settle()
            assert kept == f'{{"web": {one.keeper.recipes["web#1"].uid}}}'

    really(go())


def test_who_wants_a_number() -> None:
    units = [unit("a", dynamic_user=True), unit("b"), unit("c", dynamic_user=True, user=UserName("d"))]
    assert [name for name in "abcd" if directories.is_wanted(name, units)] == ["a", "d"]


# ------------------------------------------------------------------------------------------- credentials


def furnished(house: House = ROOT, secrets: dict[str, bytes] | None = None, **options: Any) -> Recipe:
    one = unit("web", **options)
    assert one.agent is not None
    found = credentials.load(one.agent, house) if secrets is None else secrets
    return credentials.furnish(recipe.make(one, "web#1", house), one, house, found)


def test_credentials_are_in_the_recipe_and_nowhere_else_in_it() -> None:
    made = furnished(set_credential=TEXTS, exec=CommandLine(("/bin/x", "$CREDENTIALS_DIRECTORY")))
    files = {"key": b"s3cr3t"}
    assert made.credentials == {"path": "/r/m/cred/web", "uid": 0, "gid": 0, "mount": True, "files": files}
    assert made.argv == ("/bin/x", "/r/m/cred/web")
    assert "s3cr3t" not in repr(replace(made, credentials={}))


def test_in_the_environment_only_where_that_is_asked_for_and_never_in_arguments() -> None:
    made = furnished(
        set_credential=TEXTS,
        credentials_in_environment=CredentialVariables({"key": "KEY"}),
        exec=CommandLine(("/bin/x", "${KEY}")),
    )
    assert made.env["KEY"] == "s3cr3t"
    assert made.argv == ("/bin/x", "")


def test_files_are_read_and_texts_are_for_those_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\0\xff")
    house = replace(ROOT, credstore=str(tmp_path))
    paths = CredentialPaths({"key": "key", "other": "other"})
    made = furnished(house, load_credential=paths, set_credential=CredentialTexts({"key": "x", "other": "y"}))
    assert made.credentials["files"] == {"key": b"\0\xff", "other": b"y"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/no/such", "cannot load credential k: no such file: /no/such"),
        ("fifo", "cannot load credential k from fifo: it is not a regular file"),
        ("folder", "cannot load credential k from folder: it is not a regular file"),
        ("large", "more than 128 KiB in all"),
    ],
)
def test_what_cannot_be_loaded_is_said(tmp_path: Path, name: str, why: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(bytes(200_000))
    with pytest.raises(CannotPrepare, match=why):
        furnished(replace(ROOT, credstore=str(tmp_path)), load_credential=CredentialPaths({"k": name}))


def test_one_that_is_not_in_the_store_is_left_out_and_that_is_told(tmp_path: Path) -> None:
    one, house = (
        unit("web", load_credential=CredentialPaths({"k": "none"})),
        replace(ROOT, credstore=str(tmp_path)),
    )
    told: list[tuple[str, str]] = []
    opened: list[Any] = []

    async def go() -> None:
        vault = credentials.Vault(house, lambda name, words: told.append((name, words)))
        vault.open(one, opened.append)
        await until(lambda: bool(opened))

    really(go())
    assert opened == [{}]
    assert told == [("web", f"it gets no credential k: no such file: {tmp_path}/none")]
    assert credentials.furnish(make(house), one, house, opened[0]).credentials["files"] == {"k": None}


def test_what_stands_for_a_secret_is_none() -> None:
    shown = CredentialTexts({"key": "[redacted]"})
    with pytest.raises(CannotPrepare, match="its unit's file is gone, and no secret of it is kept"):
        furnished(set_credential=shown)


def test_a_variable_cannot_have_every_content() -> None:
    variables = CredentialVariables({"key": "KEY"})
    with pytest.raises(CannotPrepare, match="NUL character"):
        furnished(secrets={"key": b"a\0b"}, set_credential=TEXTS, credentials_in_environment=variables)


def test_on_a_disk_only_where_the_unit_says_so() -> None:
    on_disk = replace(ORDINARY, in_memory=False)
    with pytest.raises(CannotPrepare, match=r"write agent\.credentials_on_disk: true"):
        furnished(on_disk, set_credential=TEXTS)
    for house, allowed in ((on_disk, True), (ORDINARY, False)):
        given = furnished(house, set_credential=TEXTS, credentials_on_disk=allowed).credentials
        assert (given["mount"], given["uid"], given["gid"]) == (False, None, None)


def test_one_that_is_stopped_while_they_are_read_does_not_start() -> None:
    async def go() -> None:
        async with rig(unit(set_credential=TEXTS)) as one:
            hold(one)
            one.manager.feed(Asked("start", ("web",)))
            await one.manager.settle()
            one.manager.feed(Asked("stop", ("web",)))
            await one.manager.settle()
            one.carrier.vault.__dict__["held"]({"key": b"s3cr3t"})
            await until(lambda: one.state("web") == "dead")
            assert one.keeper.asked("spawn") == []

    really(go())


def hold(one: Rig) -> None:
    """Have credentials take as long to read as the test wants."""
    vault = one.carrier.vault
    vault.open = lambda unit, then: vault.__dict__.__setitem__("held", then)  # type: ignore[method-assign]


def test_before_a_reload_they_are_renewed_and_what_fails_is_told_in_the_log() -> None:
    async def go() -> None:
        house_unit = unit(set_credential=TEXTS, reload_signal=SignalName("HUP"), credentials_on_disk=True)
        async with rig(house_unit) as one:
            renewed: list[Any] = []
            one.carrier.vault.renew = lambda pid, given: renewed.append((pid, given["files"]))
            one.manager.feed(Asked("start", ("web",)))
            await until(lambda: one.keeper.asked("spawn"))
            one.spawned("web#1", 4242)
            one.manager.feed(Asked("reload", ("web",)))
            await until(lambda: one.keeper.asked("send"))
            assert renewed == [(4242, {"key": b"s3cr3t"})]

            def fail(pid: int, given: Any) -> None:
                raise OSError(1, "Operation not permitted")

            one.carrier.vault.renew = fail
            one.manager.feed(Asked("reload", ("web",)))
            await until(lambda: len(one.keeper.asked("send")) == 2)
            assert "its credentials are as they were: operation not permitted" in one.logs.lines["web"]

    really(go())
