"""`maestrod`: reads its command line in a full interpreter, then becomes the keeper in a bare one."""

from __future__ import annotations

import os
import sys

from maestro import __version__
from maestro.keeper import reexec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = """\
usage: maestrod [--root DIR] [--environment NAME] [-- ARGUMENT...]

Supervises the AI agents of this host. Stays in the foreground; speaks through maestroctl.

  --root DIR    keep everything below DIR: DIR/etc/maestro, DIR/run/maestro, DIR/var/lib/maestro and
                DIR/var/log/maestro (also: MAESTRO_ROOT)
  --environment NAME
                lay the files of environments/NAME over the units (also: MAESTRO_ENVIRONMENT)
  --version     show the version
  --help        show this
  -- ARGUMENT   given to the manager as it is

SIGTERM and SIGINT end it, SIGHUP has it read the units again, SIGUSR2 renews it in place.
"""


_LONGEST_PLACE = 107 - len("/control.sock.new")  # bytes; a Unix socket's path may have 107


class BadUsage(Exception):
    """The command line, in words."""


def main() -> int:
    try:
        options, rest = parse(sys.argv[1:])
    except BadUsage as error:
        print(f"maestrod: {error}; see maestrod --help", file=sys.stderr)
        return 2
    if "--help" in options:
        print(USAGE, end="")
        return 0
    if "--version" in options:
        print(f"maestrod {__version__}")
        return 0
    if "--environment" in options:
        os.environ["MAESTRO_ENVIRONMENT"] = options["--environment"]
    return _become_keeper(options.get("--root") or os.environ.get("MAESTRO_ROOT") or "", rest)


_NEEDS = {"--root": "a directory", "--environment": "a name"}


def parse(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options by name, and what is for the manager. After --version or --help nothing is looked at."""
    options: dict[str, str] = {}
    todo = list(arguments)
    while todo:
        word = todo.pop(0)
        if word in ("--version", "--help", "-h"):
            return {"--help" if word == "-h" else word: ""}, []
        if word == "--":
            return options, todo
        name, equals, value = word.partition("=")
        if name not in _NEEDS:
            raise BadUsage(f"no such argument: {word}")
        value = value if equals else (todo.pop(0) if todo else "")
        if not value:
            raise BadUsage(f"{name} needs {_NEEDS[name]}")
        if name == "--environment" and ("/" in value or value.startswith(".")):
            raise BadUsage(f"no environment can be called {value}")
        options[name] = value
    return options, []


def run_directory(root: str, environ: Mapping[str, str], uid: int) -> str:
    if root:
        return os.path.join(root, "run/maestro")
    if uid == 0:
        return "/run/maestro"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return os.path.join(runtime, "maestro")
    return os.path.expanduser("~/.maestro/run/maestro")


def manager_environment(environ: Mapping[str, str], root: str, source: str) -> dict[str, str]:
    """The environment as it is, and for the manager the root, and where our packages are."""
    environment = dict(environ)
    if root:
        environment["MAESTRO_ROOT"] = root
    if os.path.basename(source) not in ("site-packages", "dist-packages"):  # a bare checkout
        plugins = os.path.join(os.path.dirname(source), "plugins")
        places = [source, *([plugins] if os.path.isdir(plugins) else []), environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    return environment


def _become_keeper(root: str, rest: list[str]) -> int:
    root = os.path.abspath(root) if root else ""
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    directory = run_directory(root, os.environ, os.getuid())
    if len(os.fsencode(directory)) > _LONGEST_PLACE:
        print(
            f"maestrod: cannot start: no socket fits into {directory}: choose a --root with a shorter path",
            file=sys.stderr,
        )
        return 1
    setting = reexec.Setting(
        sys.executable, source, directory, [sys.executable, "-m", "maestro.wiring", *rest]
    )
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        os.execve(
            setting.python, reexec.command(setting), manager_environment(os.environ, root, setting.source)
        )
    except OSError as error:
        print(f"maestrod: cannot start: {error.strerror}: {error.filename or directory}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
