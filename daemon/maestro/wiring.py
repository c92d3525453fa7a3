"""The composition root: the only module that names concrete drivers. Run by the keeper as `python -m maestro.wiring`."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping

import msgspec

from maestro import paths
from maestro.control.desk import Desk, Office
from maestro.control.server import ControlServer
from maestro.drivers import processes
from maestro.drivers.crashes import CrashFile
from maestro.drivers.keeper_link import EXIT_RESTART, LINK_VARIABLE, KeeperLink, set_title
from maestro.drivers.log_files import LogFiles
from maestro.drivers.notify_socket import NotifySocket, parse
from maestro.drivers.sqlite_store import SqliteStore
from maestro.drivers.unit_files import UnitDirectories
from maestro.engine.events import Asked, Looked
from maestro.engine.jobs import Job, JobState
from maestro.engine.state import Life
from maestro.engine.world import World
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.happened import Hub
from maestro.manager.loop import Manager
from maestro.manager.observer import Observer
from maestro.manager.plugins import Plugins
from maestro.manager.recipe import House
from maestro.manager.session import Closing, Session
from maestro.model.load import Settings
from maestro.model.specifiers import Specifiers
from maestro.paths import Paths
from maestro.ports import Saved, Table

_log = logging.getLogger("maestro")
_LIVED_LONG_ENOUGH = 60.0  # seconds after which earlier crashes no longer count
_BACKLOG = 4096  # clients that may wait while a manager starts


class HostClock:
    """The clocks of this host."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time_ns() / 1e9


def main() -> int:
    """The manager's life; returns its exit status."""
    set_title("maestrod: manager")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="maestrod: %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    if LINK_VARIABLE not in os.environ:
        sys.stderr.write("maestrod: this is the manager; it is started by the keeper: run maestrod\n")
        return 2
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C goes to the keeper, which tells us
    _raise_descriptor_limit()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_manage(os.environ))
    except Exception:
        _log.exception("the manager cannot go on; the keeper starts the next one")
        logging.shutdown()
        os._exit(70)  # at once: threads that still write must not hold the end up


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    if os.environ.get("MAESTRO_LOOP") == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _manage(environ: Mapping[str, str]) -> int:
    where = paths.find(None, environ, os.geteuid())
    link = KeeperLink(int(environ[LINK_VARIABLE]))
    session = await _assemble(where, link, environ)
    gc.freeze()  # what is loaded now stays: no collection has to look at it again
    return await session.run()


async def _assemble(where: Paths, link: KeeperLink, environ: Mapping[str, str]) -> Session:
    clock, loop = HostClock(), asyncio.get_running_loop()
    store = SqliteStore(where.store)
    trouble = await store.open()
    saved = await store.load()
    plugins = Plugins(where.state, blocked=tuple(filter(None, environ.get("MAESTRO_WITHOUT", "").split(","))))
    plugins.find()
    files = UnitDirectories(where.units, os.geteuid())
    catalogue = Catalogue(files, Settings(_specifiers(environ), plugins.sections))
    hub = Hub(store)
    manager = Manager(World(catalogue.resolve), store, clock, random.random, hub)
    logs = LogFiles(where.logs, loop, time.time_ns)
    house = House(
        notify=where.notify,
        control=where.control,
        identity=f"{_boot_id()}:{where.state}",
        environ=dict(environ),
        uid=os.geteuid(),
    )
    carrier = Carrier(manager, link, logs, house, catalogue)
    crashes = CrashFile(os.path.join(where.state, "crashes"))
    manager.employ(carrier.carry, functools.partial(_die, crashes))
    _restore(manager, catalogue, saved)
    table = await link.hello(carrier)
    observer = Observer(manager, logs, plugins)
    session = Session(manager, carrier, link, Closing(logs, plugins, store), EXIT_RESTART)
    session.on_reload = lambda: _log.info("units read again: %s", carrier.reread())
    session.open_trouble = trouble or ""
    loop.call_later(_LIVED_LONG_ENOUGH, crashes.forgive)
    office = Office(
        manager=manager,
        catalogue=catalogue,
        carrier=carrier,
        keeper=link,
        logs=logs,
        store=store,
        files=files,
        plugins=plugins,
        processes=processes.tree,
        hints=observer.hints,
        root=where.root,
        keeper_pid=os.getppid(),
        started=clock.wall(),
        end=session.end,
        notices=functools.partial(session.notices, catalogue),
    )
    _set_aside(manager, crashes)
    _take_up(manager, carrier, logs, table, saved, session)
    session.notify = NotifySocket(
        _held(table, link, "notify", where.notify, socket.SOCK_DGRAM),
        loop,
        lambda pid, data: carrier.notified(pid, parse(data)),
    )
    carrier.listen = session.notify.drain
    session.server = ControlServer(
        Desk(office), link.whose, _held(table, link, "control", where.control, socket.SOCK_STREAM)
    )
    return session


def _die(crashes: CrashFile, unit: str) -> None:
    """End at once: the world may be half-made, and the next manager starts from what was committed."""
    crashes.blame(unit)
    logging.shutdown()
    os._exit(70)


def _set_aside(manager: Manager, crashes: CrashFile) -> None:
    unit = crashes.repeated()
    if unit:
        _log.error("%s: set aside after two crashes of the manager over it", unit)
        manager.world.set_aside(
            unit, "set aside: Maestro crashed twice over it, a bug of ours; `maestroctl start` tries again"
        )
        crashes.forgive()


def _specifiers(environ: Mapping[str, str]) -> Specifiers:
    home = environ.get("HOME", "/")
    return Specifiers(
        host=socket.gethostname(), uid=os.geteuid(), user=environ.get("USER", str(os.geteuid())), home=home
    )


@functools.cache  # read before the keeper hands us descriptors, of which there may be too many
def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _restore(manager: Manager, catalogue: Catalogue, saved: Saved) -> None:
    """Go on from what was committed; after a boot only the numbers that must not be used twice."""
    manager.hub.resume(saved.last_event)
    lives = {name: msgspec.msgpack.decode(body, type=Life) for name, body in saved.lives.items()}
    jobs = [msgspec.msgpack.decode(body, type=Job) for body in saved.jobs.values()]
    if saved.facts.get("boot") != _boot_id():
        lives = {name: Life(spawns=life.spawns, agent=life.agent) for name, life in lives.items()}
        jobs = [job for job in jobs if job.state is not JobState.RUNNING]
    manager.restore(lives, jobs, int(saved.facts.get("last_job", "0")))
    catalogue.load(manager.world, saved.definitions)


def _take_up(
    manager: Manager, carrier: Carrier, logs: LogFiles, table: Table, saved: Saved, session: Session
) -> None:
    """Compare with the keeper's table and go on; on a first start begin the default target."""
    for name, fd in table.streams.items():
        logs.take(name, fd, carrier.limits(name))
    running, ended = {}, {}
    for entry in table.entries:
        if carrier.sweep_probe(entry.agent):
            continue
        if entry.ended is not None:
            ended[entry.agent] = entry.ended
            carrier.settle_past(entry.agent)
        else:
            running[entry.agent] = (entry.pid, entry.start)
    fresh_keeper = saved.facts.get("keeper") != table.keeper
    resumed = saved.facts.get("boot") == _boot_id() and saved.facts.get("session") == "open"
    manager.note_fact("keeper", table.keeper)
    manager.note_fact("boot", _boot_id())
    manager.note_fact("session", "open")
    manager.feed(Looked(running, ended, fresh_keeper))
    session.begin_with = None if resumed else Asked("start", ("default.target",))


def _held(table: Table, link: KeeperLink, name: str, path: str, kind: int) -> socket.socket:
    """A socket that the keeper holds for us; made and handed over the first time, or when its file has gone."""
    fd = table.held.get(name)
    if fd is not None and os.path.exists(path):
        return socket.socket(fileno=fd)
    if fd is not None:
        os.close(fd)
    sock = socket.socket(socket.AF_UNIX, kind)
    fresh = f"{path}.new"
    if os.path.lexists(fresh):
        os.unlink(fresh)
    sock.bind(fresh)
    os.chmod(fresh, 0o666)  # who may do what is decided by the caller's credentials, not by the file's mode
    if kind == socket.SOCK_STREAM:
        sock.listen(_BACKLOG)
    os.rename(fresh, path)
    link.hold(name, sock.fileno())
    return sock


if __name__ == "__main__":
    sys.exit(main())
