"""Answers requests: the `Service` behind the control server, on top of the manager."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from maestro import __version__
from maestro.control import lines, views
from maestro.control import protocol as p
from maestro.control.finder import Finder
from maestro.control.linker import THEN, Linked, Linker
from maestro.control.roles import Caller, Role
from maestro.control.service import refused
from maestro.engine.events import Asked, Happening, Send
from maestro.engine.jobs import Job, JobState
from maestro.engine.state import Life, State
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.loop import Manager
from maestro.manager.plugins import Plugins
from maestro.model.status import signal_name, signal_number
from maestro.model.unit import Unit
from maestro.ports import Logs, Store, UnitFiles

PROGRESS = 1.0  # seconds between two words on what a verb waits for


class Office(Struct, frozen=True, kw_only=True):
    """All that answering needs."""

    manager: Manager
    catalogue: Catalogue
    carrier: Carrier
    logs: Logs
    store: Store
    files: UnitFiles
    plugins: Plugins
    processes: Callable[[int], list[tuple[int, int, str]]]
    hints: dict[str, str]  # unit -> what a plugin found out about its last end
    root: str
    keeper_pid: int
    started: float
    is_ending: Callable[[], bool]
    end: Callable[[str, str], None]  # "shutdown", "leave" (agents run on), "reexec"; and who asked for it
    notices: Callable[[], list[str]]


class Desk:
    """One method per request; see `control.service.Service`."""

    def __init__(self, office: Office) -> None:
        self._o = office
        self._world = office.manager.world
        self._find = Finder(self._world, office.catalogue)
        self._linker = Linker(office.files, office.catalogue, self._world, self._find)

    # ------------------------------------------------------------------------------ who

    async def hello(self, caller: Caller, request: p.Hello) -> p.HelloView:
        return p.HelloView(
            version=__version__,
            protocol=p.VERSION,
            role=caller.role.name.lower(),
            root=self._o.root,
            pid=self._o.keeper_pid,
            started=self._o.started,
            notices=tuple(self._o.notices()) if caller.role >= Role.READ else (),
        )

    # ------------------------------------------------------------------------------ verbs

    async def verb(self, caller: Caller, request: p.Verb) -> AsyncIterator[p.VerbView]:
        verb = type(request).__name__.lower()
        if verb != "stop" and self._o.is_ending():
            raise refused("ending", f"cannot {verb} anything now: maestrod is ending", "start it again first")
        names, errors = self._find.in_force(request.units)
        before = self._recall(caller)
        if before is None:
            jobs = self._ask(caller, verb, names, errors)
            self._audit(caller, f"{verb} {' '.join(names)}", _result(jobs, errors))
            self._remember(caller, errors)
        else:
            jobs, errors = self._o.manager.asked_before(_id(caller)), before
        async for view in self._await(jobs, errors, request.wait):
            yield view

    def _ask(
        self, caller: Caller, verb: str, names: Sequence[str], errors: dict[str, p.ErrorView]
    ) -> list[Job]:
        """Put a verb to the engine. Returns its jobs, and adds what was refused to the errors."""
        step = self._o.manager.feed(Asked(verb, tuple(names), _id(caller)))
        errors |= {name: views.error_view(refusal) for name, refusal in step.refusals.items()}
        made = [job for job in step.jobs if job.unit in names and job.verb in (verb, "restart")]
        return [job for job in made if job.state is not JobState.CANCELED]

    def _recall(self, caller: Caller) -> dict[str, p.ErrorView] | None:
        """What was refused of a request that was carried out before: it is not carried out again."""
        answer = self._o.manager.answered.recall(_id(caller))
        return None if answer is None else msgspec.json.decode(answer, type=dict[str, p.ErrorView])

    def _remember(self, caller: Caller, errors: dict[str, p.ErrorView]) -> None:
        """To be called before anything is awaited: it must be committed with what was asked, or not at all."""
        self._o.manager.answered.remember(_id(caller), msgspec.json.encode(errors).decode())

    async def _await(
        self, jobs: list[Job], errors: dict[str, p.ErrorView], wait: bool, changes: tuple[str, ...] = ()
    ) -> AsyncIterator[p.VerbView]:
        """The jobs as they are, then word on what they wait for, then how they ended."""
        if not wait or not jobs:
            await self._o.manager.settle()
            yield p.VerbView(jobs=tuple(map(views.job_view, jobs)), errors=errors, changes=changes)
            return
        ends = {job.id: self._o.manager.when_done(job) for job in jobs}
        pending = {end for end in ends.values() if not end.done()}
        while pending:
            yield p.VerbView(jobs=self._progress(jobs, ends), errors=errors, changes=changes)
            _, pending = await asyncio.wait(pending, timeout=PROGRESS)
        yield p.VerbView(jobs=self._progress(jobs, ends), errors=errors, changes=changes)

    def _progress(self, jobs: list[Job], ends: dict[int, asyncio.Future[Job]]) -> tuple[p.JobView, ...]:
        return tuple(
            views.job_view(ends[job.id].result())
            if ends[job.id].done()
            else views.job_view(job, self._world.life(job.unit).cause)
            for job in jobs
        )

    async def kill(self, caller: Caller, request: p.Kill) -> p.VerbView:
        number = signal_number(request.signal)
        if number is None:
            raise refused(
                "bad-request", f"there is no signal {request.signal}", "for example TERM, HUP, USR1 or KILL"
            )
        before = self._recall(caller)
        if before is not None:
            await self._o.manager.settle()
            return p.VerbView(errors=before)
        names, errors = self._find.match(request.units)
        for name in names:
            life = self._world.life(name)
            if not life.alive:
                errors[name] = p.ErrorView(
                    code="not-running", message=f"cannot kill {name}: it is {life.coarse}"
                )
                continue
            self._o.manager.do(Send(life.agent, signal_name(number), request.whole))
            text = f"SIG{signal_name(number)} sent by {_who(caller)}"
            self._o.manager.tell(
                Happening(unit=name, kind="kill", words=text, state=str(life.coarse), agent=life.agent)
            )
        self._audit(caller, f"kill -s {request.signal} {' '.join(names)}", _result([], errors))
        self._remember(caller, errors)
        await self._o.manager.settle()
        return p.VerbView(errors=errors)

    async def link(self, caller: Caller, request: p.Linking) -> AsyncIterator[p.VerbView]:
        with _told():
            linked = self._linker.carry_out(request)
        async for view in self._after_links(caller, request, linked):
            yield view

    async def is_enabled(self, caller: Caller, request: p.IsEnabled) -> tuple[p.EnablementView, ...]:
        return tuple(self._linker.enablement(name) for name in request.units)

    async def _after_links(
        self, caller: Caller, request: p.Linking, linked: Linked
    ) -> AsyncIterator[p.VerbView]:
        verb, errors = type(request).__name__.lower(), linked.errors
        self._o.carrier.reread()
        jobs: list[Job] = []
        before = self._recall(caller)
        if before is not None:  # links may be made twice, and the words on them are for the first time only
            jobs, errors = self._o.manager.asked_before(_id(caller)), before
        else:
            then = THEN.get(type(request), "") if getattr(request, "now", False) else ""
            if then and (concerned := self._linker.concerned(linked, then)):
                jobs = self._ask(caller, then, concerned, errors)
            self._audit(caller, f"{verb} {' '.join(linked.names)}", _result(jobs, errors))
            self._remember(caller, errors)
        async for view in self._await(jobs, errors, True, tuple(linked.changes)):
            yield view

    # ------------------------------------------------------------------------------ what is

    async def status(self, caller: Caller, request: p.Status) -> p.StatusView:
        if request.units:
            names, errors = self._find.match(request.units)
        else:
            names, errors = self._find.everything(), {}
        detailed = request.detail and bool(request.units)
        found = tuple(self._unit(name, request.lines if detailed else 0, detailed) for name in names)
        own = bool(caller.agent)
        return p.StatusView(
            units=found,
            errors=errors,
            notices=() if own else tuple(self._o.notices()),
            now=self._o.manager.clock.wall(),
        )

    def _unit(self, name: str, lines: int, detailed: bool) -> p.UnitView:
        manager, life = self._o.manager, self._world.life(name)
        unit, loaded = self._world.units.get(name), self._o.catalogue.loaded(name)
        view = views.unit_view(name, unit, life, loaded, manager.clock.now(), manager.clock.wall())
        changes: dict[str, Any] = {
            "enabled": self._o.catalogue.is_enabled(name),
            "cause": self._cause(unit, life),
            "hint": self._o.hints.get(name, "") if view.result != "success" else "",
        }
        if detailed and view.kind == "agent":
            mark = self._o.logs.mark(name)
            changes |= {
                "changed": self._o.catalogue.is_changed(name),
                "dropped_lines": mark.dropped_lines,
                "log_trouble": mark.unwritable,
                "log_size": mark.size,
                "processes": views.process_views(self._o.processes(life.pid))
                if life.alive and life.pid
                else (),
                "log": tuple(views.line_view(name, line) for line in self._o.logs.tail(name, lines))
                if lines
                else (),
            }
        return replace(view, **changes)

    def _cause(self, unit: Unit | None, life: Life) -> str:
        """Why it is as it is; and of one at rest, what it lacks to be started."""
        at_rest = life.state in (State.DEAD, State.FAILED)
        lack = self._o.catalogue.lack(unit) if unit is not None and at_rest else ""
        return "; ".join(filter(None, (life.cause, lack)))

    async def show(self, caller: Caller, request: p.Show) -> tuple[p.ShowView, ...]:
        return tuple(
            views.show_view(name, self._world.units.get(name), self._o.catalogue.loaded(name))
            for name in self._find.all(request.units)
        )

    async def cat(self, caller: Caller, request: p.Cat) -> tuple[p.CatView, ...]:
        found = []
        for name in self._find.all(request.units):
            pieces = self._o.catalogue.pieces(name)
            texts = tuple((piece.path, piece.text.decode("utf-8", "replace")) for piece in pieces)
            found.append(p.CatView(name=name, pieces=texts))
        return tuple(found)

    async def logs(self, caller: Caller, request: p.Logs) -> AsyncIterator[p.LineView]:
        names = [name for name in self._find.all(request.units) if not name.endswith(".target")]
        async with aclosing(lines.read(self._o.logs, names, request)) as found:
            async for line in found:
                yield line

    async def events(self, caller: Caller, request: p.Events) -> AsyncIterator[p.EventView]:
        hub = self._o.manager.hub
        after = hub.published - request.lines if request.cursor is None else request.cursor
        after = min(max(0, after), hub.published)  # a cursor may be from before the store was lost
        patterns = [self._find.real(pattern) for pattern in request.units]
        yield p.EventView(seq=after, time=0.0, unit="", kind="mark", words="")
        async for told in hub.stream(after, request.follow):
            if not patterns or any(fnmatchcase(told.what.unit, pattern) for pattern in patterns):
                yield views.event_view(told)

    async def audit(self, caller: Caller, request: p.Audit) -> tuple[p.AuditView, ...]:
        if request.check:
            await self._check_audit(caller)
        rows = await self._o.store.audit(request.lines)
        return tuple(
            p.AuditView(seq=row.seq, time=row.time, hash=row.hash, **json.loads(row.body)) for row in rows
        )

    async def _check_audit(self, caller: Caller) -> None:
        if caller.role < Role.ADMIN:  # it reads all that was ever written
            raise refused("not-allowed", "not allowed: checking the audit log is for administrators")
        broken = await self._o.store.check_audit()
        if broken is not None:
            message = f"the audit log has been changed: entry {broken} does not follow from the one before"
            raise refused("audit-broken", message, "maestroctl audit -n N shows what it says now")

    # ------------------------------------------------------------------------------ the daemon itself

    async def daemon_reload(self, caller: Caller, request: p.DaemonReload) -> p.ReloadView:
        changes = self._o.carrier.reread()
        counts = f"{len(changes.added)} added, {len(changes.changed)} changed, {len(changes.removed)} removed"
        self._audit(caller, "daemon-reload", counts)
        return p.ReloadView(
            units=len(self._world.units),
            added=changes.added,
            changed=changes.changed,
            removed=changes.removed,
            asked={
                name: {option: change.value for option, change in options.items()}
                for name, options in changes.asked.items()
            },
            problems=tuple(map(views.problem_view, self._o.catalogue.problems)),
            warnings=tuple(map(views.problem_view, self._o.catalogue.warnings)),
        )

    async def daemon_reexec(self, caller: Caller, request: p.DaemonReexec) -> dict[str, Any]:
        self._audit(caller, "daemon-reexec", "begun")
        self._o.end("reexec", _who(caller))
        return {"started": self._o.started}

    async def shutdown(self, caller: Caller, request: p.Shutdown) -> dict[str, Any]:
        self._audit(caller, "shutdown --keep-agents" if request.keep_agents else "shutdown", "begun")
        self._o.end("leave" if request.keep_agents else "shutdown", _who(caller))
        return {"keep_agents": request.keep_agents}

    # ------------------------------------------------------------------------------ who did what

    def _audit(self, caller: Caller, action: str, result: str) -> None:
        record = {
            "uid": caller.uid,
            "pid": caller.pid,
            "who": _who(caller),
            "action": action[:4096],
            "result": result[:4096],
        }
        self._o.manager.note_audit(json.dumps(record, ensure_ascii=False).encode())


@contextmanager
def _told() -> Iterator[None]:
    """What keeps links from being changed, said to the caller."""
    try:
        yield
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise refused("cannot-write", f"cannot change links: {error.strerror or error}{where}") from error
    except ValueError as mistake:
        raise refused("bad-request", str(mistake)) from mistake


def _who(caller: Caller) -> str:
    return caller.agent or f"uid {caller.uid}"


def _id(caller: Caller) -> str:
    """What tells a request from all others: its id is the client's own choice."""
    return f"{caller.uid}:{caller.request_id}" if caller.request_id else ""


def _result(jobs: list[Job], errors: dict[str, p.ErrorView]) -> str:
    parts = [f"{job.unit}: job {job.id}" for job in jobs]
    return ", ".join(parts + [f"{name}: {error.code}" for name, error in errors.items()]) or "done"
