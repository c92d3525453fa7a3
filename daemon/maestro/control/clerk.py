"""What the manager's side of the control socket does when it is asked to change something."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from maestro.control import protocol as p
from maestro.control import views
from maestro.control.finder import Finder, Found, is_glob
from maestro.control.linker import THEN, Linker
from maestro.control.roles import Caller
from maestro.control.runner import Draft, Runner
from maestro.control.service import refused
from maestro.engine.events import Asked, Happening, Send
from maestro.engine.jobs import Job, JobState
from maestro.engine.state import Coarse
from maestro.manager.carrier import Carrier
from maestro.manager.catalogue import Catalogue
from maestro.manager.configuration import Configuration
from maestro.manager.emergency import Emergency
from maestro.manager.loop import Manager
from maestro.manager.no_groups import NoGroups
from maestro.manager.plugins import Plugins
from maestro.manager.sampler import Sampler
from maestro.manager.transients import Transients
from maestro.model.redaction import redacted
from maestro.model.status import signal_name, signal_number
from maestro.model.unit import Unit
from maestro.ports import Finding, Groups, Logs, Store, UnitFiles

PROGRESS = 1.0  # seconds between two words on what a verb waits for


class Office(Struct, frozen=True, kw_only=True):
    """All that answering needs."""

    manager: Manager
    catalogue: Catalogue
    carrier: Carrier
    logs: Logs
    store: Store
    configuration: Configuration
    files: UnitFiles
    plugins: Plugins
    transients: Transients
    groups: Groups = NoGroups()
    processes: Callable[[int], list[tuple[int, int, str]]]
    sampler: Sampler
    emergency: Emergency
    hints: dict[str, str]  # unit -> what a plugin found out about its last end
    root: str
    keeper_pid: int
    started: float
    is_ending: Callable[[], bool]
    end: Callable[[str, str], None]  # "shutdown", "leave" (agents run on), "reexec"; and who asked for it
    notices: Callable[[], list[str]]
    examine: Callable[[], tuple[Finding, ...]] = tuple  # what the host offers
    tiers: Callable[[Unit], tuple[str, ...]] = lambda unit: ()  # what confines a unit on this host


class Clerk:
    """The requests that change something. Each is done once, however often it comes, and goes to the audit log."""

    def __init__(self, office: Office) -> None:
        self._o = office
        self._world = office.manager.world
        self._find = Finder(self._world, office.catalogue, gone=office.transients.slice_of_gone)
        self._runner = Runner(office.catalogue, self._world, office.transients, office.logs)
        self._linker = Linker(office.files, office.catalogue, self._world, self._find)

    async def verb(self, caller: Caller, request: p.Verb) -> AsyncIterator[p.VerbView]:
        verb = str(request.__struct_config__.tag)
        if verb != "stop" and self._o.is_ending():
            raise refused("ending", f"cannot {verb} anything now: maestrod is ending", "start it again first")
        if verb != "stop" and not request.dry_run:
            self._refuse_while_held(verb)
        find = self._find.of(caller, acting=True)
        names, errors = (find.match if verb == "stop" else find.in_force)(request.units)
        mode = "isolate" if verb == "isolate" else request.mode
        asked = Asked(verb, tuple(names), _id(caller), mode)
        if request.dry_run:
            yield views.rehearsed(*self._world.rehearse(asked), errors, find.reach.sees)
            return
        before = self._recall(caller)
        changes: list[str] = []
        if before is None:
            jobs = self._ask(asked, errors, changes)
            self._audit(caller, f"{verb} {' '.join(names)}", result(jobs, errors))
            self._remember(caller, errors)
        else:
            jobs, errors = self._o.manager.asked_before(_id(caller)), before
        async for view in self._await(jobs, errors, request.wait, tuple(changes)):
            yield view

    def _refuse_while_held(self, verb: str) -> None:
        if self._o.emergency.is_on:
            hint = "maestroctl emergency-stop --thaw, or --stop, ends that"
            raise refused("held", f"cannot {verb} anything now: every agent is held by emergency-stop", hint)

    def _ask(self, asked: Asked, errors: dict[str, p.ErrorView], changes: list[str]) -> list[Job]:
        """Put a verb to the engine. Returns its jobs; adds what was refused, and what there was nothing to do about."""
        step = self._o.manager.feed(asked)
        for name, refusal in step.refusals.items():
            if refusal.done:
                changes.append(refusal.words)
            else:
                errors[name] = views.error_view(refusal)
        made = [job for job in step.jobs if job.unit in asked.units]
        return [job for job in made if job.state is not JobState.CANCELED]

    async def at_once(
        self, caller: Caller, request: p.ResetFailed | p.Cancel | p.Freeze | p.Thaw
    ) -> p.VerbView:
        verb = str(request.__struct_config__.tag)
        if verb == "thaw":
            self._refuse_while_held(verb)
        find = self._find.of(caller, acting=True)
        names, errors = self._of_jobs(request.units, find) if verb == "cancel" else find.match(request.units)
        if not request.units:  # a `Cancel` names some
            names = [name for name in find.everything() if self._world.life(name).coarse is Coarse.FAILED]
        before = self._recall(caller)
        changes: list[str] = []
        if before is None:
            refusals = self._o.manager.feed(Asked(verb, tuple(names))).refusals
            for name in names:
                if (refusal := refusals.get(name)) is not None and not refusal.done:
                    errors[name] = views.error_view(refusal)
                else:
                    changes.append(f"{name}: {_DONE[verb]}" if refusal is None else refusal.words)
            self._audit(caller, f"{verb} {' '.join(names)}", result([], errors))
            self._remember(caller, errors)
        await self._o.manager.settle()
        return p.VerbView(errors=errors if before is None else before, changes=tuple(changes))

    def _of_jobs(self, given: Sequence[str], find: Finder) -> Found:
        """The units that pending jobs are for: named, or by the job's number, or of a glob those that have one."""
        jobs, found, errors = self._world.book.jobs, dict[str, None](), dict[str, p.ErrorView]()
        for one in given:
            named = jobs[int(one)].unit if one.isdigit() and int(one) in jobs else one
            names, wrong = find.match([named])
            names = [name for name in names if not is_glob(one) or self._world.book.of(name) is not None]
            found |= dict.fromkeys(names)
            if wrong and one.isdigit():
                wrong = {one: _no_job(f"there is no pending job {one}")}
            elif not names and not wrong:
                wrong = {one: _no_job(f"no unit {one} has a pending job")}
            errors |= wrong
        return list(found), errors

    async def jobs(self, caller: Caller, request: p.Jobs) -> tuple[p.JobView, ...]:
        now, sees = self._o.manager.clock.now(), self._find.of(caller).reach.sees
        return tuple(
            replace(
                views.job_view(job, self._world.life(job.unit).cause),
                age=round(max(0.0, now - job.created), 3),
            )
            for job in self._world.book.jobs.values()
            if sees(job.unit)
        )

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
        names, errors = self._find.of(caller, acting=True).match(request.units)
        for name in names:
            life = self._world.life(name)
            if not life.agents:
                errors[name] = p.ErrorView(
                    code="not-running", message=f"cannot kill {name}: it is {life.coarse}"
                )
                continue
            for agent in life.agents if request.whole else life.agents[:1]:
                self._o.manager.do(Send(agent, signal_name(number), request.whole))
            text = f"SIG{signal_name(number)} sent by {who(caller)}"
            self._o.manager.tell(
                Happening(unit=name, kind="kill", words=text, state=str(life.coarse), agent=life.agent)
            )
        self._audit(caller, f"kill -s {request.signal} {' '.join(names)}", result([], errors))
        self._remember(caller, errors)
        await self._o.manager.settle()
        return p.VerbView(errors=errors)

    async def link(self, caller: Caller, request: p.Linking) -> AsyncIterator[p.VerbView]:
        with _told("change links"):
            linked = self._linker.carry_out(request)
        verb = str(request.__struct_config__.tag)
        self._o.configuration.reread(who(caller), f"{verb} {' '.join(linked.names)}")
        errors, jobs = linked.errors, list[Job]()
        before = self._recall(caller)
        if before is not None:  # links may be made twice, and the words on them are for the first time only
            jobs, errors = self._o.manager.asked_before(_id(caller)), before
        else:
            then = THEN.get(type(request), "") if getattr(request, "now", False) else ""
            if then and (concerned := self._linker.concerned(linked, then)):
                jobs = self._ask(Asked(then, tuple(concerned), _id(caller)), errors, linked.changes)
            self._audit(caller, f"{verb} {' '.join(linked.names)}", result(jobs, errors))
            self._remember(caller, errors)
        async for view in self._await(jobs, errors, True, tuple(linked.changes)):
            yield view

    async def run(self, caller: Caller, request: p.Run) -> AsyncIterator[p.RunView]:
        if self._o.is_ending():
            raise refused("ending", "cannot run anything now: maestrod is ending", "start it again first")
        self._refuse_while_held("run")
        reach = self._find.of(caller, acting=True).reach
        draft = self._runner.draft(caller, request, reach)
        made = p.RunView(unit=draft.name, path=draft.path, text=redacted(draft.text))
        if self._recall(caller) is not None:
            jobs = self._o.manager.asked_before(_id(caller))
        else:
            self._runner.check(draft, reach)
            if request.dry_run:
                yield made
                return
            jobs = self._make(caller, draft)
            self._remember(caller, {})
        async for view in self._await(jobs, {}, request.wait):
            yield replace(made, jobs=view.jobs)

    def _make(self, caller: Caller, draft: Draft) -> list[Job]:
        """Make a transient unit and start it; one that cannot be started is not there afterwards."""
        with _told("make a unit"):
            loaded = self._o.transients.make(draft.name, draft.text)
        errors: dict[str, p.ErrorView] = {}
        jobs = self._ask(Asked("start", (draft.name,), _id(caller)), errors, [])
        if loaded is not None and loaded.problems:  # its directory may be written by others, say
            errors[draft.name] = p.ErrorView(code="bad-unit", message=f"cannot run it: {loaded.problems[0]}")
        agent = loaded.unit.agent if loaded is not None and loaded.unit is not None else None
        words = shlex.join(agent.exec) if agent is not None else ""  # not its variables, which may be secrets
        self._audit(caller, f"run {draft.name} {words}", result(jobs, errors))
        for error in errors.values():
            self._o.transients.forget([draft.name])
            raise refused(error.code, error.message, error.hint)
        return jobs

    async def is_enabled(self, caller: Caller, request: p.IsEnabled) -> tuple[p.EnablementView, ...]:
        return tuple(self._linker.enablement(name) for name in request.units)

    # ------------------------------------------------------------------------------ who did what

    def _audit(self, caller: Caller, action: str, result: str) -> None:
        record = {
            "uid": caller.uid,
            "pid": caller.pid,
            "who": who(caller),
            "action": action[:4096],
            "result": result[:4096],
        }
        self._o.manager.note_audit(json.dumps(record, ensure_ascii=False).encode())


_DONE = {
    "cancel": "canceled",
    "reset-failed": "its failures are forgotten",
    "freeze": "frozen",
    "thaw": "thawed",
}


@contextmanager
def _told(what: str) -> Iterator[None]:
    """What keeps us from it, said to the caller."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        said = (error.strerror or str(error)).lower() if where else error.strerror or error
        raise refused("cannot-write", f"cannot {what}: {where}{said}") from error
    except ValueError as mistake:
        raise refused("bad-request", str(mistake)) from mistake


def who(caller: Caller) -> str:
    return caller.agent or f"uid {caller.uid}"


def _id(caller: Caller) -> str:
    """What tells a request from all others: its id is the client's own choice."""
    return f"{caller.uid}:{caller.request_id}" if caller.request_id else ""


def result(jobs: list[Job], errors: dict[str, p.ErrorView]) -> str:
    parts = [f"{job.unit}: job {job.id}" for job in jobs]
    return ", ".join(parts + [f"{name}: {error.code}" for name, error in errors.items()]) or "done"


def refused_in(result: str) -> set[str]:
    """The units for which a request of this result was refused."""
    parts = (part.partition(": ") for part in result.split(", "))
    return {name for name, _, what in parts if what and not what.startswith("job ")}


def _no_job(message: str) -> p.ErrorView:
    return p.ErrorView(code="no-job", message=message, hint="maestroctl jobs")
