"""Programs that nobody here wrote, under the filters of both levels: not one of their calls is refused, for that kills here."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from maestro.drivers.seccomp import Seccomp
from maestro.keeper import seccomp
from maestro.model.syscall_lists import ErrorNumber
from maestro.model.syscalls import SyscallOptions, filter_of, on_level
from tests.system.harness import until
from tests.system.test_real_programs import free_port

pytestmark = [
    pytest.mark.system,
    pytest.mark.real,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody needs root"),
    pytest.mark.skipif(bool(Seccomp().missing()), reason=Seccomp().missing()),
]
NOBODY = 65534
HTTP = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
NGINX = """
    daemon off; error_log stderr; pid FOLDER/pid; worker_processes 2;
    events {}
    http {
        access_log off; sendfile on; aio threads; client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2;
        fastcgi_temp_path FOLDER/3; uwsgi_temp_path FOLDER/4; scgi_temp_path FOLDER/5;
        server { listen 127.0.0.1:PORT; root FOLDER; }
    }
"""
NODE = """
    const child = require('child_process'), fs = require('fs')
    fs.watch('FOLDER', () => 0)
    require('http').createServer((asked, told) => child.exec('ls', (failed) =>
        fs.writeFile('FOLDER/w', 'x', () => told.end(failed ? 'no' : 'mine')))).listen(PORT, '127.0.0.1')
"""
PYTHON = """
import concurrent.futures, http.server, multiprocessing, sqlite3
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert list(pool.map(abs, [-1])) == [1]
base = sqlite3.connect('FOLDER/base')
base.execute('pragma journal_mode=wal')
base.execute('create table t(a)')
base.commit()
http.server.ThreadingHTTPServer(('127.0.0.1', PORT), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
SERVERS = {  # program -> its arguments, what it is asked, part of what it says
    "redis-server": (
        ["--port", "PORT", "--dir", "FOLDER", "--appendonly", "yes"],
        b"SET a 1\r\nBGSAVE\r\nQUIT\r\n",
        b"saving started",
    ),
    "nginx": (["-e", "stderr", "-c", "FOLDER/nginx.conf"], HTTP, b"200 OK"),
    "caddy": (["file-server", "--listen", "127.0.0.1:PORT", "--root", "FOLDER"], HTTP, b"200 OK"),
    "node": (["-e", NODE], HTTP, b"mine"),
    "/usr/bin/python3": (["-c", PYTHON], HTTP, b"200 OK"),
}
GIT = """
    git init -q one && cd one && git config user.email a@b && git config user.name a
    for name in 1 2; do echo $name >$name && git add . && git commit -qm $name || exit 1; done
    git gc -q && git clone -q . ../two && cp -a ../two ../three && tar cf ../tar .
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="maestro-") as name:
        Path(name).chmod(0o777)
        (Path(name) / "index.html").write_text("mine", encoding="utf-8")
        yield Path(name)


def _start(command: list[str], level: str, folder: Path) -> subprocess.Popen[bytes]:
    program = shutil.which(command[0], path=f"{os.defpath}:/usr/sbin:/usr/local/bin")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    wanted = filter_of(on_level(SyscallOptions(system_call_error_number=ErrorNumber("kill")), level))
    assert wanted is not None
    programs = Seccomp().programs(wanted).programs

    def become() -> None:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        seccomp.load(programs)

    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            [program, *command[1:]],
            preexec_fn=become,
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=said,
            process_group=0,
        )


def _ask(port: int, question: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as one, one.makefile("rb") as answer:
            one.sendall(question)
            return answer.read()
    except OSError:
        return b""


@pytest.mark.parametrize("level", ["baseline", "strict"])
@pytest.mark.parametrize("name", SERVERS, ids=os.path.basename)
def test_a_server_serves(name: str, level: str, folder: Path) -> None:
    arguments, question, expected = SERVERS[name]
    port = free_port()

    def put(text: str) -> str:
        return text.replace("FOLDER", str(folder)).replace("PORT", str(port))

    (folder / "nginx.conf").write_text(put(NGINX), encoding="utf-8")
    one = _start([name, *map(put, arguments)], level, folder)
    try:
        until(lambda: one.poll() is not None or expected in _ask(port, question), 60)
        assert one.poll() is None, (folder / "said").read_text(errors="replace")
    finally:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGTERM)
        ended = one.wait(30)
    assert ended != -signal.SIGSYS


@pytest.mark.parametrize("level", ["baseline", "strict"])
def test_git_works(level: str, folder: Path) -> None:
    one = _start(["sh", "-e", "-c", GIT], level, folder)
    assert one.wait(60) == 0, (folder / "said").read_text(errors="replace")
