"""What a process begins with: its streams, its root, further descriptors; and how it tells that it is ready."""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.rig import Manager, Rig, until

pytestmark = pytest.mark.system
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change its root")


def shell(manager: Manager, agent: str, code: str, **recipe: Any) -> None:
    manager.spawn(agent, "/bin/sh", "-c", code, **recipe)


def ended(manager: Manager, agent: str) -> int | None:
    code: int | None = manager.news("ended", agent)[2]
    return code


def stdio(
    out: tuple[str, str], err: tuple[str, str] = ("inherit", ""), into: tuple[str, str] = ("null", "")
) -> Any:
    return (into, out, err)


def test_output_and_errors_go_to_one_file_in_order(rig: Rig, tmp_path: Path) -> None:
    manager = rig.start()
    manager.hello()
    file = tmp_path / "out"
    file.write_text("before\n")
    code = "echo one; echo two >&2; echo three"
    for kind, found in (
        ("append", "before\none\ntwo\nthree\n"),
        ("truncate", "one\ntwo\nthree\n"),
    ):
        for number, err in enumerate([("inherit", ""), (kind, str(file))]):
            file.write_text("before\n")
            shell(manager, f"{kind}#{number}", code, stdio=stdio((kind, str(file)), err))
            assert ended(manager, f"{kind}#{number}") == 0
            assert file.read_text() == found
    file.write_text("x" * 20)
    shell(manager, "file#1", code, stdio=stdio(("file", str(file))))
    assert ended(manager, "file#1") == 0
    assert file.read_text() == "one\ntwo\nthree\n" + "x" * 6


def test_a_new_file_has_the_mask_of_the_agent(rig: Rig, tmp_path: Path) -> None:
    manager = rig.start()
    manager.hello()
    shell(manager, "a#1", "echo x", stdio=stdio(("truncate", f"{tmp_path}/out")), umask=0o027)
    assert ended(manager, "a#1") == 0
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_input_from_a_file_and_errors_into_the_pipe(rig: Rig, tmp_path: Path) -> None:
    manager = rig.start()
    manager.hello()
    (tmp_path / "in").write_text("question\n")
    streams = stdio(("null", ""), ("log", ""), ("file", f"{tmp_path}/in"))
    shell(manager, "a#1", "read x; echo hidden; echo $x >&2", stdio=streams, stream="a")
    manager.news("stream", "a")
    assert manager.read("a") == b"question\n"
    assert ended(manager, "a#1") == 0


def test_one_file_for_input_and_output_is_opened_once(rig: Rig, tmp_path: Path) -> None:
    manager = rig.start()
    manager.hello()
    file = tmp_path / "both"
    file.write_text("question\n")
    both = ("file", str(file))
    shell(manager, "a#1", "read x; echo answer to $x", stdio=stdio(both, into=both))
    assert ended(manager, "a#1") == 0
    assert file.read_text() == "question\nanswer to question\n"


@pytest.mark.parametrize(
    ("streams", "says"),
    [
        (stdio(("log", ""), into=("file", "/no/input")), "open its input /no/input"),
        (stdio(("append", "/no/output")), "open its output /no/output"),
        (stdio(("log", ""), ("append", "/no/errors")), "open its error output /no/errors"),
    ],
)
def test_a_stream_that_cannot_be_opened_is_named(rig: Rig, streams: Any, says: str) -> None:
    manager = rig.start()
    manager.hello()
    shell(manager, "a#1", "true", stdio=streams)
    assert manager.news("cannot_spawn", "a#1")[2:] == (says, errno.ENOENT)


def test_one_that_waits_for_the_other_end_of_a_fifo_can_be_ended(rig: Rig, tmp_path: Path) -> None:
    manager = rig.start()
    manager.hello()
    os.mkfifo(tmp_path / "fifo")
    shell(manager, "a#1", "true", stdio=stdio(("log", ""), into=("file", f"{tmp_path}/fifo")))
    manager.order("send", "a#1", signal.SIGTERM, False)
    assert manager.news("ended", "a#1")[2:4] == (None, signal.SIGTERM)
    shell(manager, "b#1", "true")
    kinds = [manager.next()[0] for _ in range(2)]
    assert kinds == ["spawned", "ended"]  # and nobody took the signal for the keeper's


@as_root
def test_another_root(rig: Rig, tmp_path: Path) -> None:
    manager = rig.start()
    manager.hello()
    shell(manager, "a#1", "true", root=f"{tmp_path}/missing")
    assert manager.news("cannot_spawn", "a#1")[2] == f"change its root to {tmp_path}/missing"
    manager.spawn("a#2", "/nothing", root=str(tmp_path))
    assert manager.news("cannot_spawn", "a#2")[2:] == ("execute /nothing", errno.ENOENT)


def test_a_directory_that_may_be_missing(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    shell(manager, "a#1", "test $(pwd) = /", cwd="/no/such/directory", cwd_may_fail=True)
    assert ended(manager, "a#1") == 0
    shell(manager, "a#2", "true", cwd="/no/such/directory")
    assert manager.news("cannot_spawn", "a#2")[2] == "change directory to /no/such/directory"


# ------------------------------------------------------------------------------------------- ready on a descriptor


@pytest.mark.parametrize("number", [3, 5, 9, 100])
def test_ready_by_a_line_on_a_descriptor(rig: Rig, number: int) -> None:
    manager = rig.start()
    manager.hello()
    code = f"printf half >/proc/self/fd/{number}; echo >/proc/self/fd/{number}; exec sleep 100"
    shell(manager, "a#1", code, notify_fd=number)
    assert manager.news("spawned", "a#1")
    assert manager.news("ready", "a#1") == ("ready", "a#1")


def test_ready_is_told_before_the_end(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    shell(manager, "a#1", "echo >/proc/self/fd/3", notify_fd=3)
    kinds = []
    while "ended" not in kinds:
        kinds.append(manager.next()[0])
    assert sorted(kinds[:-1]) == ["ready", "spawned"]


def test_ready_outlives_the_manager_and_a_renewal(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    shell(manager, "a#1", "echo >/proc/self/fd/3; exec sleep 100", notify_fd=3)
    shell(manager, "b#1", "exec sleep 100", notify_fd=3)
    manager.news("ready", "a#1")
    manager.order("reexec")
    manager.kill()
    second = rig.manager()
    entries = second.hello()
    assert set(entries) == {"a#1", "b#1"}
    assert second.news("ready", "a#1")


# ------------------------------------------------------------------------------------------- kept descriptors


def keep(manager: Manager, unit: str, name: str, fd: int, polled: bool = True, most: int = 4) -> None:
    manager.order("store", unit, name, polled, most, fd=fd)


def listening(manager: Manager, agent: str, unit: str = "a") -> list[str]:
    """What a process of this unit is given: names, then what its descriptors are."""
    code = 'test "$LISTEN_PID" = $$ || echo wrong; echo "$LISTEN_FDS $LISTEN_FDNAMES"; cd /proc/self/fd; readlink [3-9]; echo END'
    shell(manager, agent, code, stream="a", store=unit)
    said = b""
    while not said.endswith(b"END\n"):
        if ("stream", "a") not in manager.fds:
            manager.news("stream", "a")
        said += manager.read("a")
    ended(manager, agent)
    return [line for line in said.decode().split("\n")[:-2] if not line.startswith("/proc")]


def memory(name: str) -> int:
    return os.memfd_create(name)


def test_kept_descriptors_are_given_to_the_next_process(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    one, two = memory("one"), memory("two")
    keep(manager, "a", "first", one)
    keep(manager, "a", "second", two)
    keep(manager, "a", "again", one)  # the same is kept once
    keep(manager, "b", "other", one)
    keep(manager, "a", "more", memory("three"), most=2)
    expected = ["2 first:second", "/memfd:one (deleted)", "/memfd:two (deleted)"]
    assert listening(manager, "a#1") == expected
    assert listening(manager, "a#2") == expected
    manager.order("reexec")
    manager.kill()
    second = rig.manager()
    second.hello()
    assert listening(second, "a#3") == expected
    second.order("unstore", "a", "first")
    assert listening(second, "a#4") == ["1 second", "/memfd:two (deleted)"]
    second.order("drop_store", "a")
    assert listening(second, "a#5") == ["wrong", " "]
    assert listening(second, "a#6", "b") == ["1 other", "/memfd:one (deleted)"]


def test_a_kept_socket_is_input_and_output(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    keep(manager, "a", "state", memory("state"))
    keep(manager, "a", "talk", theirs.fileno())
    for number, kind in enumerate([("socket", ""), ("fd", "talk")]):
        streams = stdio(kind, into=kind)
        shell(manager, f"a#{number}", "read x; echo answer to $x >&2", stdio=streams, store="a")
        ours.sendall(b"question\n")
        assert ours.recv(100) == b"answer to question\n"
        assert ended(manager, f"a#{number}") == 0
    ours.close()
    theirs.close()


def test_a_stream_that_nobody_has_left_is_named(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    keep(manager, "a", "state", memory("state"))

    def refused(agent: str, *of: Any, **streams: Any) -> str:
        shell(manager, agent, "true", stdio=stdio(*of, **streams), store="a")
        stage, number = manager.news("cannot_spawn", agent)[2:]
        assert number == 0  # the words say all
        return str(stage)

    log = ("log", "")
    assert refused("a#1", log, into=("fd", "talk")) == (
        "open its input fd:talk: no stored descriptor has this name"
    )
    assert refused("a#2", ("socket", "")) == "open its output socket: none is stored"
    pair = socket.socketpair()
    for one in pair:
        keep(manager, "a", "talk", one.fileno())
        one.close()
    assert refused("a#3", log, ("socket", "")) == (
        "open its error output socket: 2 stored descriptors are sockets: name one"
    )


def test_what_has_lost_its_other_end_is_dropped_unless_it_is_to_be_kept(rig: Rig) -> None:
    manager = rig.start()
    manager.hello()
    ours, theirs = socket.socketpair()
    left, right = socket.socketpair()
    file = os.open("/dev/null", os.O_RDONLY)
    keep(manager, "a", "watched", theirs.fileno())
    keep(manager, "a", "unwatched", right.fileno(), polled=False)
    keep(manager, "a", "file", file)
    assert listening(manager, "a#1")[0] == "3 watched:unwatched:file"
    for one in (theirs, right, ours, left):
        one.close()
    numbers = iter(range(2, 1000))
    until(
        lambda: listening(manager, f"a#{next(numbers)}")[0] == "2 unwatched:file", "the watched one is gone"
    )
