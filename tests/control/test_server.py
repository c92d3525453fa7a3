from __future__ import annotations

import errno
import logging
import os
import resource
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maestro.control import server as server_module
from maestro.control.client import CallError, Client
from maestro.control.connection import Limits
from maestro.control.frames import encode, replies
from maestro.control.routes import ROUTES
from tests.control.fake import Served, fields_of, unit


class Raw:
    """A client that says what it likes."""

    def __init__(self, served: Served) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(served.path)
        self._frames = replies()
        self._got: list[dict[str, Any]] = []

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def ask(self, do: str, name: str = "1", **fields: Any) -> None:
        self.sock.sendall(encode({"v": 1, "id": name, "do": do, **fields}))

    def hear(self) -> dict[str, Any]:
        """The next frame; empty when the server has hung up."""
        while not self._got:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                return {}
            if not data:
                return {}
            self._got += self._frames.feed(data)
        return self._got.pop(0)


def test_what_a_client_asked_that_gave_up_before_its_turn_is_not_done(served: Served) -> None:
    """It connected while there was no manager, and waits in the queue; what it says afterwards may be something else."""
    for leave in (Raw.__exit__, lambda one: one.sock.shutdown(socket.SHUT_WR)):
        with Raw(served) as one:
            one.ask("start", units=["researcher"])
            leave(one)
    served.start()
    with Raw(served) as other:
        other.ask("hello")
        assert "done" in other.hear()
    assert [type(request).__name__ for _, request in served.service.asked] == ["Hello"]


@pytest.fixture
def raw(served: Served) -> Iterator[Raw]:
    served.start()
    with Raw(served) as raw:
        yield raw


def _hello(served: Served) -> None:
    with Client(served.path) as client:
        assert client.call("hello")["protocol"] == 1


# ------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.do)
def test_every_route_answers(served: Served, raw: Raw, route: Any) -> None:
    served.hold(False)
    raw.ask(route.do, **fields_of(route.request, "researcher"))
    while "more" in (frame := raw.hear()):
        assert frame["id"] == "1"
    assert frame["id"] == "1"
    assert isinstance(frame["done"], dict)
    ((caller, request),) = served.service.asked
    assert (caller.pid, caller.uid, caller.request_id) == (os.getpid(), os.geteuid(), "1")
    assert type(request) is route.request


def test_requests_of_one_connection_go_on_side_by_side(served: Served, raw: Raw) -> None:
    raw.ask("start", "slow", units=["researcher"])
    assert raw.hear()["more"]["jobs"][0]["state"] == "running"
    raw.ask("hello", "quick")
    assert raw.hear()["id"] == "quick"
    served.hold(False)
    assert raw.hear()["more"]["jobs"][0]["state"] == "done"
    assert raw.hear()["done"]["jobs"][0]["state"] == "done"


def test_text_that_is_no_unicode_costs_only_itself(served: Served, raw: Raw) -> None:
    served.service.units = {"odd": unit("odd", cause="no such file: caf\udce9")}
    raw.ask("status")
    assert raw.hear()["done"]["units"][0]["cause"] == "no such file: caf\\udce9"


def test_an_answer_that_is_too_large_is_refused(served: Served, raw: Raw) -> None:
    served.service.units = {"big": unit("big", cause="x" * (16 << 20))}
    raw.ask("status")
    assert raw.hear()["error"]["code"] == "too-large"
    raw.ask("hello", "2")
    assert raw.hear()["done"]["protocol"] == 1


def test_an_agent_gets_its_own_unit_and_no_more(served: Served) -> None:
    served.agents[os.getpid()] = "researcher#17"
    served.start()
    with Client(served.path) as client:
        assert client.call("hello")["role"] == "agent"
        assert [unit["name"] for unit in client.call("status")["units"]] == ["researcher"]
        for do, units in (("status", ["vectordb"]), ("restart", ["researcher"]), ("shutdown", None)):
            with pytest.raises(CallError, match=f"not allowed: .*{do}") as caught:
                client.call(do, {"units": units} if units else {})
            assert caught.value.code == "not-allowed"


# ------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"v": 1, "id": "1", "do": "nonsense"}, "bad-request"),
        ({"v": 1, "id": "1", "do": "status", "x": 1}, "bad-request"),
        ({"v": 2, "id": "1", "do": "status"}, "bad-version"),
        ({"v": 1, "do": "status"}, "bad-request"),
        ({"v": 1, "id": "a\nb", "do": "status"}, "bad-request"),
        ({"v": 1, "id": "x" * 129, "do": "status"}, "bad-request"),
        ({"v": 1, "id": "1", "do": "status", "units": ["bug"]}, "internal"),
    ],
)
def test_a_bad_request_is_told_and_the_connection_goes_on(
    served: Served, raw: Raw, frame: dict[str, Any], code: str
) -> None:
    raw.sock.sendall(encode(frame))
    assert raw.hear()["error"]["code"] == code
    raw.ask("hello", "after")
    assert raw.hear()["id"] == "after"


def test_a_bug_is_logged_with_its_traceback_and_counted(
    served: Served, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        raw.ask("status", units=["bug"])
        error = raw.hear()["error"]
    assert error["message"] == "the request failed inside maestrod"
    assert served.server.counters.faults == 1
    assert "ZeroDivisionError: by design" in caplog.text


def test_an_id_in_use_and_too_many_at_a_time_are_refused(served: Served, raw: Raw) -> None:
    for number in range(64):
        raw.ask("start", str(number), units=["researcher"])
    for _ in range(64):
        assert "more" in raw.hear()
    raw.ask("hello", "64")
    assert raw.hear() == {
        "id": "64",
        "error": {
            "code": "busy",
            "message": "a connection may have 64 requests at a time",
            "hint": "wait for an answer",
        },
    }
    raw.ask("hello", "63")
    assert raw.hear()["error"]["code"] == "bad-request"
    _hello(served)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\1\xc1", b"\0\0\0\0", b"\xff" * 1000])
def test_garbage_ends_its_own_connection_only(served: Served, raw: Raw, garbage: bytes) -> None:
    with Raw(served) as other:
        other.ask("start", "waiting", units=["researcher"])
        assert "more" in other.hear()
        raw.sock.sendall(garbage)
        assert raw.hear()["error"]["code"] == "bad-frame"
        assert raw.hear() == {}
        served.hold(False)
        assert "more" in other.hear()
        assert "done" in other.hear()
    assert served.server.counters.garbage == 1


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stream=st.binary(max_size=64)
    | st.binary(max_size=32).map(lambda body: len(body).to_bytes(4, "big") + body)
)
def test_no_bytes_harm_the_server(shared: Served, stream: bytes) -> None:
    with Raw(shared) as raw:
        raw.sock.sendall(stream)
        raw.sock.shutdown(socket.SHUT_WR)
        while raw.hear():
            pass
    _hello(shared)


@pytest.fixture
def shared(root: Path) -> Iterator[Served]:
    served = Served(root)
    yield served.start()
    served.close()


# ------------------------------------------------------------------------------------------- bounds


def test_half_a_frame_must_become_a_whole_one(served: Served) -> None:
    served.start(limits=Limits(whole_frame=0.1))
    whole = encode({"v": 1, "id": "1", "do": "hello"})
    with Raw(served) as idle, Raw(served) as raw:
        raw.sock.sendall(whole + whole[:7])
        assert "done" in raw.hear()
        assert "was not whole after 0.1 s" in raw.hear()["error"]["message"]
        assert raw.hear() == {}
        idle.sock.sendall(whole)  # it may be silent between frames for as long as it likes
        assert "done" in idle.hear()


def test_a_frame_may_come_byte_by_byte(raw: Raw) -> None:
    for byte in encode({"v": 1, "id": "1", "do": "hello"}):
        raw.sock.sendall(bytes([byte]))
    assert "done" in raw.hear()


def test_a_reader_who_does_not_read_is_cut_off_and_nobody_waits_for_him(served: Served) -> None:
    served.service.events_to_send = 1_000_000
    served.service.text = "x" * 1000
    served.start(limits=Limits(stall=0.3, room=1 << 16))
    with Raw(served) as slow:
        slow.ask("events", cursor=100)
        while not served.server.counters.cut_off:
            _hello(served)
        assert select.select([slow.sock], [], [], 5)[0]
    served.hold(False)
    while not served.service.closed:
        _hello(served)
    assert served.service.closed == 1


def test_a_slow_reader_who_reads_gets_all(served: Served) -> None:
    served.service.events_to_send = 3000
    served.service.text = "x" * 1000
    served.start(limits=Limits(stall=5, room=1 << 14))
    with Raw(served) as slow:
        slow.ask("events", cursor=100, follow=False)
        count = 0
        while "more" in (frame := slow.hear()):
            count += 1
    assert count == 3001
    assert "done" in frame


def test_an_iterator_is_closed_when_its_caller_goes(served: Served, raw: Raw) -> None:
    raw.ask("events")
    assert raw.hear()["more"]["kind"] == "mark"
    raw.sock.close()
    while not served.service.closed:
        _hello(served)


def test_a_thousand_connections(served: Served) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2500:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    served.start()
    clients = [Raw(served) for _ in range(1000)]
    try:
        for client in clients:
            client.ask("hello")
        assert all("done" in client.hear() for client in clients)
        assert served.server.connections == 1000
    finally:
        for client in clients:
            client.sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    _hello(served)


def test_one_too_many_is_refused_with_a_sentence(served: Served) -> None:
    served.start(limits=Limits(connections=2))
    with Raw(served) as one, Raw(served) as two:
        one.ask("hello")
        two.ask("hello")
        assert "done" in one.hear()
        assert "done" in two.hear()
        with (
            Client(served.path) as client,
            pytest.raises(CallError, match="2 clients are connected") as caught,
        ):
            client.call("hello")
    assert caught.value.code == "busy"
    assert served.server.counters.refused == 1


def test_an_agent_cannot_use_up_the_connections(served: Served) -> None:
    served.agents[os.getpid()] = "researcher#17"
    served.start(limits=Limits(connections_of_one=1))
    with Raw(served) as one, Raw(served) as two:
        one.ask("hello")
        assert "done" in one.hear()
        assert "agent researcher#17 has 1 connections" in two.hear()["error"]["message"]


def test_no_descriptors_left_pauses_accepting(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "_PAUSE", 0.2)
    served.start()
    real, tries = served.server._sock, []

    class Scarce:
        def fileno(self) -> int:
            return real.fileno()

        def accept(self) -> Any:
            tries.append(1)
            if len(tries) == 1:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real.accept()

        def close(self) -> None:
            real.close()

    monkeypatch.setattr(served.server, "_sock", Scarce())
    _hello(served)
    assert len(tries) <= 4  # it did not spin
    assert "clients wait for 0.2 s" in caplog.text


def test_a_server_that_closes_leaves_the_listening_socket_alone(served: Served) -> None:
    served.start()
    with Raw(served) as raw:
        raw.ask("hello")
        assert "done" in raw.hear()
        served.on_loop(served.server.close)
        assert raw.hear() == {}
    later = threading.Timer(0.1, served.start)
    later.start()
    _hello(served)
    later.join()


def test_a_server_that_moves_keeps_its_connections_and_lets_in_who_waits(served: Served) -> None:
    served.start()
    new = socket.socket(socket.AF_UNIX)
    new.bind("")  # a name that the kernel finds
    new.listen(5)

    def move() -> Raw:
        waiting = Raw(served)  # connected, and not accepted yet: the loop is busy with us
        served.server.move(new)
        return waiting

    with Raw(served) as old, served.on_loop(move) as waiting, Raw(served) as late:
        late.sock.close()
        late.sock = socket.socket(socket.AF_UNIX)
        late.sock.settimeout(10)
        late.sock.connect(new.getsockname())
        for one in (old, waiting, late):
            one.ask("hello")
            assert one.hear()["id"] == "1"
