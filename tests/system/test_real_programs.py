"""Programs that nobody here wrote.

Each is started, found ready by its own signal, killed, found restarted and serving, and stopped without leftovers.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import REPOSITORY, Daemon, children, is_alive, patient, until

pytestmark = [pytest.mark.system, pytest.mark.real]

PROGRAMS = Path(__file__).parent / "programs"
PLACES = (
    REPOSITORY / ".real/bin",
    REPOSITORY / ".real/node_modules/.bin",
    Path("/usr/sbin"),
    Path("/usr/local/sbin"),
)
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-03-26",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def program(name: str, package: str) -> str:
    """Where a program is: on PATH, in REPOSITORY/.real, or in sbin; without it the test is skipped."""
    found = shutil.which(name)
    for place in PLACES:
        found = found or shutil.which(name, path=str(place))
    if found is None:
        pytest.skip(f"{name} is not installed here ({package}); .ci/run installs it")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int) -> set[int]:
    """A process and all that came from it."""
    found, todo = {pid}, [pid]
    while todo:
        new = [child for child in children(todo.pop()) if child not in found]
        found.update(new)
        todo.extend(new)
    return found


def lead_a_life(daemon: Daemon, name: str, serves: Callable[[], Any]) -> None:
    """The main job, on one unit that is written already: up, killed, up again, down; `serves` proves that it works."""
    if daemon.process is None:
        daemon.start()
    answer = daemon.call("start", units=[name])
    assert answer["jobs"][0]["state"] == "done", daemon.said()
    first = daemon.status(name)
    assert first["state"] == "active"
    assert serves(), "it was said to be ready, and does not serve"
    before = tree(first["pid"])
    os.kill(first["pid"], signal.SIGKILL)
    second = until(
        lambda: (one := daemon.status(name))["state"] == "active" and one["pid"] != first["pid"] and one,
        30,
        f"{name} is active again",
    )
    assert second["restarts"] == 1
    assert serves(), "it was said to be ready again, and does not serve"
    assert not any(map(is_alive, before)), "something of the killed agent is left beside the new one"
    all_of_it = tree(second["pid"])
    assert daemon.call("stop", units=[name])["jobs"][0]["state"] == "done"
    assert not any(map(is_alive, all_of_it | tree(second["pid"])))
    assert not daemon.agents_of_this_root()
    ended = daemon.status(name)
    assert (ended["state"], ended["goal"]) == ("inactive", "down")


def get(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=patient(5)) as answer:
        body: bytes = answer.read()
        return body


# ------------------------------------------------------------------------------------------- servers


def test_redis_by_sd_notify(daemon: Daemon) -> None:
    redis, port = program("redis-server", "Debian package redis-server"), free_port()

    def ping() -> bool:
        with socket.create_connection(("127.0.0.1", port), 5) as link:
            link.sendall(b"PING\r\n")
            return link.recv(100) == b"+PONG\r\n"

    daemon.unit(
        "redis",
        agent={
            "exec": [
                redis,
                "--port",
                str(port),
                "--bind",
                "127.0.0.1",
                "--supervised",
                "systemd",
                "--save",
                "",
            ],
            "type": "notify",
            "working_directory": str(daemon.root),
            "restart": {"delay": "50ms"},
        },
    )
    daemon.start()
    daemon.call("start", units=["redis"])
    until(lambda: daemon.status("redis")["status"] == "Ready to accept connections", what="redis's STATUS=")
    lead_a_life(daemon, "redis", ping)
    assert b"Ready to accept connections" in daemon.log("redis")
    assert "SIGKILL" not in daemon.status("redis")["cause"]


def nginx_in(folder: Path, port: int, daemon: str = "off") -> list[str]:
    """nginx's command line, with all that it writes in a folder."""
    place = folder / "nginx"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in kinds)
    (place / "nginx.conf").write_text(
        f"""daemon {daemon};
worker_processes 2;
pid {place}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    {temporary}
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "all is well\\n"; }}
    }}
}}
"""
    )
    return [
        program("nginx", "Debian package nginx-light"),
        "-p",
        str(place),
        "-e",
        "stderr",
        "-c",
        f"{place}/nginx.conf",
    ]


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_nginx_by_a_probe(daemon: Daemon, kind: str) -> None:
    port = free_port()
    question = {"tcp": f"127.0.0.1:{port}", "http": f"http://127.0.0.1:{port}/"}[kind]
    daemon.unit(
        "web",
        agent={
            "exec": nginx_in(daemon.root, port),
            "restart": {"delay": "50ms"},
            "stop": {"sequence": ["QUIT 10s", "TERM 5s"]},
            "reload_signal": "HUP",
        },
        health={"readiness": {kind: question}},
    )
    answers: list[bytes] = []

    def serves() -> bool:
        answers.append(get(f"http://127.0.0.1:{port}/"))
        return bool(answers[-1])

    lead_a_life(daemon, "web", serves)
    assert answers == [b"all is well\n"] * 2, "before it was killed, and after"


def test_nginx_reads_its_configuration_again(daemon: Daemon) -> None:
    port = free_port()
    daemon.unit(
        "web",
        agent={"exec": nginx_in(daemon.root, port), "reload_signal": "HUP"},
        health={"readiness": {"tcp": f"127.0.0.1:{port}"}},
    )
    daemon.start()
    daemon.call("start", units=["web"])
    pid = daemon.status("web")["pid"]
    configuration = daemon.root / "nginx/nginx.conf"
    configuration.write_text(configuration.read_text().replace("all is well", "all is new"))
    assert daemon.call("reload", units=["web"])["jobs"][0]["state"] == "done"
    until(lambda: get(f"http://127.0.0.1:{port}/") == b"all is new\n")
    assert daemon.status("web")["pid"] == pid


def test_nginx_forks_and_is_asked_by_its_own_commands(daemon: Daemon) -> None:
    port = free_port()
    command = nginx_in(daemon.root, port, daemon="on")
    daemon.unit(
        "web",
        agent={
            "exec": command,
            "type": "forking",
            "pid_file": f"{daemon.root}/nginx/nginx.pid",
            "restart": {"delay": "50ms"},
            "exec_start_pre": [[*command, "-t"]],
            "exec_reload": [[*command, "-s", "reload"]],
            "exec_stop": [[*command, "-s", "quit"]],
        },
    )
    daemon.start()
    daemon.call("start", units=["web"])
    configuration = daemon.root / "nginx/nginx.conf"
    good = configuration.read_text()
    configuration.write_text(good.replace("all is well", "all is new"))
    assert daemon.call("reload", units=["web"])["jobs"][0]["state"] == "done"
    until(lambda: get(f"http://127.0.0.1:{port}/") == b"all is new\n")
    configuration.write_text("nonsense;")
    [job] = daemon.call("reload", units=["web"])["jobs"]
    assert (job["state"], "exec_reload[0]" in job["words"]) == ("failed", True), job
    until(
        lambda: get(f"http://127.0.0.1:{port}/") == b"all is new\n"
    )  # its old workers take a while to leave
    configuration.write_text(good)
    daemon.call("stop", units=["web"])
    lead_a_life(daemon, "web", lambda: get(f"http://127.0.0.1:{port}/") == b"all is well\n")


# ------------------------------------------------------------------------------------------- MCP servers


def test_mcp_server_time_behind_a_bridge(daemon: Daemon) -> None:
    """A stdio server lives as long as its client: here the client is the agent, and its answer to `initialize` the sign."""
    server, path = program("mcp-server-time", "PyPI package mcp-server-time"), daemon.root / "time.sock"

    def what_time_is_it() -> bool:
        call = {"name": "get_current_time", "arguments": {"timezone": "UTC"}}
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(path))
            with link.makefile("rwb") as both:
                both.write(
                    json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}).encode()
                    + b"\n"
                )
                both.flush()
                answer = json.loads(both.readline())
        return "datetime" in answer["result"]["content"][0]["text"]

    daemon.unit(
        "clock",
        agent={
            "exec": [
                sys.executable,
                str(PROGRAMS / "mcp_bridge.py"),
                str(path),
                server,
                "--local-timezone",
                "UTC",
            ],
            "restart": {"delay": "50ms"},
        },
        health={"readiness": {"log": "^initialized by "}},
    )
    lead_a_life(daemon, "clock", what_time_is_it)

    daemon.call("start", units=["clock"])
    first = daemon.status("clock")["pid"]
    [server_pid] = children(first)
    os.kill(server_pid, signal.SIGKILL)  # the server itself: its bridge goes with it, and both come back
    until(lambda: (one := daemon.status("clock"))["state"] == "active" and one["pid"] != first)
    assert what_time_is_it()
    assert (
        "ended with exit status 137"
        in [event.words for event in _events(daemon, "clock") if event.kind == "restart-scheduled"][-1]
    )
    assert daemon.stop() == 0
    assert not daemon.agents_of_this_root()


def test_mcp_server_everything_over_http(daemon: Daemon) -> None:
    server, port = (
        program("mcp-server-everything", "npm package @modelcontextprotocol/server-everything"),
        free_port(),
    )
    url = f"http://127.0.0.1:{port}/mcp"

    def initialize() -> bool:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        question = urllib.request.Request(url, json.dumps(HELLO).encode(), headers)
        with urllib.request.urlopen(question, timeout=patient(10)) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    found: str = json.loads(line[6:])["result"]["serverInfo"]["name"]
                    return "everything" in found
        return False

    daemon.unit(
        "everything",
        agent={
            "exec": [server, "streamableHttp"],
            "environment": {"PORT": str(port), "PATH": os.environ["PATH"]},
            "restart": {"delay": "50ms"},
        },
        health={"readiness": {"tcp": f"127.0.0.1:{port}", "interval": "500ms"}},
    )
    lead_a_life(daemon, "everything", initialize)


# ------------------------------------------------------------------------------------------- systemd-notify


def test_systemd_notify_says_it(daemon: Daemon) -> None:
    """`systemd-notify` sends, and waits until the other side has taken it in (BARRIER=1): the agent may end right after."""
    notify = program("systemd-notify", "Debian package systemd")
    script = f"""
        echo starting
        {notify} --status='half way there' || exit 9
        {notify} --ready --status='all there' || exit 9
        echo told
        exec sleep 1000
    """
    daemon.unit(
        "shell", agent={"exec": ["/bin/sh", "-c", script], "type": "notify", "restart": {"delay": "50ms"}}
    )

    def said() -> bool:
        return daemon.status("shell")["status"] == "all there" and daemon.log("shell").endswith(b"told\n")

    lead_a_life(daemon, "shell", lambda: until(said, what="STATUS= and the line after the barrier"))
    assert daemon.log("shell") == b"starting\ntold\n" * 2


def test_systemd_notify_in_a_stop(daemon: Daemon) -> None:
    notify = program("systemd-notify", "Debian package systemd")
    script = f"""
        trap '{notify} --status=packing STOPPING=1; sleep 0.2; exit 0' TERM
        {notify} --ready
        while :; do sleep 0.05; done
    """
    daemon.unit("shell", agent={"exec": ["/bin/sh", "-c", script], "type": "notify"})
    daemon.start()
    daemon.call("start", units=["shell"])
    assert daemon.call("stop", units=["shell"])["jobs"][0]["state"] == "done"
    ended = daemon.status("shell")
    assert (ended["state"], ended["result"], ended["status"]) == ("inactive", "success", "packing")


class Told:
    def __init__(self, event: dict[str, Any]) -> None:
        self.kind, self.words = str(event["kind"]), str(event["words"])


def _events(daemon: Daemon, unit: str) -> list[Told]:
    with daemon.client as client:
        return [
            Told(one) for one in client.stream("events", {"units": [unit], "follow": False, "lines": 1000})
        ]
