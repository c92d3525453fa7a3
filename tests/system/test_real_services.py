"""Services that nobody here wrote, run as their packages run them: own user, pid files, reloads, conflicts."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.system.harness import Daemon, is_alive, until
from tests.system.test_real_programs import free_port, get, lead_a_life, nginx_in, program

pytestmark = [pytest.mark.system, pytest.mark.real]

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="changing users needs root")


def postgres_program(name: str) -> str:
    """Debian keeps each version's programs in a directory of its own."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else program(name, "Debian package postgresql")


@root_only
def test_postgresql_as_its_own_user_by_sd_notify(daemon: Daemon) -> None:
    postgres, initdb, port = postgres_program("postgres"), postgres_program("initdb"), free_port()
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("there is no user postgres; the Debian package makes one")
    place = daemon.root / "postgres"
    place.mkdir()
    os.chown(place, owner.pw_uid, owner.pw_gid)
    for folder in (daemon.root, *daemon.root.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    daemon.unit(
        "postgres",
        agent={
            "exec": [postgres, "-D", f"{place}/data", "-k", str(place), "-p", str(port)],
            "exec_start_pre": [
                ["sh", "-c", f"test -d {place}/data || {initdb} -D {place}/data --auth=trust"]
            ],
            "type": "notify",
            "user": "postgres",
            "working_directory": str(place),
            "stop": {"sequence": ["INT 20s", "KILL"], "kill_mode": "mixed"},
            "restart": {"delay": "50ms"},
        },
    )

    def answers() -> bool:
        question = [postgres_program("psql"), "-h", str(place), "-p", str(port), "-U", "postgres", "-Atc"]
        said = subprocess.run([*question, "select 6*7"], capture_output=True, text=True, check=False)
        return said.stdout == "42\n"

    lead_a_life(daemon, "postgres", answers)
    assert b"database system is ready to accept connections" in daemon.log("postgres")


def forking_nginx(daemon: Daemon, name: str, port: int, **unit: object) -> None:
    """As Debian's nginx.service: it puts itself into the background and leaves its pid in a file."""
    folder = daemon.root / name
    folder.mkdir()
    command = nginx_in(folder, port)
    configuration = folder / "nginx/nginx.conf"
    configuration.write_text(configuration.read_text().replace("daemon off", "daemon on"))
    daemon.unit(
        name,
        unit=unit,
        agent={
            "exec": command,
            "exec_start_pre": [[*command, "-t", "-q"]],
            "type": "forking",
            "pid_file": f"{folder}/nginx/nginx.pid",
            "reload_signal": "HUP",
            "stop": {"sequence": ["QUIT 5s", "KILL"], "kill_mode": "mixed"},
            "restart": {"delay": "50ms"},
        },
    )


def test_nginx_in_the_background_with_a_pid_file(daemon: Daemon) -> None:
    port = free_port()
    forking_nginx(daemon, "web", port)
    lead_a_life(daemon, "web", lambda: get(f"http://127.0.0.1:{port}/") == b"all is well\n")
    assert not (daemon.root / "web/nginx/nginx.pid").exists()


def test_two_nginx_that_conflict_over_a_port_take_turns(daemon: Daemon) -> None:
    port = free_port()
    forking_nginx(daemon, "blue", port)
    forking_nginx(daemon, "green", port, conflicts=["blue"])
    daemon.start()
    for name, other in (("blue", "green"), ("green", "blue"), ("blue", "green")):
        answer = daemon.call("start", units=[name])
        assert answer["jobs"][0]["state"] == "done", daemon.said()
        assert get(f"http://127.0.0.1:{port}/") == b"all is well\n"
        assert daemon.status(other)["state"] == "inactive"
    assert daemon.status("green")["cause"] == "stopped, for green conflicts blue"


def test_nginx_with_a_broken_configuration_fails_at_its_check(daemon: Daemon) -> None:
    forking_nginx(daemon, "web", free_port())
    (daemon.root / "web/nginx/nginx.conf").write_text("nonsense;\n")
    daemon.start()
    job = daemon.call("start", units=["web"])["jobs"][0]
    assert job["state"] == "failed"
    assert "exec_start_pre" in job["words"] or "nginx" in job["words"]
    until(lambda: b"unknown directive" in daemon.log("web"), what="what nginx said is in its log")


def test_caddy_says_that_it_reloads(daemon: Daemon) -> None:
    caddy, port, admin = program("caddy", "Debian package caddy"), free_port(), free_port()
    place = daemon.root / "caddy"
    place.mkdir()

    def write(text: str) -> None:
        (place / "Caddyfile").write_text(
            f"{{\n admin 127.0.0.1:{admin}\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n respond {text}\n}}\n"
        )

    write("old")
    daemon.unit(
        "caddy",
        agent={
            "exec": [caddy, "run", "--config", f"{place}/Caddyfile", "--adapter", "caddyfile"],
            "exec_reload": [
                [caddy, "reload", "--config", f"{place}/Caddyfile", "--adapter", "caddyfile", "--force"]
            ],
            "type": "notify",
            "environment": {"HOME": str(place), "XDG_DATA_HOME": str(place), "XDG_CONFIG_HOME": str(place)},
            "restart": {"delay": "50ms"},
        },
    )
    lead_a_life(daemon, "caddy", lambda: get(f"http://127.0.0.1:{port}/") == b"old")
    daemon.call("start", units=["caddy"])
    pid = daemon.status("caddy")["pid"]
    write("new")
    assert daemon.call("reload", units=["caddy"])["jobs"][0]["state"] == "done", daemon.said()
    assert get(f"http://127.0.0.1:{port}/") == b"new"
    assert (daemon.status("caddy")["pid"], daemon.status("caddy")["state"]) == (pid, "active")
    (place / "Caddyfile").write_text("nonsense {")
    job = daemon.call("reload", units=["caddy"])["jobs"][0]
    assert job["state"] == "failed"
    assert get(f"http://127.0.0.1:{port}/") == b"new", "a reload that fails leaves it as it was"
    assert daemon.status("caddy")["state"] == "active"


def test_mosquitto_by_sd_notify(daemon: Daemon) -> None:
    mosquitto, port = program("mosquitto", "Debian package mosquitto"), free_port()
    (daemon.root / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")

    def connects() -> bool:
        with socket.create_connection(("127.0.0.1", port), 5) as link:
            link.sendall(bytes.fromhex("101000044d5154540402003c000474657374"))  # CONNECT as "test"
            return link.recv(4) == bytes.fromhex("20020000")  # CONNACK, accepted

    daemon.unit(
        "mosquitto",
        agent={
            "exec": [mosquitto, "-c", f"{daemon.root}/mosquitto.conf"],
            "type": "notify",
            "reload_signal": "HUP",
            "user": "root" if os.geteuid() == 0 else None,
            "restart": {"delay": "50ms"},
        },
    )
    lead_a_life(daemon, "mosquitto", connects)


# ------------------------------------------------------------------------------------------- a chain of mixed kinds

SLEEP = [shutil.which("sleep") or "/bin/sleep", "infinity"]
KINDS = ("requires", "binds_to", "part_of", "wants", "milestone", "upholds")


def is_another(daemon: Daemon, name: str, before: int) -> bool:
    return daemon.status(name)["pid"] not in (0, before)


def test_a_chain_of_twelve_with_mixed_kinds_breaks_and_recovers(daemon: Daemon) -> None:
    """Each unit hangs on the one before by another kind; each link is broken in turn, and all is well again after."""
    names = [f"n{number:02}" for number in range(12)]
    for number, name in enumerate(names):
        kind = KINDS[number % len(KINDS)]
        unit = {kind: [names[number - 1]], "after": [names[number - 1]]} if number else {}
        daemon.unit(name, unit=unit, agent={"exec": SLEEP, "restart": {"delay": "20ms", "start_limits": []}})
    daemon.start()
    daemon.call("start", units=list(names))
    before = {name: daemon.status(name)["pid"] for name in names}
    for number, broken in enumerate(names):
        os.kill(before[broken], signal.SIGKILL)
        until(partial(is_another, daemon, broken, before[broken]), 20, broken)
        until(lambda: all(daemon.status(name)["state"] == "active" for name in names), 20, "all are up again")
        after = {name: daemon.status(name)["pid"] for name in names}
        moved = {name for name in names if after[name] != before[name]}
        bound = names[number + 1] if number + 1 < len(names) and KINDS[(number + 1) % 6] == "binds_to" else ""
        assert moved == {broken, *([bound] if bound else [])}, (
            "the end of one touches only what is bound to it"
        )
        before = after
    daemon.call("stop", units=[names[0]])
    until(
        lambda: daemon.status(names[2])["state"] == "inactive",
        what="a stop reaches what is part of the chain",
    )
    assert daemon.status(names[1])["state"] == "inactive"
    assert daemon.status(names[3])["state"] == "active", "what only wants it runs on"
    daemon.call("start", units=list(names))
    assert all(daemon.status(name)["state"] == "active" for name in names)
    daemon.call("stop", units=list(reversed(names)))
    assert not any(map(is_alive, before.values()))


def gunicorn_that_says(daemon: Daemon, words: str, *options: str) -> tuple[list[str], int]:
    """The command and the port of a gunicorn that answers with these words."""
    port = free_port()
    write_hello(daemon, words)
    fixed = ("--workers", "2", "--no-control-socket", *options, "hello:app")
    return [program("gunicorn", "PyPI package gunicorn"), "--bind", f"127.0.0.1:{port}", *fixed], port


def write_hello(daemon: Daemon, words: str) -> None:
    (daemon.root / "hello.py").write_text(
        f"def app(environ, start):\n    start('200 OK', [('Content-Type', 'text/plain')])\n    return [b'{words}']\n"
    )


def test_gunicorn_by_sd_notify(daemon: Daemon) -> None:
    command, port = gunicorn_that_says(daemon, "hello")
    daemon.unit(
        "app",
        agent={
            "exec": command,
            "type": "notify",
            "working_directory": str(daemon.root),
            "restart": {"delay": "50ms"},
        },
    )
    lead_a_life(daemon, "app", lambda: get(f"http://127.0.0.1:{port}/") == b"hello")
    assert daemon.status("app")["status"] == "Gunicorn arbiter booted"


# gunicorn says nothing of a reload by itself; its hooks are the place for that.
_HOOKS = """
import time
from gunicorn.systemd import sd_notify
def on_reload(server):
    sd_notify(f"RELOADING=1\\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", server.log)
def child_exit(server, worker):  # the new workers are there by then
    sd_notify("READY=1\\nSTATUS=workers replaced", server.log)
"""


def test_gunicorn_says_when_it_has_reloaded(daemon: Daemon) -> None:
    (daemon.root / "hooks.py").write_text(_HOOKS)
    command, port = gunicorn_that_says(daemon, "hello", "--config", "hooks.py")
    directory = str(daemon.root)
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}  # what is read again is of the same second, and as long
    daemon.unit(
        "app",
        agent={
            "exec": command,
            "type": "notify-reload",
            "working_directory": directory,
            "environment": environment,
        },
    )
    daemon.start()
    daemon.call("start", units=["app"])
    until(lambda: get(f"http://127.0.0.1:{port}/") == b"hello")
    pid = daemon.status("app")["pid"]
    write_hello(daemon, "again")
    assert daemon.call("reload", units=["app"])["jobs"][0]["state"] == "done", daemon.said()
    assert daemon.status("app")["status"] == "workers replaced"
    until(lambda: get(f"http://127.0.0.1:{port}/") == b"again")
    assert daemon.status("app")["pid"] == pid
    daemon.call("stop", units=["app"])
