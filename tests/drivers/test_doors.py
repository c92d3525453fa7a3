"""The sockets' files: found, made, and made again."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from maestro.drivers.doors import Doors


class Keeper:
    def __init__(self) -> None:
        self.held: list[str] = []

    def hold(self, name: str, _fd: int) -> None:
        self.held.append(name)


def test_a_door_that_the_keeper_holds_is_used_as_long_as_its_file_is_there() -> None:
    with TemporaryDirectory(prefix="maestro-") as folder:
        path, keeper = f"{folder}/run/c", Keeper()
        with Doors({}, keeper.hold).open("control", path, socket.SOCK_STREAM) as first:
            assert keeper.held == ["control"]
            inode = os.fstat(first.fileno()).st_ino
            with Doors({"control": os.dup(first.fileno())}, keeper.hold).open(
                "control", path, socket.SOCK_STREAM
            ) as again:
                assert os.fstat(again.fileno()).st_ino == inode
            os.unlink(path)
            with Doors({"control": os.dup(first.fileno())}, keeper.hold).open(
                "control", path, socket.SOCK_STREAM
            ) as other:
                assert os.fstat(other.fileno()).st_ino != inode
        assert keeper.held == ["control", "control"]
        assert os.stat(path).st_mode & 0o777 == 0o666


def test_what_vanished_is_made_again_and_what_did_not_is_left(caplog: pytest.LogCaptureFixture) -> None:
    with TemporaryDirectory(prefix="maestro-") as folder:
        run, keeper, moved = f"{folder}/run", Keeper(), list[socket.socket]()
        doors = Doors({}, keeper.hold)
        for name in ("one", "two"):
            doors.open(name, f"{run}/{name}", socket.SOCK_DGRAM).close()
            doors.watch(name, f"{run}/{name}", socket.SOCK_DGRAM, moved.append)
        doors.see_to()
        assert (moved, caplog.text) == ([], "")
        os.unlink(f"{run}/two")
        doors.see_to()
        assert [sock.getsockname() for sock in moved] == [f"{run}/two.new"]
        shutil.rmtree(run)
        Path(run).touch()
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            doors.see_to()
            doors.see_to()
        assert caplog.text.count("cannot be made again") == 1, "said once"
        os.unlink(run)
        doors.see_to()
        assert sorted(os.listdir(run)) == ["one", "two"]
        assert keeper.held == ["one", "two", "two", "one", "two"]
        for sock in moved:
            sock.close()
