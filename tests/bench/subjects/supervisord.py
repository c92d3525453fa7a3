"""supervisord: Debian's package, or PyPI's where there is no apt."""

from __future__ import annotations

import shlex
import subprocess

from tests.bench import tools
from tests.bench.life import Life
from tests.bench.subjects import fetch
from tests.bench.tools import Unable

_CONFIGURATION = """\
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
minfds=8192
[unix_http_server]
file={folder}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/supervisor.sock
[program:writer]
command={writer}
autostart=false
autorestart=false
startsecs=0
redirect_stderr=true
"""
_PROGRAM = """\
[program:{name}]
command={command}
autostart=false
autorestart=true
redirect_stderr=true
"""


class Supervisord(Life):
    name = "supervisord"
    _commands: tuple[list[str], list[str]]  # daemon, client
    _environ: dict[str, str]

    @classmethod
    def prepare(cls) -> None:
        try:
            folder = fetch.debs("supervisor", ["supervisor"])
            python = ["/usr/bin/python3"]
            programs = folder / "usr/bin"
            cls._commands = [*python, f"{programs}/supervisord"], [*python, f"{programs}/supervisorctl"]
            cls._environ = {"PYTHONPATH": str(folder / "usr/lib/python3/dist-packages")}
            tools.wall(["env", f"PYTHONPATH={cls._environ['PYTHONPATH']}", *cls._commands[0], "--version"])
        except (Unable, tools.Broken) as why:
            tools.say(f"Debian's supervisor: {why}; trying PyPI's")
            folder = fetch.pip("supervisor-pip", "supervisor==4.3.0")
            cls._commands = [str(folder / "bin/supervisord")], [str(folder / "bin/supervisorctl")]
            cls._environ = {}

    def begin(self) -> None:
        conf = self.folder / "supervisord.conf"
        sections = [_CONFIGURATION.format(folder=self.folder, writer=shlex.join(self.writer_command()))]
        for name in self.names:
            sections.append(_PROGRAM.format(name=name, command=shlex.join(self.agent_command(name))))
        sections.append(f"[group:all]\nprograms={','.join(self.names)}\n")
        conf.write_text("\n".join(sections))
        self.daemon = self.run([*self._commands[0], "-c", str(conf)], **self._environ)
        self.until_there(self.folder / "supervisor.sock")

    def _ctl(self, *words: str) -> list[str]:
        return [*self._commands[1], "-c", str(self.folder / "supervisord.conf"), *words]

    def start_all(self) -> subprocess.Popen[bytes]:
        return self.run(self._ctl("start", "all:*"), **self._environ)

    def stop_all(self) -> subprocess.Popen[bytes]:
        return self.run(self._ctl("stop", "all:*"), **self._environ)

    def start_writer(self) -> None:
        self.run(self._ctl("start", "writer"), **self._environ).wait()

    def status_command(self, name: str) -> list[str]:
        prefix = ["env", *(f"{key}={value}" for key, value in self._environ.items())]
        return [*prefix, *self._ctl("status", f"all:{name}")]
