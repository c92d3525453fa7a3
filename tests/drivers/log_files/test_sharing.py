"""Who else may read log files, and what several streams may take together."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from maestro.drivers.log_files import quota
from maestro.drivers.log_files.segments import Tape, listing, log_path
from maestro.drivers.log_files.sharing import share

READER, GROUP, OTHER = 471101, 471200, 471102
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for above in (tmp_path, *tmp_path.parents[:-1]):
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o001)
    made = tmp_path / "logs" / "web"
    made.mkdir(parents=True, mode=0o750)
    made.parent.chmod(0o750)
    try:
        os.setxattr(made, "user.probe", b"")
        share(str(made), (("user", READER),))
        share(str(made), ())
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            pytest.skip("this file system has no access control lists")
        raise
    made.parent.chmod(0o750)
    return made


def tried(uid: int, gid: int, path: Path, flags: int = os.O_RDONLY) -> str:
    """What comes of opening as a user."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.setgroups(())
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            os.close(os.open(path, flags, 0o600))
        except OSError as error:
            code = error.errno or 255
        os._exit(code)
    return errno.errorcode.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "done")


def test_owners_read_and_nobody_else_and_nobody_writes(folder: Path) -> None:
    tape = Tape(str(folder.parent), folder.name)
    tape.ready(0.0)
    tape.write(b"old\n")
    first = Path(log_path(str(folder), 0))
    assert tried(READER, READER, first) == "EACCES"
    tape.share((("user", READER), ("group", GROUP)))
    tape.rotate(4)
    second = Path(log_path(str(folder), 4))
    for file in (first, second, folder):
        assert tried(READER, READER, file) == tried(OTHER, GROUP, file) == "done", file
        assert tried(OTHER, OTHER, file) == "EACCES", file
    assert tried(READER, READER, first, os.O_WRONLY) == "EACCES"
    assert tried(READER, READER, folder / "link", os.O_WRONLY | os.O_CREAT) == "EACCES"
    assert tried(READER, READER, folder.parent) == "EACCES", "what others there are is not to be seen"
    tape.share((("user", OTHER),))
    assert (tried(READER, READER, second), tried(OTHER, OTHER, second)) == ("EACCES", "done")
    tape.share(())
    assert {tried(uid, uid, one) for uid in (READER, OTHER) for one in (first, second, folder)} == {"EACCES"}
    tape.close()


def test_who_goes_on_in_another_file_and_was_not_told_leaves_the_readers(folder: Path) -> None:
    """The log of an agent that is down is cut for the quota of its slice: its owner still reads it."""
    tape = Tape(str(folder.parent), folder.name)
    tape.share((("user", READER),))
    tape.ready(0)
    tape.write(b"old\n")
    tape.close()
    later = Tape(str(folder.parent), folder.name)
    later.ready(0)
    later.rotate(4)
    later.close()
    files = [Path(log_path(str(folder), start)) for start in (0, 4)]
    assert [tried(READER, READER, one) for one in files] == ["done", "done"]
    assert {tried(OTHER, OTHER, one) for one in files} == {"EACCES"}


def test_the_oldest_of_all_streams_go_first(tmp_path: Path) -> None:
    paths = {}
    for stream, ages in {"web": (5, 3, 1), "db": (4, 2), "late": (0,)}.items():
        paths[stream] = str(tmp_path / stream)
        os.mkdir(paths[stream])
        for number, age in enumerate(ages):
            file = log_path(paths[stream], number * 1000)
            Path(file).write_bytes(b"x" * 1000)
            os.utime(file, (1e9 - age, 1e9 - age))
    assert quota.trim(paths, 6000) == quota.Cut({})
    assert quota.trim(paths, 4000) == quota.Cut({"web": 1000, "db": 1000})
    assert (listing(paths["web"]), listing(paths["db"])) == ([1000, 2000], [1000])
    cut = quota.trim(paths, 2500)
    assert cut.removed == {"web": 1000}
    assert len(cut.too_long) == 1, (
        "of those that are written to, as many as it takes are to be gone on with in another file"
    )
    assert [listing(path) for path in paths.values()] == [[2000], [1000], [0]]


def test_what_cannot_be_removed_is_not_said_to_be(tmp_path: Path) -> None:
    for start in (0, 100):
        Path(log_path(str(tmp_path), start)).write_bytes(b"x" * 100)
    stuck = Path(log_path(str(tmp_path), 0))
    stuck.unlink()
    stuck.mkdir()  # the one refusal that root gets as well
    cut = quota.trim({"a": str(tmp_path)}, 10)
    assert cut.removed == {}
    assert cut.too_long == ("a",)
