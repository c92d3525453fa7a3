"""Entry points, found without the library that does much else."""

from __future__ import annotations

import os
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from maestro.manager.entry_points import EntryPoint, entry_points


def install(directory: Path, distribution: str, text: str | None) -> Path:
    folder = directory / distribution
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "entry_points.txt").write_text(text)
    return folder


def values(*path: Path | str) -> dict[str, str]:
    return {entry.name: entry.value for entry in entry_points("maestro", map(str, path))}


def test_only_lines_of_the_group_count_and_comments_do_not(tmp_path: Path) -> None:
    install(
        tmp_path,
        "one-1.0.dist-info",
        "[console_scripts]\nx = y:z\n\n[maestro]\n# c = d\n; e = f\nnot a line\n a=b.c \n\n[other]\ng = h\n",
    )
    assert values(tmp_path) == {"a": "b.c"}


def test_both_kinds_of_directories_are_looked_at_and_files_are_not(tmp_path: Path) -> None:
    install(tmp_path, "one-1.0.dist-info", "[maestro]\na = b\n")
    install(tmp_path, "two.egg-info", "[maestro]\nc = d\n")
    install(tmp_path, "three-1.0.dist-info", None)
    (tmp_path / "four.egg-info").write_text("[maestro]\ne = f\n")
    assert values(tmp_path) == {"a": "b", "c": "d"}


def test_of_two_distributions_of_a_name_the_first_on_the_path_counts(tmp_path: Path) -> None:
    install(tmp_path / "first", "My_Plugin-2.0.dist-info", "[maestro]\na = new\n")
    install(tmp_path / "second", "my.plugin-1.0.egg-info", "[maestro]\na = old\nb = old\n")
    install(tmp_path / "second", "other-1.0.dist-info", "[maestro]\nc = d\n")
    assert values(tmp_path / "first", tmp_path / "second") == {"a": "new", "c": "d"}


def test_what_is_twice_on_the_path_counts_once(tmp_path: Path) -> None:
    install(tmp_path, "one-1.0.dist-info", "[maestro]\na = b\n")
    assert len(entry_points("maestro", [str(tmp_path), str(tmp_path)])) == 1


def test_what_is_not_there_or_a_zip_file_is_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("zipped-1.0.dist-info/entry_points.txt", "[maestro]\nz = z\n")
    install(tmp_path / "site", "one-1.0.dist-info", "[maestro]\na = b\n")
    assert values(tmp_path / "nowhere", tmp_path / "lib.zip", tmp_path / "site") == {"a": "b"}


def test_one_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    (install(tmp_path, "bad-1.0.dist-info", None) / "entry_points.txt").mkdir()
    (install(tmp_path, "bytes-1.0.dist-info", None) / "entry_points.txt").write_bytes(
        b"[maestro]\n\xff = x\n"
    )
    install(tmp_path, "one-1.0.dist-info", "[maestro]\na = b\n")
    assert values(tmp_path) == {"a": "b", "\ufffd": "x"}


def test_an_empty_place_on_the_path_is_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "one-1.0.dist-info", "[maestro]\na = b\n")
    monkeypatch.chdir(tmp_path)
    assert values("") == {"a": "b"}


@pytest.mark.parametrize(
    "value", ["os.path:join", "os.path : join", "os.path:join [extra, more]", "os:path.join"]
)
def test_what_is_in_a_module_is_loaded(value: str) -> None:
    assert EntryPoint("one", value, "maestro").load() is os.path.join


def test_a_module_is_loaded() -> None:
    assert EntryPoint("one", "os.path", "maestro").load() is os.path


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("os:nothing", AttributeError),
        ("no_such_module_at_all", ModuleNotFoundError),
        ("os; import sys", ValueError),
        ("", ValueError),
    ],
)
def test_what_cannot_be_loaded_says_so(value: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        EntryPoint("one", value, "maestro").load()


def test_it_finds_what_the_library_finds() -> None:
    ours = {(entry.name, entry.value) for entry in entry_points("console_scripts")}
    theirs = {(entry.name, entry.value) for entry in metadata.entry_points(group="console_scripts")}
    assert ours
    assert ours == theirs
