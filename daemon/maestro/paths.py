"""Where things are. The same rules for daemon and client; reads nothing but what it is given."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import abspath, expanduser, join


class Paths:
    """Directories and sockets of one installation."""

    __slots__ = (
        "control",
        "credstore",
        "environment",
        "group",
        "held",
        "logs",
        "notify",
        "root",
        "run",
        "state",
        "store",
        "units",
    )

    def __init__(self, root: str, config: str, run: str, state: str, logs: str, vendor: str) -> None:
        self.root = root
        self.environment = ""  # whose files are laid over units
        self.run = run
        self.state = state
        self.logs = logs
        self.control = join(run, "control.sock")
        self.notify = join(run, "notify.sock")
        self.group = join(run, "cgroup")  # says in which control group all agents are
        self.held = join(run, "held")  # is there while every agent is held, where no group says so
        self.store = join(state, "state.db")
        self.credstore = join(config, "credentials")
        self.units = (join(config, "units"), join(run, "units"), vendor)


def find(root: str | None, environ: Mapping[str, str], uid: int) -> Paths:
    """Where everything is, and for which environment."""
    paths = _places(root, environ, uid)
    paths.environment = environ.get("MAESTRO_ENVIRONMENT", "")
    return paths


def _places(root: str | None, environ: Mapping[str, str], uid: int) -> Paths:
    """The paths for `--root DIR`, else `$MAESTRO_ROOT`, else the host's own (root), else the user's XDG directories."""
    root = root or environ.get("MAESTRO_ROOT") or None
    vendor = environ.get("MAESTRO_VENDOR_UNITS")
    if root is None and uid == 0:
        root = "/"
    if root is not None:
        root = abspath(root)
        return Paths(
            root,
            config=join(root, "etc/maestro"),
            run=join(root, "run/maestro"),
            state=join(root, "var/lib/maestro"),
            logs=join(root, "var/log/maestro"),
            vendor=vendor or join(root, "usr/lib/maestro/units"),
        )
    home = environ.get("HOME") or expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or join(home, ".config")
    state = environ.get("XDG_STATE_HOME") or join(home, ".local/state")
    run = environ.get("XDG_RUNTIME_DIR") or join(home, ".maestro/run")
    data = environ.get("XDG_DATA_HOME") or join(home, ".local/share")
    return Paths(
        "",
        config=join(config, "maestro"),
        run=join(run, "maestro"),
        state=join(state, "maestro"),
        logs=join(state, "maestro/log"),
        vendor=vendor or join(data, "maestro/units"),
    )
