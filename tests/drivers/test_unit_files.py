"""Unit files as they are found: what is refused and why, links, and what is kept from one reading to the next."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from maestro.drivers.unit_files import LARGEST, UnitDirectories, reader
from maestro.model import names
from maestro.model.library import pieces
from maestro.ports import UnitFiles
from tests.drivers.unit_disk import Disk

ROOT = os.geteuid() == 0


def test_it_is_the_port(disk: Disk) -> None:
    port: UnitFiles = disk.units
    assert port.read().directories == (str(disk.etc), str(disk.lib))


def test_the_first_directory_counts(disk: Disk) -> None:
    disk.write("etc/a.agent.yaml", "first")
    disk.write("lib/a.agent.yaml", "second")
    disk.write("lib/b.target.yaml", "third")
    disk.write("lib/.hidden.agent.yaml")
    disk.write("lib/README")
    disk.write("lib/a.agent.yaml~")
    files = disk.units.read().files
    assert {name: piece.text for name, piece in files.items()} == {
        "a.agent.yaml": b"first",
        "b.target.yaml": b"third",
    }
    assert files["a.agent.yaml"].path == str(disk.etc / "a.agent.yaml")


def test_no_directories_is_no_units(tmp_path: Path) -> None:
    assert UnitDirectories([str(tmp_path / "none")], 0).read().files == {}


def test_what_is_no_file(disk: Disk) -> None:
    (disk.etc / "d.agent.yaml").mkdir()
    os.mkfifo(disk.etc / "f.agent.yaml")
    (disk.etc / "l.agent.yaml").symlink_to("nowhere")
    (disk.etc / "o.agent.yaml").symlink_to("o.agent.yaml")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(disk.etc / "s.agent.yaml"))
        assert disk.refused("d.agent.yaml") == "is a directory, not a file"
        assert disk.refused("f.agent.yaml") == "is a named pipe, not a file"
        assert disk.refused("l.agent.yaml") == "is a link to nowhere, which does not exist"
        assert disk.refused("o.agent.yaml") == "cannot be read: too many levels of symbolic links"
        assert disk.refused("s.agent.yaml") == "is a socket, not a file"


def test_a_link_to_a_file_is_read(disk: Disk) -> None:
    target = disk.write("elsewhere", "text")
    (disk.etc / "a.agent.yaml").symlink_to(target)
    assert disk.units.read().files["a.agent.yaml"].text == b"text"
    target.parent.chmod(0o777)
    assert "is writable by group" in disk.refused("a.agent.yaml")


def test_large_files(disk: Disk) -> None:
    disk.write("etc/ok.agent.yaml", "x" * LARGEST)
    file = disk.write("etc/a.agent.yaml", "")
    os.truncate(file, 1 << 40)
    assert len(disk.units.read().files["ok.agent.yaml"].text) == LARGEST
    assert disk.refused("a.agent.yaml") == "has 1,099,511,627,776 bytes: 1,048,576 are allowed"


def test_a_file_that_grows_while_it_is_read_is_read_whole(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.write("etc/a.agent.yaml", "x" * 5000)
    fields = ("st_mode", "st_uid", "st_dev", "st_ino", "st_mtime_ns", "st_ctime_ns")

    def before_it_grew(file: int) -> object:
        found = os.fstat(file)
        return SimpleNamespace(st_size=10, **{name: getattr(found, name) for name in fields})

    monkeypatch.setattr(reader, "os", SimpleNamespace(**vars(os) | {"fstat": before_it_grew}))
    assert disk.units.read().files["a.agent.yaml"].text == b"x" * 5000
    disk.write("etc/b.agent.yaml", "x" * (LARGEST + 1))
    assert disk.refused("b.agent.yaml") == "grew beyond 1,048,576 bytes"


def test_a_short_file_keeps_no_page_of_memory_to_itself(disk: Disk) -> None:
    """Each was read into room for the largest, which the allocator maps from the kernel page by page."""
    for number in range(50):
        disk.write(f"etc/a{number}.agent.yaml", "agent: {exec: [/bin/true]}")
    fixed = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # or else it depends on what was freed before
    told = subprocess.run(
        [sys.executable, "-c", _MAPPED, str(disk.etc), str(os.geteuid())],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **fixed},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.split()
    if told == ["unknown"]:
        pytest.skip("this C library does not say what it has mapped")
    files, more = map(int, told)
    assert files == 50
    assert more < 10


_MAPPED = """
import ctypes, sys
from maestro.drivers.unit_files import UnitDirectories
class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", *"abcdef")]
libc = ctypes.CDLL(None)
if not hasattr(libc, "mallinfo2"):
    sys.exit(print("unknown"))
libc.mallinfo2.restype = Mallinfo
before = libc.mallinfo2().hblks
found = UnitDirectories([sys.argv[1]], int(sys.argv[2])).read()
print(len(found.files), libc.mallinfo2().hblks - before)
"""


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o664, "is writable by group: chmod g-w {}"),
        (0o646, "is writable by all: chmod o-w {}"),
        (0o600, ""),
        (0o444, ""),
    ],
)
def test_who_may_write(disk: Disk, mode: int, said: str) -> None:
    file = disk.write("etc/a.agent.yaml", mode=mode)
    piece = disk.units.read().files["a.agent.yaml"]
    assert piece.refused == said.format(file)
    file.chmod(0o644)
    assert disk.units.read().files["a.agent.yaml"].refused == ""


def test_a_directory_that_others_may_write(disk: Disk) -> None:
    disk.write("etc/a.agent.yaml")
    disk.write("lib/b.agent.yaml")
    disk.etc.chmod(0o775)
    assert (
        disk.refused("a.agent.yaml") == f"its directory {disk.etc} is writable by group: chmod g-w {disk.etc}"
    )
    assert disk.units.read().files["b.agent.yaml"].refused == ""
    disk.etc.chmod(0o755)
    assert disk.units.read().files["a.agent.yaml"].refused == ""


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_a_strangers_file(disk: Disk) -> None:
    file = disk.write("etc/a.agent.yaml")
    os.chown(file, 1234, 0)
    assert disk.refused("a.agent.yaml") == "belongs to user 1234: chown it to root"
    mine = UnitDirectories([str(disk.etc)], 1234)
    assert mine.read().files["a.agent.yaml"].refused == ""


def as_nobody(directory: Path) -> str:
    """What a user without rights is told about a.agent.yaml."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(
                theirs, UnitDirectories([str(directory)], 65534).read().files["a.agent.yaml"].refused.encode()
            )
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.skipif(not ROOT, reason="root reads everything; only root can become someone else to see this")
def test_an_unreadable_file() -> None:
    with tempfile.TemporaryDirectory() as base:
        disk = Disk(Path(base))
        disk.write("etc/a.agent.yaml", mode=0o600)
        assert as_nobody(disk.etc) == "cannot be read: permission denied"


def test_an_unreadable_directory_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    (piece,) = UnitDirectories([str(file)], os.geteuid()).read().files.values()
    assert piece.refused == "cannot be read: not a directory"


# ------------------------------------------------------------------------------------------------ drop-ins


def test_drop_ins_of_all_directories_by_name_of_file(disk: Disk) -> None:
    disk.write("etc/a.agent.yaml.d/50-b.yaml", "etc")
    disk.write("lib/a.agent.yaml.d/50-b.yaml", "hidden")
    disk.write("lib/a.agent.yaml.d/10-a.yaml", "lib")
    disk.write("lib/a.agent.yaml.d/note.txt", "no drop-in")
    disk.write("etc/agent.d/all.yaml", "all")
    dropins = disk.units.read().dropins
    assert {folder: [piece.text for piece in inside] for folder, inside in dropins.items()} == {
        "a.agent.yaml.d": [b"lib", b"etc"],
        "agent.d": [b"all"],
    }
    assert dropins["a.agent.yaml.d"][0].path == str(disk.lib / "a.agent.yaml.d/10-a.yaml")


def test_a_masked_drop_in_is_none(disk: Disk) -> None:
    disk.write("lib/a.agent.yaml.d/x.yaml", "lib")
    (disk.etc / "a.agent.yaml.d").mkdir(mode=0o755)
    (disk.etc / "a.agent.yaml.d/x.yaml").symlink_to("/dev/null")
    assert disk.units.read().dropins == {"a.agent.yaml.d": ()}


def test_who_may_write_drop_ins(disk: Disk) -> None:
    file = disk.write("etc/a.agent.yaml.d/x.yaml", mode=0o666)
    [piece] = disk.units.read().dropins["a.agent.yaml.d"]
    assert piece.refused == f"is writable by group: chmod g-w {file}"
    file.chmod(0o644)
    file.parent.chmod(0o777)
    [piece] = disk.units.read().dropins["a.agent.yaml.d"]
    assert piece.refused == f"its directory {file.parent} is writable by group: chmod g-w {file.parent}"


def test_an_environment_lays_files_over(disk: Disk) -> None:
    disk.write("lib/environments/prod/a.agent.yaml", "prod")
    disk.write("etc/environments/test/a.agent.yaml", "test")
    assert disk.units.read().overlays == {}
    prod = UnitDirectories([str(disk.etc), str(disk.lib)], os.geteuid(), "prod")
    assert {file: piece.text for file, piece in prod.read().overlays.items()} == {"a.agent.yaml": b"prod"}


def test_a_look_at_one_unit_finds_what_reading_all_finds(disk: Disk) -> None:
    for path in ("lib/w@.agent.yaml", "etc/w@.agent.yaml.d/a.yaml", "lib/w@1.agent.yaml.d/b.yaml",
                 "etc/agent.d/c.yaml", "etc/environments/prod/w@.agent.yaml", "etc/other.agent.yaml"):  # fmt: skip
        disk.write(path, path)
    units = UnitDirectories([str(disk.etc), str(disk.lib)], os.geteuid(), "prod")
    every, one = units.read(), units.look("w@1", {})
    assert set(one.files) == {"w@.agent.yaml"}
    name = names.split("w@1")
    assert len(pieces(name, one.files, one.overlays, one.dropins)) == 5
    assert pieces(name, one.files, one.overlays, one.dropins) == pieces(
        name, every.files, every.overlays, every.dropins
    )


# ------------------------------------------------------------------------------------------------ masks


def test_a_link_to_nowhere_masks(disk: Disk) -> None:
    disk.write("lib/a.agent.yaml")
    (disk.etc / "a.agent.yaml").symlink_to("/dev/null")
    piece = disk.units.read().files["a.agent.yaml"]
    assert (piece.masked, piece.path, piece.refused) == (True, str(disk.etc / "a.agent.yaml"), "")


def test_an_empty_file_masks_what_it_hides(disk: Disk) -> None:
    disk.write("lib/a.agent.yaml")
    disk.write("etc/a.agent.yaml", "")
    disk.write("etc/x.target.yaml", "")
    files = disk.units.read().files
    assert (files["a.agent.yaml"].masked, files["x.target.yaml"].masked) == (True, False)


# ------------------------------------------------------------------------------------------------ links


def test_links(disk: Disk) -> None:
    for base in (disk.etc, disk.lib):
        (base / "default.target.wants").mkdir()
    (disk.etc / "x.target.requires").mkdir()
    (disk.etc / "default.target.wants/worker@eu.agent.yaml").symlink_to("../worker@.agent.yaml")
    (disk.etc / "default.target.wants/odd name.agent.yaml").symlink_to("x")
    (disk.etc / "default.target.wants/w@.agent.yaml").symlink_to("x")
    (disk.lib / "default.target.wants/db.agent.yaml").symlink_to("nowhere")
    (disk.lib / "default.target.wants/worker@eu.agent.yaml").symlink_to("x")
    (disk.etc / "x.target.requires/db.agent.yaml").symlink_to("../db.agent.yaml")
    (disk.etc / "y.target.wants").write_text("")
    sources = disk.units.read()
    assert sources.links == {"default.target": ("worker@eu", "db")}
    assert sources.requirements == {"x.target": ("db",)}
    assert "contains ' '" in sources.files["default.target.wants/odd name.agent.yaml"].refused
    assert "template" in sources.files["default.target.wants/w@.agent.yaml"].refused
    assert sources.files[str(disk.etc / "y.target.wants")].refused == "is not a directory"
    (disk.etc / "default.target.wants").chmod(0o777)
    sources = disk.units.read()
    assert sources.links == {"default.target": ("db", "worker@eu")}
    assert "is writable by group" in sources.files[str(disk.etc / "default.target.wants")].refused


def settle(file: Path) -> None:
    """A change so recent that it may repeat within a tick of the clock is not kept; wait until it is older."""
    while True:
        old = file.stat().st_ctime_ns
        probe = file.with_name(".probe")
        probe.write_text("")
        if probe.stat().st_ctime_ns - old > 150_000_000:
            return


def test_what_did_not_change_is_not_read_again(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    file = disk.write("etc/a.agent.yaml", "one")
    settle(file)
    before = disk.units.read().files["a.agent.yaml"]
    opened: list[str] = []
    real = os.open

    def counted(path: str, flags: int) -> int:
        opened.append(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", counted)
    assert disk.units.read().files["a.agent.yaml"] is before
    assert opened == []
    file.write_text("two")  # as long as before
    assert disk.units.read().files["a.agent.yaml"].text == b"two"
    new = disk.write("etc/.new", "six")
    new.rename(file)
    assert disk.units.read().files["a.agent.yaml"].text == b"six"
    file.unlink()
    assert disk.units.read().files == {}


def test_fast_changes_are_seen(disk: Disk) -> None:
    for number in range(200):
        disk.write("etc/a.agent.yaml", f"{number:03}")
        assert disk.units.read().files["a.agent.yaml"].text == f"{number:03}".encode()
