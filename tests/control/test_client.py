from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro.control import client as client_module
from maestro.control.client import CallError, Client
from maestro.control.protocol import Start
from tests.control.fake import Served


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.path, str(served.root)) as client:
        yield client


def test_calls_are_answered_one_after_the_other_on_one_connection(served: Served, client: Client) -> None:
    served.start()
    assert client.call("hello")["role"] == "admin"
    assert client.call("status")["units"][0]["name"] == "researcher"
    assert served.server.connections == 1


def test_a_refusal_has_code_message_and_hint(served: Served, client: Client) -> None:
    served.start()
    with pytest.raises(CallError, match="there is no field 'unit'") as caught:
        client.call("status", {"unit": ["a"]})
    assert (caught.value.code, caught.value.hint) == ("bad-request", "did you mean units?")
    assert client.call("hello")["protocol"] == 1


def test_progress_is_watched_and_time_passes_in_ticks(served: Served, client: Client) -> None:
    served.start()
    seen: list[dict[str, Any] | None] = []

    def watch(view: dict[str, Any] | None) -> None:
        seen.append(view)
        if view is None:
            served.hold(False)

    answer = client.call("start", {"units": ["researcher"]}, watch=watch, tick=0.05)
    assert answer["jobs"][0]["state"] == "done"
    assert seen[0] is not None
    assert seen[0]["jobs"][0]["words"] == "waits for vectordb"
    assert None in seen


def test_a_verb_survives_the_manager_and_keeps_its_id(served: Served, client: Client) -> None:
    served.start()

    def watch(view: dict[str, Any] | None) -> None:
        if len(served.service.asked) == 1 and view is not None:
            served.die()
            served.start()
            served.hold(False)

    answer = client.call("start", {"units": ["researcher"]}, watch=watch)
    assert answer["jobs"][0]["state"] == "done"
    ids = [caller.request_id for caller, request in served.service.asked if isinstance(request, Start)]
    assert len(ids) == 2
    assert ids[0] == ids[1] != ""


def test_a_connected_client_waits_while_there_is_no_manager(served: Served, client: Client) -> None:
    later = threading.Timer(0.3, served.start)
    later.start()
    assert client.call("hello")["pid"] == 1
    later.join()


def test_events_resume_after_the_last_that_was_seen(served: Served, client: Client) -> None:
    served.service.events_to_send = 3
    served.start()
    seen = []
    for event in client.stream("events", {"cursor": 100}):
        seen.append(event["seq"])
        if seen == [101, 102, 103]:
            served.die()
            served.service.events_to_send = 5
            served.start()
            served.hold(False)
    assert seen == [101, 102, 103, 104, 105]


def test_events_resume_from_the_mark_when_none_was_seen(served: Served, client: Client) -> None:
    served.start()
    die = threading.Timer(0.2, _die_and_go_on, (served,))
    die.start()
    assert [event["seq"] for event in client.stream("events")] == [101, 102]
    die.join()


def _die_and_go_on(served: Served) -> None:
    served.die()
    served.service.events_to_send = 2
    served.start()
    served.hold(False)


def test_logs_resume_where_they_were(served: Served, client: Client) -> None:
    served.start()
    texts = []
    for line in client.stream("logs", {"units": ["researcher", "worker"], "follow": True}):
        texts.append((line["unit"], line["text"]))
        if len(texts) == 10:
            served.die()
            served.start()
            served.hold(False)
    expected = [(name, f"x {number}") for name in ("researcher", "worker") for number in range(20)]
    assert texts == expected


def test_many_clients_see_only_waits_while_managers_die(served: Served) -> None:
    served.start()
    troubles: list[BaseException] = []
    stop = threading.Event()

    def hammer() -> None:
        try:
            with Client(served.path) as client:
                while not stop.is_set():
                    client.call("status")
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        served.die()
        served.start()
        with Client(served.path) as client:
            client.call("hello")
    stop.set()
    for thread in threads:
        thread.join()
    assert troubles == []


# ------------------------------------------------------------------------------------------- failures


def test_no_socket_means_not_running(root: Path) -> None:
    path = root / "control.sock"
    with Client(str(path), str(root)) as client, pytest.raises(CallError) as caught:
        client.call("hello")
    assert caught.value.code == "no-daemon"
    assert caught.value.message == f"maestrod is not running with root {root} (no socket at {path})"
    assert caught.value.hint == "start it with bin/maestrod or systemctl start maestrod"


def test_a_socket_without_a_listener_means_not_running(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_GRACE", 0.1)
    path = str(root / "control.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with Client(path) as client, pytest.raises(CallError, match="nobody listens at") as caught:
        client.call("hello")
    assert caught.value.code == "no-daemon"


def test_a_daemon_that_never_answers_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PATIENCE", 0.2)
    path = str(root / "control.sock")
    with socket.socket(socket.AF_UNIX) as deaf, Client(path) as client:
        deaf.bind(path)
        deaf.listen(1)
        with pytest.raises(CallError, match=r"did not answer for 0\.2 s; it may still be done") as caught:
            client.call("hello")
    assert caught.value.code == "no-answer"


def test_a_full_queue_is_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PATIENCE", 0.2)
    path = str(root / "control.sock")
    with (
        socket.socket(socket.AF_UNIX) as deaf,
        socket.socket(socket.AF_UNIX) as other,
        Client(path) as client,
    ):
        deaf.bind(path)
        deaf.listen(0)
        other.connect(path)
        with pytest.raises(CallError) as caught:
            client.call("hello")
    assert caught.value.code == "no-answer"


def test_a_limit_ends_the_wait_for_a_verb(served: Served, client: Client) -> None:
    served.start()
    with pytest.raises(CallError, match=r"no answer within 0\.2 s") as caught:
        client.call("start", {"units": ["researcher"]}, limit=0.2)
    assert caught.value.code == "timeout"


def test_something_else_that_listens_is_named(root: Path) -> None:
    path = str(root / "control.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen(1)

        def speak() -> None:
            sock, _ = other.accept()
            with sock:
                sock.recv(1000)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        with Client(path) as client, pytest.raises(CallError, match="makes no sense") as caught:
            client.call("hello")
        thread.join()
    assert caught.value.code == "bad-frame"


def test_a_path_longer_than_an_address_works(served: Served) -> None:
    served.start()
    deep = served.root
    for _ in range(5):
        deep = deep / ("d" * 40)
        deep.mkdir()
    link = deep / "control.sock"
    os.link(served.path, link)
    with Client(str(link)) as client:
        assert client.call("hello")["pid"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user")
@pytest.mark.parametrize(
    ("place", "mode", "words"),
    [
        ("run", 0o700, "may not enter {} (owner root, group root, mode 0700)"),
        ("run/maestro/control.sock", 0o600, "may not write to {} (owner root, group root, mode 0600)"),
    ],
)
def test_who_may_not_open_is_told_which_place_refuses(
    served: Served, place: str, mode: int, words: str
) -> None:
    served.root.chmod(0o755)
    (served.root / place).chmod(mode)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            Client(served.path).call("hello")
        except CallError as error:
            os.write(write, f"{error.code}|{error.message}|{error.hint}".encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with open(read) as pipe:
        code, message, hint = pipe.read().split("|")
    assert code == "may-not-open"
    assert message.startswith("uid 65534 (nobody) ")
    assert message.endswith(words.format(served.root / place))
    assert hint == "run it as root"
