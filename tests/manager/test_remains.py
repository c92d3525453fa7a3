"""What is left of agents is put aside at once and taken apart later, whatever it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from maestro.engine.events import Forsake
from maestro.manager.remains import Remains, take_apart
from maestro.model.credentials import CredentialTexts
from maestro.model.directories import DirectoryName
from maestro.model.specifiers import Specifiers
from maestro.testing.theatre import unit
from tests.manager.rig import HOUSE, really, until


def remains(folder: Path) -> Remains:
    places = Specifiers(runtime=str(folder), credentials=f"{folder}/maestro/credentials")
    return Remains(replace(HOUSE, places=places))


@pytest.mark.parametrize("uid", [0, 1000])
def test_whatever_lies_there_is_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    gone = tmp_path / "gone"
    folder = gone / "1-1"
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "fifo")
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (folder / "locked").mkdir(mode=0)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    take_apart(str(gone))
    assert os.listdir(gone) == []
    assert (outside / "kept").exists()
    take_apart(str(tmp_path / "never"))


def test_runtime_directories_links_and_places_of_credentials_go(tmp_path: Path) -> None:
    async def go() -> None:
        (tmp_path / "app/deep").mkdir(parents=True)
        (tmp_path / "app/other").mkdir()
        (tmp_path / "link").symlink_to("app/deep")
        (tmp_path / "maestro/credentials/web").mkdir(parents=True)
        options: dict[str, Any] = {"runtime_directory": (DirectoryName("app/deep:link"),)}
        one = unit(**options, set_credential=CredentialTexts({"a": "b"}))
        remains(tmp_path).clear(one, Forsake("web"))
        assert not (tmp_path / "app/deep").exists(), "its next process may have it at once"
        await until(lambda: os.listdir(tmp_path / "maestro/gone") == [])
        assert os.listdir(tmp_path / "app") == ["other"]
        assert "link" not in os.listdir(tmp_path)
        assert os.listdir(tmp_path / "maestro/credentials") == []
        remains(tmp_path).clear(one, Forsake("web"))  # nothing is there any more
        remains(tmp_path).clear(None, Forsake("web"))

    really(go())


def test_what_another_has_too_that_runs_is_left_to_it(tmp_path: Path) -> None:
    async def go() -> None:
        for name in ("shared", "apart", "above/below"):
            (tmp_path / name).mkdir(parents=True)
        names = {"web": ("shared", "apart", "above"), "other": ("shared", "above/below")}
        one, other = (
            unit(name, runtime_directory=tuple(map(DirectoryName, own))) for name, own in names.items()
        )
        Remains(remains(tmp_path)._house, lambda: [one, other]).clear(one, Forsake("web"))
        left = sorted(one for one in os.listdir(tmp_path) if one != "maestro")
        assert left == ["above", "shared"]
        assert (tmp_path / "above/below").is_dir()

    really(go())


def test_no_link_leads_to_what_is_another_s(tmp_path: Path) -> None:
    async def go() -> None:
        (tmp_path / "other/deep").mkdir(parents=True)
        (tmp_path / "app").symlink_to("other")
        one = unit(runtime_directory=(DirectoryName("app/deep"),))
        remains(tmp_path).clear(one, Forsake("web"))
        assert (tmp_path / "other/deep").is_dir()
        two = unit(runtime_directory=(DirectoryName("app"),))
        remains(tmp_path).clear(two, Forsake("web"))
        assert os.listdir(tmp_path) == ["other"], "the link goes, and not what it leads to"

    really(go())
