"""The composition root: the only module that names concrete drivers. Run by the keeper as `python -m maestro.wiring`."""

from __future__ import annotations

import asyncio
import faulthandler
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

from msgspec import Struct

from maestro import paths
from maestro.control import tenants
from maestro.control.clerk import Office
from maestro.control.desk import Desk
from maestro.control.server import ControlServer
from maestro.drivers import abilities, cgroups, host, pressure, processes, starts, usage, views
from maestro.drivers.crashes import CrashFile
from maestro.drivers.doors import Doors
from maestro.drivers.keeper_link import EXIT_RESTART, LINK_VARIABLE, KeeperLink, Unheard, set_title
from maestro.drivers.log_files import LogFiles
from maestro.drivers.notify_socket import Listener, NotifySocket, new_journal, parse
from maestro.drivers.private_files import PrivateFiles
from maestro.drivers.seccomp import Seccomp
from maestro.drivers.sqlite_store import SqliteStore, StoreLocked
from maestro.drivers.unit_files import UnitDirectories
from maestro.engine.state import Life, State
from maestro.engine.world import World
from maestro.keeper.programs import interpreter
from maestro.manager import directories, dynamic_users, resume
from maestro.manager.budgets import Meter
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.configuration import Configuration
from maestro.manager.emergency import Emergency
from maestro.manager.happened import Hub
from maestro.manager.headroom import Headroom
from maestro.manager.log_keeping import LogQuotas
from maestro.manager.loop import Manager
from maestro.manager.observer import Observer
from maestro.manager.plugins import Plugins
from maestro.manager.recipe import House
from maestro.manager.sampler import Sampler
from maestro.manager.sandbox import Premises, tiers
from maestro.manager.session import Closing, Session
from maestro.manager.starving import Starving
from maestro.manager.transients import Transients
from maestro.model.load import Settings
from maestro.model.sandbox import confines
from maestro.model.specifiers import Specifiers
from maestro.model.unit import Unit
from maestro.paths import Paths
from maestro.ports import Usage

_log = logging.getLogger("maestro")
_FILTERS = Seccomp()
_LIVED_LONG_ENOUGH = 60.0  # seconds after which earlier crashes no longer count


def _sample_interval(environ: Mapping[str, str]) -> float:
    """Seconds between two looks at what units use; 0: only when somebody asks."""
    try:
        return max(0.0, float(environ.get("MAESTRO_SAMPLE_INTERVAL", "1")))
    except ValueError:
        _log.warning("$MAESTRO_SAMPLE_INTERVAL is no number of seconds: 1 is taken")
        return 1.0


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
    faulthandler.enable()  # one that hangs is told SIGABRT by the keeper: it then says where
    os.umask(0o022)  # unit directories that others may write are refused: ours must not become so
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C goes to the keeper, which tells us
    _raise_descriptor_limit()
    host.keep_one_heap()
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


class Parts(Struct, frozen=True, kw_only=True):
    """One of each."""

    link: KeeperLink
    groups: cgroups.ControlGroups
    changes: cgroups.Changes
    store: SqliteStore
    plugins: Plugins
    files: UnitDirectories
    catalogue: Catalogue
    manager: Manager
    logs: LogFiles
    carrier: Carrier
    configuration: Configuration
    sampler: Sampler
    emergency: Emergency
    transients: Transients
    crashes: CrashFile
    meter: Meter
    headroom: Headroom
    trouble: str


async def _manage(environ: Mapping[str, str]) -> int:
    where = paths.find(None, environ, os.geteuid())
    gc.disable()  # while thousands of things are made that stay
    groups = cgroups.ControlGroups(
        cgroups.Layout(why=("turned off by $MAESTRO_CGROUPS",))
        if environ.get("MAESTRO_CGROUPS") == "none"
        else cgroups.detect(cgroups.this_host(os.getppid()), where.root or where.state)
    )
    link = KeeperLink(int(environ[LINK_VARIABLE]), groups.agent_of)
    try:
        parts = await _build(where, environ, link, groups)
    except StoreLocked as locked:
        return await _give_way(link, where, locked)
    session = await _begin(parts, where)
    gc.enable()
    gc.freeze()  # what is loaded now stays: no collection has to look at it again
    status = await session.run()
    if session.is_ending:  # else a next manager has begun perhaps, and makes groups that nobody is in yet
        groups.close()
    return status


async def _give_way(link: KeeperLink, where: Paths, locked: StoreLocked) -> int:
    """Somebody else has the store: end, and with us a keeper that has no agents yet, if it is another maestrod that has some."""
    other = processes.keeper_of(locked.holder)
    table = await link.hello(Unheard())
    if not other:
        _log.error("%s: trying again", locked)
    elif table.entries:
        _log.error("another maestrod uses %s (pid %d): end one of the two; agents run on", where.state, other)
    else:
        _log.error(
            "another maestrod uses %s (pid %d): this one ends, and leaves it alone", where.state, other
        )
        link.retire()
    link.close()
    return 1


async def _build(
    where: Paths, environ: Mapping[str, str], link: KeeperLink, groups: cgroups.ControlGroups
) -> Parts:
    clock, boot = HostClock(), host.boot_id()
    store = SqliteStore(where.store)
    trouble = await store.open()
    plugins = Plugins(where.state, blocked=tuple(filter(None, environ.get("MAESTRO_WITHOUT", "").split(","))))
    plugins.find()
    files = UnitDirectories(where.units, os.geteuid(), where.environment)
    places = host.specifiers(environ, where.root, where.run)
    catalogue = Catalogue(files, Settings(places, plugins.sections))
    manager = Manager(World(catalogue.resolve, catalogue.masked_by), store, clock, random.random, Hub(store))
    groups.unit_of = manager.world.units.get
    logs = LogFiles(where.logs, asyncio.get_running_loop(), time.time_ns)
    house = _house(where, environ, places, f"{boot}:{where.state}", groups)
    house.users.is_wanted = lambda user: directories.is_wanted(user, manager.world.units.values())
    house.users.range_of = lambda unit: dynamic_users.range_of(unit, manager.world.units)
    carrier = Carrier(manager, link, logs, house, catalogue)
    carrier.vault.renew = views.renew
    changes = cgroups.Changes(asyncio.get_running_loop())
    brake = cgroups.Brake(groups.layout, changes)
    brake.say_where(where.group)
    crashes = CrashFile(os.path.join(where.state, "crashes"))
    manager.employ(carrier.carry, functools.partial(_die, crashes))
    return Parts(
        link=link,
        groups=groups,
        changes=changes,
        store=store,
        plugins=plugins,
        files=files,
        catalogue=catalogue,
        manager=manager,
        logs=logs,
        carrier=carrier,
        configuration=Configuration(manager, catalogue, store, carrier.reread),
        sampler=Sampler(manager.world, cgroups.Gauges(groups), clock.now, _sample_interval(environ)),
        emergency=Emergency(manager, carrier, link, brake, where.held),
        transients=Transients(manager, catalogue),
        crashes=crashes,
        meter=Meter(manager, functools.partial(_usage, groups, manager.world)),
        headroom=Headroom(
            manager, pressure.MemoryPressure(asyncio.get_running_loop()), cgroups.Fillings(groups)
        ),
        trouble=trouble or "",
    )


def _house(
    where: Paths, environ: Mapping[str, str], places: Specifiers, identity: str, groups: cgroups.ControlGroups
) -> House:
    return House(
        notify=where.notify,
        control=where.control,
        identity=identity,
        environ=dict(environ),
        uid=os.geteuid(),
        groups=groups,
        places=places,
        credstore=where.credstore,
        may_mount=views.may_mount(),
        in_memory=views.is_in_memory(where.run),
        premises=_premises(where),
        abilities=abilities.probe,
        filters=_FILTERS,
        interpreter=interpreter,
    )


def _premises(where: Paths) -> Premises:
    return Premises(
        uid=os.geteuid(),
        gid=os.getegid(),
        root=where.root,
        run=where.run,
        hidden=(where.state, where.logs, *where.units[:1]),
        common=os.path.join(where.state, "private"),
    )


async def _begin(parts: Parts, where: Paths) -> Session:
    """Go on from store and keeper, and open the doors."""
    manager, carrier, link, boot = parts.manager, parts.carrier, parts.link, host.boot_id()
    saved = await parts.store.load()
    resume.restore(manager, parts.catalogue, saved, boot)
    parts.transients.discard_log = parts.logs.discard
    await parts.configuration.take_up(saved.generation)
    carrier.take_up_users(saved.facts.get(dynamic_users.FACT, ""))
    over = parts.transients.take_up(saved.facts.get("gone", ""))
    table = await link.hello(carrier)
    observer = Observer(manager, parts.logs, parts.plugins)
    session = _session(parts)
    loop = asyncio.get_running_loop()
    loop.call_later(_LIVED_LONG_ENOUGH, parts.crashes.forgive)
    doors = Doors(table.held, link.hold)
    session.notify = notify = NotifySocket(
        doors.open("notify", where.notify, socket.SOCK_DGRAM),
        doors.keep("notify-journal", new_journal),  # what agents have said and is not in the store yet
        loop,
        Listener(
            whose=link.whose,
            news=lambda pid, agent, data: carrier.notified(pid, agent, parse(data)),
            store=lambda pid, agent, data, fds: carrier.stored(pid, agent, parse(data), fds),
            committed=manager.settle,
            owes=carrier.owes,
        ),
    )
    carrier.listen = notify.drain
    notify.replay()
    notify.drain()  # what agents said while nobody listened: that another goes on for them, say
    resume.set_aside(manager, parts.crashes.take_repeated())
    private = PrivateFiles(_premises(where).common)
    carrier.on_rest = private.discard
    _watch(parts)
    seen = resume.take_up(manager, carrier, table)
    session.begin_with = resume.begin(manager, carrier, seen, table, saved, boot)
    parts.emergency.resume()
    carrier.clear_remains()
    parts.transients.forget(over)
    private.sweep(lambda name: manager.world.life(name).state not in (State.DEAD, State.FAILED))
    if resume.was_ending(saved, table):
        session.end("shutdown", "a request that an earlier manager had taken")
    control = doors.open("control", where.control, socket.SOCK_STREAM)
    session.server = server = _server(parts, Desk(_office(parts, where, session, observer)), control)
    doors.watch("notify", where.notify, socket.SOCK_DGRAM, notify.move)
    doors.watch("control", where.control, socket.SOCK_STREAM, server.move)
    link.on_ping = lambda: doors.see_to() if session.notify else None  # not when we listen no more
    return session


def _session(parts: Parts) -> Session:
    closing = Closing(parts.logs, parts.plugins, parts.store)
    session = Session(parts.manager, parts.carrier, parts.link, closing, EXIT_RESTART)
    session.on_reload = functools.partial(parts.configuration.reread, "maestrod", "SIGHUP")
    session.open_trouble = parts.trouble
    session.held_notice, session.on_stop_all = parts.emergency.notice, parts.emergency.end
    return session


def _server(parts: Parts, desk: Desk, control: socket.socket) -> ControlServer:
    owned = functools.partial(tenants.owned, parts.manager.world.units)
    return ControlServer(desk, parts.link.whose, control, owned=owned)


def _watch(parts: Parts) -> None:
    """Look after what runs already, and what will."""
    alarm = cgroups.MemoryAlarm(parts.groups, parts.changes, asyncio.get_running_loop())
    starving = Starving(parts.manager.world, parts.groups, alarm, parts.manager.feed)
    parts.carrier.watchers.append(starving)
    starving.resume()
    LogQuotas(parts.manager, parts.logs, parts.transients).wind()
    parts.carrier.watchers.append(parts.sampler)
    parts.sampler.resume()
    parts.headroom.begin()


def _office(parts: Parts, where: Paths, session: Session, observer: Observer) -> Office:
    return Office(
        manager=parts.manager,
        catalogue=parts.catalogue,
        carrier=parts.carrier,
        logs=parts.logs,
        store=parts.store,
        configuration=parts.configuration,
        files=parts.files,
        plugins=parts.plugins,
        transients=parts.transients,
        groups=parts.groups,
        processes=processes.tree,
        sampler=parts.sampler,
        emergency=parts.emergency,
        hints=observer.hints,
        root=where.root,
        keeper_pid=os.getppid(),
        started=parts.manager.clock.wall(),
        is_ending=lambda: session.is_ending,
        end=session.end,
        notices=functools.partial(session.notices, parts.catalogue),
        examine=lambda: (*cgroups.findings(parts.groups.layout), *pressure.findings(), *starts.findings()),
        tiers=functools.partial(_tiers, parts.groups),
    )


def _usage(groups: cgroups.ControlGroups, world: World, name: str, life: Life) -> Usage | None:
    """What a unit's agent has used: its group, where there is one, or else its main process."""
    main = usage.of_process(life.pid) if life.pid and life.ended is None else None
    cpu = groups.cpu_of(world.units[name], life.agent) if name in world.units else None
    if cpu is None:
        return main
    return Usage(cpu=cpu, written=main.written if main is not None else None)


def _tiers(groups: cgroups.ControlGroups, unit: Unit) -> tuple[str, ...]:
    """What confines a unit on this host, strongest first; and what it asks for in vain."""
    found = tiers(unit, abilities.probe(), _FILTERS) if confines(unit.sandbox) else ()
    unmet = groups.unmet(unit) if unit.agent is not None else ()
    return (*found, f"without {', '.join(unmet)}") if unmet else found


def _die(crashes: CrashFile, unit: str) -> None:
    """End at once: the world may be half-made, and the next manager starts from what was committed."""
    crashes.blame(unit)
    logging.shutdown()
    os._exit(70)


if __name__ == "__main__":
    sys.exit(main())
