"""A real maestrod in a folder of its own, for tests with real processes. Leaves nothing behind."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from maestro.control.client import Client
from maestro.control.trouble import CallError
from maestro.drivers import cgroups
from maestro.keeper import reexec

REPOSITORY = Path(__file__).resolve().parents[2]
_PATIENCE = float(
    os.environ.get("MAESTRO_TEST_PATIENCE") or 1
)  # more where a fork takes 10 ms, as in a virtual machine


def patient(seconds: float) -> float:
    """How long a test waits here for what takes that long at most on an ordinary machine."""
    return seconds * _PATIENCE


def until(question: Callable[[], Any], within: float = 20.0, what: str = "") -> Any:
    """Ask until the answer is yes, or fail the test. Between two questions the processor is given away, no longer than 10 ms."""
    within = patient(within)
    deadline = time.monotonic() + within
    while not (answer := question()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within} s: {what or question}")
        select.select([], [], [], 0.01)
    return answer


def pause(seconds: float) -> None:
    """Let time pass, to strike at a random moment. Nothing is waited for: for that there is `until`."""
    select.select([], [], [], seconds)


class Hammer:
    """What clients met that asked without a pause."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.waits: list[float] = []
        self.errors: list[BaseException] = []


class Daemon:
    """maestrod with `--root` in a folder. `units` are written as plain data."""

    def __init__(self, root: Path, environ: dict[str, str] | None = None) -> None:
        self.root = root
        self.units = root / "etc/maestro/units"
        self.units.mkdir(parents=True, mode=0o755)
        self.output = root / "maestrod.out"
        self.process: subprocess.Popen[bytes] | None = None
        self.first_pause = 0.02  # before a manager that died is replaced; 0.2 s outside of tests
        self.heartbeat = reexec.HEARTBEAT  # seconds between the keeper's pings
        self.prefix: tuple[str, ...] = ()  # a command that executes the keeper: `prlimit …`, `unshare …`
        self._environ = environ or {}

    # ------------------------------------------------------------------------------ units

    def unit(self, name: str, **sections: Any) -> Path:
        """Write a unit file: `daemon.unit("web", agent={"exec": [...]})`, or `name="x.target"`."""
        file = name if name.endswith((".target", ".slice")) else f"{name}.agent"
        path = self.units / f"{file}.yaml"
        path.write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
        path.chmod(0o644)
        return path

    # ------------------------------------------------------------------------------ life

    def start(self) -> Daemon:
        """Start the keeper as `maestrod --root` would, and wait for the manager."""
        run = self.root / "run/maestro"
        run.mkdir(parents=True, exist_ok=True)
        manager = [sys.executable, "-m", "maestro.wiring"]
        source = f"{REPOSITORY}/daemon"
        times = self.first_pause, self.heartbeat
        setting = reexec.Setting(sys.executable, source, str(run), manager, *times)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*self.prefix, *reexec.command(setting)],
                env={
                    **os.environ,
                    **self._environ,
                    "MAESTRO_ROOT": str(self.root),
                    "PYTHONPATH": f"{source}:{REPOSITORY}/plugins",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        until(self._answers, what="the daemon answers")  # a busy machine takes longer than a client's grace
        return self

    def _answers(self) -> bool:
        try:
            self.call("hello")
        except CallError as trouble:
            if trouble.code != "no-daemon":
                raise
            if self.process is None or self.process.poll() is not None:
                raise AssertionError(f"the daemon has ended: {self.said()[-600:]}") from trouble
            return False
        return True

    @property
    def keeper(self) -> int:
        assert self.process is not None
        return self.process.pid

    def manager(self) -> int | None:
        """The manager's pid: the keeper's child of that name."""
        for pid in children(self.keeper):
            if cmdline(pid).startswith("maestrod: manager"):
                return pid
        return None

    def mains(self) -> list[int]:
        """The keeper's children that are no part of maestrod: main processes, and orphans."""
        return [pid for pid in children(self.keeper) if not cmdline(pid).startswith("maestrod: ")]

    def kill_manager(self) -> int:
        """SIGKILL to the manager; returns the pid it had."""
        pid: int = until(self.manager, what="a manager")
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_keeper(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(patient(20))

    def stop(self, within: float = 60.0) -> int:
        """SIGTERM, and wait: every agent is stopped in order."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(patient(within))

    def clean(self) -> None:
        """End whatever is left, by pid: the daemon, and every agent it ever told us of."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patient(20))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(patient(20))
        until(self._sweep, what="the last process of this root is gone")
        cgroups.sweep(cgroups.this_host(0), str(self.root))

    def _sweep(self) -> bool:
        """Kill what is left; true when that was nothing."""
        left = {*self.agents_of_this_root(), *self.named_after_this_root()}
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    def named_after_this_root(self) -> list[int]:
        """Processes with the path of this root in their command line: also those that have emptied their environment."""
        mark = str(self.root)
        pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in pids if pid != os.getpid() and mark in cmdline(pid)]

    def agents_of_this_root(self) -> list[int]:
        """Processes that carry this daemon's control socket in their environment: its agents, and nobody else's."""
        mark = f"MAESTRO_CONTROL={self.root}/run/maestro/control.sock".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError):
                    if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
        return found

    def reboot(self) -> None:
        """While the daemon is stopped: let its store believe that the host was started anew."""
        with contextlib.closing(sqlite3.connect(self.root / "var/lib/maestro/state.db")) as store:
            store.execute("UPDATE fact SET value = 'another' WHERE name = 'boot'")
            store.commit()

    # ------------------------------------------------------------------------------ talking

    @property
    def client(self) -> Client:
        return Client(str(self.root / "run/maestro/control.sock"))

    def call(self, do: str, **fields: Any) -> dict[str, Any]:
        deadline = time.monotonic() + patient(20)
        while not (self.root / "run/maestro/control.sock").exists():
            if time.monotonic() > deadline or (self.process and self.process.poll() is not None):
                pytest.fail(f"maestrod did not come up:\n{self.output.read_text()}")
            select.select([], [], [], 0.01)
        with contextlib.closing(self.client) as client:
            answer: dict[str, Any] = client.call(do, fields)
            return answer

    def ctl(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """maestroctl, as a user would run it."""
        return subprocess.run(
            [sys.executable, "-m", "maestro.cli", "--root", str(self.root), *arguments],
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}/daemon:{REPOSITORY}/plugins", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=patient(60),
            check=check,
        )

    def status(self, name: str) -> dict[str, Any]:
        unit: dict[str, Any] = self.call("status", units=[name])["units"][0]
        return unit

    def wait_state(self, name: str, *states: str, within: float = 20.0) -> dict[str, Any]:
        """The status of a unit once its coarse (or fine) state is one of these."""

        def there() -> dict[str, Any] | None:
            unit = self.status(name)
            return unit if unit["state"] in states or unit["fine"] in states else None

        try:
            return until(there, within)  # type: ignore[no-any-return]
        except pytest.fail.Exception:
            pytest.fail(
                f"{name} is not {states} within {patient(within)} s:\n{json.dumps(self.status(name), indent=1)}\n{self.said()}"
            )

    def log(self, name: str) -> bytes:
        """All that was ever written to a unit's log and is still kept."""
        folder = self.root / "var/log/maestro" / name
        return b"".join(path.read_bytes() for path in sorted(folder.glob("*.log")))

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """All events after that number which are committed now."""
        with contextlib.closing(self.client) as client:
            return list(client.stream("events", {"cursor": after, "follow": False}))

    def invocation(self, agent: str) -> str:
        """The INVOCATION_ID of an agent id."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return hashlib.sha256(f"{boot}:{self.root}/var/lib/maestro\n{agent}".encode()).hexdigest()[:32]

    def new_manager(self, dead: int, within: float = 20.0) -> int:
        """Wait for the manager that follows the dead one; its pid."""
        return until(  # type: ignore[no-any-return]
            lambda: (pid := self.manager()) not in (None, dead) and pid, within, "the next manager"
        )

    @contextlib.contextmanager
    def in_background(self, *requests: tuple[str, dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        """Ask for these meanwhile, one after the other on one connection; the answers are there afterwards."""
        answers: list[dict[str, Any]] = []
        errors: list[BaseException] = []

        def ask() -> None:
            try:
                with contextlib.closing(self.client) as client:
                    client.call("hello")
                    answers.extend(client.call(do, fields) for do, fields in requests)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        yield answers
        thread.join(patient(60))
        assert not thread.is_alive(), "no answer in time"
        if errors:
            raise errors[0]

    @contextlib.contextmanager
    def hammered(self, clients: int, do: str = "status", **fields: Any) -> Iterator[Hammer]:
        """That many clients ask meanwhile, without a pause; the first error of one is raised at the end."""
        hammer = Hammer()

        def ask() -> None:
            try:
                with contextlib.closing(self.client) as client:
                    while not hammer.over.is_set():
                        began = time.monotonic()
                        client.call(do, fields)
                        hammer.waits.append(time.monotonic() - began)
            except BaseException as error:
                hammer.errors.append(error)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield hammer
        finally:
            hammer.over.set()
            for thread in threads:
                thread.join(patient(60))
        assert not any(thread.is_alive() for thread in threads), "a client still waits"
        if hammer.errors:
            raise AssertionError(
                f"{len(hammer.errors)} of {clients} clients saw an error"
            ) from hammer.errors[0]

    def said(self) -> str:
        return self.output.read_text(errors="replace")[-8000:]


def descriptors(pid: int) -> Iterator[str]:
    """What those of a process are links to; some of them go while we look."""
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(one)


def children(pid: int) -> list[int]:
    try:
        lists = [task / "children" for task in Path(f"/proc/{pid}/task").iterdir()]
        return [int(child) for one in lists for child in one.read_text().split()]
    except OSError:
        return []


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@contextlib.contextmanager
def daemon_in(root: Path, **environ: str) -> Iterator[Daemon]:
    daemon = Daemon(root, environ)
    adopt_orphans(True)  # those of a keeper that is killed come to us, and are buried by us
    try:
        yield daemon
    finally:
        daemon.clean()
        bury(besides=daemon.process)
        adopt_orphans(False)


def adopt_orphans(wanted: bool) -> None:
    """PR_SET_CHILD_SUBREAPER for the process of the tests: not every pid 1 of a container reaps."""
    ctypes.CDLL(None).prctl(36, int(wanted), 0, 0, 0)


def bury(besides: subprocess.Popen[bytes] | None) -> None:
    for pid in children(os.getpid()):
        if not is_alive(pid) and not (besides and besides.pid == pid):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
