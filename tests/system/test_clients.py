"""Clients see a wait, and never an error: whoever dies, and whatever other clients do."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.control.frames import encode, replies
from tests.system.harness import Daemon, is_alive, patient, pause, until

pytestmark = pytest.mark.system

COUNTER = Path(__file__).parent / "agents/counter.py"


class Wire:
    """A connection to the control socket that may say anything."""

    def __init__(self, daemon: Daemon) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(daemon.root / "run/maestro/control.sock"))
        self._frames = replies()
        self._heard: deque[dict[str, Any]] = deque()

    def ask(self, name: str, do: str, **fields: Any) -> None:
        self.socket.sendall(encode({"v": 1, "id": name, "do": do, **fields}))

    def answer(self) -> dict[str, Any]:
        """The next frame; nothing when the other side has hung up."""
        while not self._heard:
            data = self.socket.recv(1 << 16)
            if not data:
                return {}
            self._heard.extend(self._frames.feed(data))
        return self._heard.popleft()

    def close(self) -> None:
        self.socket.close()


@contextlib.contextmanager
def wire(daemon: Daemon) -> Iterator[Wire]:
    with contextlib.closing(Wire(daemon)) as one:
        yield one


def test_fifty_clients_see_only_waits_while_managers_die(daemon: Daemon) -> None:
    for number in range(20):
        daemon.unit(f"a{number}", agent={"exec": ["sleep", "1000"]})
    daemon.start()
    daemon.call("start", units=["a*"])
    chance = random.Random()
    with daemon.hammered(50, detail=False) as hammer:
        until(lambda: len(hammer.waits) >= 50 or hammer.errors)
        for blow in range(10):
            pause(chance.uniform(0, 0.3))  # a random moment
            daemon.new_manager(daemon.kill_manager())
            if blow in (3, 7):
                started = daemon.call("hello")["started"]
                daemon.call("daemon-reexec")
                until(lambda then=started: daemon.call("hello")["started"] > then, what="the next manager")  # type: ignore[misc]
    assert len(hammer.waits) > 500
    assert max(hammer.waits) < 15


def test_a_start_asked_just_before_the_managers_death_is_carried_out_once(
    daemon: Daemon, folder: Path
) -> None:
    rounds = 12
    for number in range(rounds):
        command = ["/bin/sh", "-c", f"echo $INVOCATION_ID >> {folder}/once{number}; exec sleep 1000"]
        daemon.unit(f"once{number}", agent={"exec": command})
    daemon.start()
    for number in range(rounds):
        dead = until(daemon.manager)
        with wire(daemon) as line:
            line.ask("hello", "hello")
            line.answer()
            line.ask(f"start-{number}", "start", units=[f"once{number}"])
            pause(number * 0.001)  # from before it is read to after it is committed
            daemon.kill_manager()
        daemon.new_manager(dead)
        jobs = []
        for _ in range(2):
            with wire(daemon) as line:
                line.ask(f"start-{number}", "start", units=[f"once{number}"])
                while "done" not in (answer := line.answer()):
                    assert "error" not in answer, answer
                    assert answer, "hung up"
                jobs.append(answer["done"]["jobs"])
        assert jobs[0] == jobs[1]
        assert [job["state"] for job in jobs[0]] == ["done"]
    starts = [event for event in daemon.events() if event["kind"] == "starting"]
    assert sorted(event["agent"] for event in starts) == sorted(f"once{number}#1" for number in range(rounds))
    for number in range(rounds):
        path = folder / f"once{number}"
        until(lambda path=path: path.exists() and path.read_text())  # type: ignore[misc]
        assert len(path.read_text().split()) == 1


def test_events_are_followed_without_gap_or_repeat_over_the_managers_death(daemon: Daemon) -> None:
    restart = {"policy": "always", "delay": "20ms", "factor": 1, "start_limits": []}
    for number in range(5):
        daemon.unit(f"short{number}", agent={"exec": ["sleep", "0.05"], "restart": restart})
    daemon.unit("last", agent={"exec": ["true"], "type": "oneshot"})
    daemon.start()
    seen: list[int] = []
    errors: list[BaseException] = []

    def follow() -> None:
        try:
            with contextlib.closing(daemon.client) as client:
                for event in client.stream("events", {"cursor": 0, "follow": True}):
                    seen.append(event["seq"])
                    if event["unit"] == "last" and event["kind"] == "completed":
                        return
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    daemon.call("start", units=["short*"])
    for _ in range(8):
        count = len(seen)
        until(lambda n=count: len(seen) > n + 20 or errors, what="more events")  # type: ignore[misc]
        daemon.new_manager(daemon.kill_manager())
    daemon.call("daemon-reexec")
    daemon.call("start", units=["last"])
    thread.join(20)
    assert not errors
    assert not thread.is_alive()
    assert seen == list(range(1, len(seen) + 1))


def test_logs_are_followed_without_gap_or_repeat_over_the_managers_death(
    daemon: Daemon, folder: Path
) -> None:
    truth = folder / "truth"
    truth.mkdir()
    (truth / "calm").touch()
    command = [sys.executable, "-I", "-S", str(COUNTER), str(truth), "0", "0"]
    names = ["one", "two"]
    for name in names:
        daemon.unit(
            name,
            agent={"exec": command, "restart": {"policy": "no"}},
            logs={"max_size": "4K", "max_files": 1000},
        )
    daemon.start()
    daemon.call("start", units=names)
    seen: dict[str, list[str]] = {name: [] for name in names}
    errors: list[BaseException] = []

    def follow() -> None:
        try:
            with contextlib.closing(daemon.client) as client:
                for line in client.stream("logs", {"units": names, "lines": None, "follow": True}):
                    seen[line["unit"]].append(line["text"])
                    if all(lines and " end " in lines[-1] for lines in seen.values()):
                        return
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    for _ in range(8):
        counts = {name: len(lines) for name, lines in seen.items()}
        until(lambda c=counts: errors or all(len(seen[n]) > c[n] + 30 for n in names), what="more lines")  # type: ignore[misc]
        daemon.new_manager(daemon.kill_manager())
    daemon.call("daemon-reexec")
    daemon.call("stop", units=names)
    thread.join(20)
    assert not errors
    assert not thread.is_alive(), {name: lines[-1:] for name, lines in seen.items()}
    for name in names:
        assert "\n".join(seen[name]) + "\n" == daemon.log(name).decode()


# ------------------------------------------------------------------------------------------------ bad neighbours


def _garbage(chance: random.Random) -> list[bytes]:
    whole = encode({"v": 1, "id": "x", "do": "hello"})
    return [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 100,
        b"\xff" * 100,
        (1 << 31).to_bytes(4, "big"),
        (5).to_bytes(4, "big") + b"\xc1" * 5,
        (2).to_bytes(4, "big") + b"\x91\xc0",
        b"".join((10_000).to_bytes(4, "big") + b"\x91" * 10_000 for _ in range(3)),
        encode({"v": 99, "id": "x", "do": "hello"}),
        encode({"v": 1, "id": "x" * 200, "do": "hello"}),
        encode({"v": 1, "id": 7, "do": ["hello"]}),
        encode({"v": 1, "id": "x", "do": "start", "units": [None, {}, 3]}),
        encode({"v": 1, "id": "x", "do": "logs", "units": ["a"], "cursors": {"a": -1}}),
        encode({"v": 1, "id": "x", "do": "events", "cursor": 1 << 63}),
        *(chance.randbytes(chance.randrange(1, 5000)) for _ in range(20)),
        *(bytes(b ^ chance.choice([0, 0, 0, 1, 128]) for b in whole) for _ in range(20)),
    ]


def test_bad_clients_harm_nobody_else(daemon: Daemon, folder: Path) -> None:
    daemon.unit("a", agent={"exec": ["sleep", "1000"]})
    loud = ["/bin/sh", "-c", f"yes {'x' * 100} | head -n 100000; exec sleep 1000"]
    daemon.unit("loud", agent={"exec": loud}, logs={"rate_limit_burst": "64M"})
    daemon.start()
    daemon.call("start", units=["a", "loud"])
    until(lambda: daemon.status("loud")["log_size"] >= 10_100_000)
    pid, manager, keeper = daemon.status("a")["pid"], daemon.manager(), daemon.keeper
    crowd: list[Wire] = []
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a thousand of them are ours
    with daemon.hammered(1, units=["a"]) as hammer:
        for data in _garbage(random.Random(os.urandom(8))):
            line = Wire(daemon)
            crowd.append(line)
            with contextlib.suppress(OSError):
                line.socket.sendall(data)
        for number in range(40):  # half a frame, and nothing more
            line = Wire(daemon)
            crowd.append(line)
            line.socket.sendall(encode({"v": 1, "id": "x", "do": "hello"})[: number % 20 + 1])
        for _ in range(20):  # ask for much, and do not read
            line = Wire(daemon)
            crowd.append(line)
            line.ask("logs", "logs", units=["loud"], lines=None, follow=True)
            line.ask("events", "events", cursor=0)
        crowd.extend(Wire(daemon) for _ in range(1000))  # connect, and say nothing
        count = len(hammer.waits)
        until(lambda: len(hammer.waits) > count + 50 or hammer.errors)
    assert max(hammer.waits) < patient(1), f"a client waited {max(hammer.waits)} s"
    assert (daemon.manager(), daemon.keeper) == (manager, keeper)
    with wire(daemon) as line:
        line.ask("one", "status", units=["a"])
        assert line.answer()["done"]["units"][0]["pid"] == pid
    for line in crowd:
        line.close()
    assert is_alive(pid)
    assert "Traceback" not in daemon.said()
    assert daemon.stop() == 0


def test_what_garbage_is_answered_with(daemon: Daemon) -> None:
    daemon.start()
    with wire(daemon) as line:
        line.socket.sendall((1 << 31).to_bytes(4, "big"))
        assert line.answer()["error"]["code"] == "bad-frame"
        assert line.answer() == {}
    with wire(daemon) as line:
        line.ask("one", "no-such-thing")
        assert "no-such-thing" in line.answer()["error"]["message"]
        line.ask("two", "hello")
        assert line.answer()["done"]["role"] == "admin"
