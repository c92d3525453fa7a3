"""Directories and credentials as a child makes them: owners and modes, and nothing where a link would lead it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from maestro.keeper import credentials, directories, wire
from maestro.keeper.child import Birth, Nest
from maestro.keeper.spare import Spare
from maestro.keeper.stages import describe
from tests.keeper.rig import Manager

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give directories away")
NOBODY = 65534


def made(*rows: Any) -> Birth:
    birth = Birth({"directories": rows}, Nest(Spare(), set()))
    directories.make(birth)
    return birth


def row(base: Path, name: str, mode: int = 0o750, owner: Any = (None, None), **more: Any) -> Any:
    return (
        "state directory",
        str(base),
        name,
        mode,
        *owner,
        more.get("private", False),
        more.get("links", ()),
    )


def look(path: Path) -> tuple[int, str]:
    found = path.lstat()
    return found.st_uid, f"{stat.S_IMODE(found.st_mode):o}"


@pytest.fixture(autouse=True)
def _mask() -> Any:
    """As narrow as an agent may have it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_all_on_the_way_is_made_with_its_mode(tmp_path: Path) -> None:
    base = tmp_path / "var/lib"
    for _ in range(2):
        made(row(base, "a/b", 0o2770), row(base, "a", links=("x/y", "z")))
    own = os.geteuid()
    assert look(tmp_path / "var") == look(base) == look(base / "x") == (own, "755")
    assert (look(base / "a/b"), look(base / "a")) == ((own, "2770"), (own, "750"))
    assert os.readlink(base / "x/y") == "../a"
    assert os.readlink(base / "z") == "a"


def test_the_base_may_be_a_link_and_nothing_below_it(tmp_path: Path) -> None:
    (tmp_path / "real/target").mkdir(parents=True)
    (tmp_path / "base").symlink_to("real")
    made(row(tmp_path / "base", "a"))
    assert (tmp_path / "real/a").is_dir()
    (tmp_path / "real/link").symlink_to("target")
    for name in ("link", "link/in", "a/../link"):
        with pytest.raises(OSError, match=r"Not a directory|File exists"):
            made(row(tmp_path / "base", name.replace("a/../", "")))
    assert list((tmp_path / "real/target").iterdir()) == []


def test_a_step_that_fails_says_what_it_was_about(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc")
    (tmp_path / "file").touch()
    birth = Birth({"directories": (row(tmp_path, "a"),)}, Nest(Spare(), set()))
    with pytest.raises(NotADirectoryError):
        directories.make(birth)
    expected = f"make its state directory {tmp_path}/a (a symbolic link on the way to it is not followed)"
    assert describe("directories", birth) == expected
    birth.recipe = {"directories": (row(tmp_path, "b", links=("file",)),)}
    with pytest.raises(FileExistsError):
        directories.make(birth)
    assert describe("directories", birth) == f"make the link {tmp_path}/file to its state directory"


@as_root
def test_owners_change_from_the_inside_out(tmp_path: Path) -> None:
    """What was interrupted is done again: the top, which is looked at first, changes last."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/file").touch(mode=0o4755)
    os.chmod(tmp_path / "a/b/file", 0o4755)
    made(row(tmp_path, "a", 0o700, (NOBODY, NOBODY)))
    assert {look(tmp_path / name)[0] for name in ("a", "a/b", "a/b/c", "a/b/file")} == {NOBODY}
    assert look(tmp_path / "a/b/file")[1] == "755", "it does not run as its new owner"
    os.chown(tmp_path / "a", 1, 1)
    made(row(tmp_path, "a", 0o711, (NOBODY, NOBODY)))
    assert look(tmp_path / "a") == (NOBODY, "711")


@as_root
def test_a_private_directory_and_the_way_back(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    owner = (61200, 61200)
    for _ in range(2):
        made(row(tmp_path, "a/b", 0o755, owner, private=True))
        assert look(tmp_path / "private") == (0, "700")
        assert os.readlink(tmp_path / "a/b") == "../private/a/b"
        assert look(tmp_path / "private/a/b/file")[0] == 61200
    made(row(tmp_path, "a/b", 0o755, (NOBODY, NOBODY)))
    assert look(tmp_path / "a/b") == (NOBODY, "755")
    assert look(tmp_path / "a/b/file")[0] == NOBODY
    assert not os.path.lexists(tmp_path / "private/a/b")


@as_root
def test_private_directories_in_each_other_and_links_into_them(tmp_path: Path) -> None:
    """Those inside, and the links, are reached by the one link to the outermost."""
    owner = (61200, 61200)
    rows = [
        row(tmp_path, "a", 0o755, owner, private=True),
        row(tmp_path, "a/b/c", 0o755, owner, private=True, links=("x/1", "y")),
        row(tmp_path, "x", 0o755, owner, private=True, links=("a/2",)),
    ]
    for _ in range(2):
        made(*rows)
        assert sorted(os.listdir(tmp_path)) == ["a", "private", "x", "y"]
        assert os.readlink(tmp_path / "a") == "private/a"
        assert look(tmp_path / "private/a/b/c") == (61200, "755")
        for place in (tmp_path, tmp_path / "private"):
            assert (place / "x/1").samefile(tmp_path / "private/a/b/c")
            assert (place / "a/2").samefile(tmp_path / "private/x")
        assert (tmp_path / "y").samefile(tmp_path / "private/a/b/c")
    made(*(row(tmp_path, name, 0o755, (NOBODY, NOBODY)) for name in ("a", "a/b/c", "x")))
    assert look(tmp_path / "a/b/c") == (NOBODY, "755")
    assert (tmp_path / "a/2").samefile(tmp_path / "x")
    assert os.listdir(tmp_path / "private") == []


@as_root
def test_a_directory_above_a_private_one_becomes_private(tmp_path: Path) -> None:
    """What stood there only to hold the link of the inner one gives way; what holds more is left alone."""
    owner = (61200, 61200)
    above = row(tmp_path, "a", 0o755, owner, private=True)
    inner = row(tmp_path, "a/b/c", 0o755, owner, private=True)
    made(inner)
    (tmp_path / "private/a/b/c/kept").touch()
    (tmp_path / "a/other").touch()
    birth = Birth({"directories": (above, inner)}, Nest(Spare(), set()))
    with pytest.raises(OSError, match="not empty"):
        directories.make(birth)
    words = f"its state directory {tmp_path}/a (a directory of that name is there, and what is in it is not its own)"
    assert describe("directories", birth) == f"make {words}"
    assert (tmp_path / "a/b/c/kept").exists()
    (tmp_path / "a/other").unlink()
    for _ in range(2):
        made(above, inner)
        assert os.readlink(tmp_path / "a") == "private/a"
        assert (tmp_path / "a/b/c/kept").exists()
        assert look(tmp_path / "private/a") == (61200, "755")


@as_root
def test_what_the_user_has_put_in_a_private_directory_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    owner = (61200, 61200)
    made(row(tmp_path, "a", 0o755, owner, private=True))
    (tmp_path / "private/a/b").symlink_to(outside)
    for name, links in (("a/b", ()), ("a/b/c", ()), ("x", ("a/b/l",))):
        with pytest.raises(NotADirectoryError):
            made(
                row(tmp_path, "a", 0o755, owner, private=True),
                row(tmp_path, name, 0o755, owner, private=True, links=links),
            )
    assert list(outside.iterdir()) == []


def test_credentials_are_replaced_one_by_one_whatever_stands_there(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept")
    here = tmp_path / "here"
    here.mkdir()
    for name in ("a", ":new", "gone"):
        (here / name).symlink_to(outside)
    for data in (b"one", b"x" * 100_000):
        credentials.write(str(here), {"a": data, "b": b""}, None, None)
        assert {path.name: path.read_bytes() for path in here.iterdir()} == {"a": data, "b": b""}
        assert {look(path)[1] for path in here.iterdir()} == {"400"}
    credentials.write(str(here), {"b": None, "c": None}, None, None)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == {"b": b""}, "None: as it was"
    assert outside.read_text() == "kept"
    (tmp_path / "link").symlink_to(here)
    with pytest.raises(NotADirectoryError):
        credentials.write(str(tmp_path / "link"), {"a": b"x"}, None, None)


@as_root
def test_a_child_has_them_mounted_and_its_keeper_does_not_see_them(manager: Manager, folder: Path) -> None:
    here = folder / "credentials/a"
    given = {"path": str(here), "uid": NOBODY, "gid": NOBODY, "mount": True, "files": {"k": b"s3cr3t"}}
    code = f"cat {here}/k; stat -c %a:%u {here} {here}/k; touch {here}/x || echo no"
    manager.spawn("a#1", "/bin/sh", "-c", code, credentials=given, uid=NOBODY, gid=NOBODY, stream="a")
    assert manager.news("ended", "a#1")[2] == 0
    lines = manager.read("a").decode().splitlines()
    assert lines[0] == f"s3cr3t500:{NOBODY}"
    assert lines[1] == f"400:{NOBODY}"
    assert lines[-1] == "no"
    assert list(here.iterdir()) == []
    assert look(here) == (0, "700")


def test_a_recipe_with_all_that_may_be_handed_over_fits_the_link() -> None:
    given = {"files": {"k": bytes(128 << 10)}, "path": "/r" * 100, "uid": 1, "gid": 1, "mount": True}
    environment = {"PATH": "/bin" * 100, "KEY": "x" * 1000}
    assert (
        len(wire.encode(("spawn", "a#1", {"argv": ("/bin/x",), "env": environment, "credentials": given})))
        < wire.LIMIT
    )
