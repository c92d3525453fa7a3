"""Answers requests: the `Service` behind the control server, on top of the manager."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from fnmatch import fnmatchcase
from typing import Any

from maestro import __version__
from maestro.control import lines, views
from maestro.control import protocol as p
from maestro.control.archive import Archive
from maestro.control.clerk import who
from maestro.control.finder import is_name
from maestro.control.roles import Caller, Role
from maestro.control.service import refused
from maestro.control.stopping import EmergencyView
from maestro.control.survey import Survey
from maestro.control.till import Till
from maestro.engine.events import Happening
from maestro.engine.state import State
from maestro.model.redaction import redacted

_DRAINED = 1.0  # seconds that a log has to take what an ended unit wrote: a full disk does not take it at all


class Desk(Till, Survey, Archive):
    """Implements `service.Service`."""

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

    # ------------------------------------------------------------------------------ what is

    async def status(self, caller: Caller, request: p.Status) -> p.StatusView:
        find = self._find.of(caller)
        names, errors = find.match(request.units) if request.units else (find.everything(), {})
        detailed = request.detail and bool(request.units)
        found = tuple(self._unit(name, request.lines if detailed else 0, detailed) for name in names)
        return p.StatusView(
            units=found,
            errors=errors,
            notices=tuple(self._o.notices()) if caller.role >= Role.READ else (),
            now=self._o.manager.clock.wall(),
        )

    async def show(self, caller: Caller, request: p.Show) -> tuple[p.ShowView, ...]:
        return tuple(
            views.show_view(name, unit, self._o.catalogue.loaded(name), self._o.tiers(unit) if unit else ())
            for name in self._find.of(caller).all(request.units)
            for unit in (self._world.units.get(name),)
        )

    async def cat(self, caller: Caller, request: p.Cat) -> tuple[p.CatView, ...]:
        found = []
        for name in self._find.of(caller).all(request.units):
            pieces = self._o.catalogue.pieces(name)
            texts = tuple((piece.path, redacted(piece.text.decode("utf-8", "replace"))) for piece in pieces)
            found.append(p.CatView(name=name, pieces=texts))
        return tuple(found)

    async def logs(self, caller: Caller, request: p.Logs) -> AsyncIterator[p.LineView]:
        names = [name for name in self._with_log(caller, request) if not name.endswith((".target", ".slice"))]
        async with aclosing(lines.read(self._o.logs, names, request, self._end_of)) as found:
            async for line in found:
                yield line

    def _with_log(self, caller: Caller, request: p.Logs) -> list[str]:
        """The units that are meant, and those that are gone and have left a log."""
        find = self._find.of(caller)
        names, errors = find.match(request.units)
        for name, error in errors.items():  # of one that is gone only its slice is known, if it was transient
            if (
                not find.reach.sees(name)
                or not is_name(name)
                or not (request.to_end or self._o.logs.mark(name).size)
            ):
                raise refused(error.code, error.message, error.hint)
        return [*names, *errors]

    async def _end_of(self, name: str) -> None:
        """Wait until nothing of a unit runs, or will by itself, and all that it wrote is in its log."""
        changed = asyncio.Event()
        stop = self._o.manager.hub.listen(lambda told: changed.set())
        try:
            while self._world.life(name).state not in (State.DEAD, State.FAILED):
                changed.clear()
                await changed.wait()
        finally:
            stop()
        drained = asyncio.Event()
        self._o.logs.drained(name, drained.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(drained.wait(), _DRAINED)

    async def events(self, caller: Caller, request: p.Events) -> AsyncIterator[p.EventView]:
        hub = self._o.manager.hub
        await self._o.manager.caught_up()
        after = hub.published - request.lines if request.cursor is None else request.cursor
        after = min(max(0, after), hub.published)  # a cursor may be from before the store was lost
        sees = self._find.of(caller).reach.sees
        patterns = [self._find.real(pattern) for pattern in request.units]
        yield p.EventView(seq=after, time=0.0, unit="", kind="mark", words="")
        async for told in hub.stream(after, request.follow):
            is_meant = not patterns or any(fnmatchcase(told.what.unit, pattern) for pattern in patterns)
            if is_meant and sees(told.what.unit):
                yield views.event_view(told)

    async def audit(self, caller: Caller, request: p.Audit) -> tuple[p.AuditView, ...]:
        if request.check:
            await self._check_audit(caller)
        await self._o.manager.caught_up()
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

    # ------------------------------------------------------------------------------ all at once

    async def emergency_stop(self, caller: Caller, request: p.EmergencyStop) -> EmergencyView:
        do = {
            "freeze": self._o.emergency.freeze,
            "thaw": self._o.emergency.thaw,
            "stop": self._o.emergency.stop,
        }
        outcome = await do[request.act]()
        self._audit(caller, f"emergency-stop {request.act}", f"{outcome.agents} agents, by {outcome.how}")
        words = f"emergency-stop {request.act}: {outcome.agents} agents, asked by {who(caller)}"
        self._o.manager.tell(Happening(unit="", kind="emergency-stop", words=words))
        return EmergencyView(agents=outcome.agents, how=outcome.how, took=outcome.took, still=outcome.still)

    # ------------------------------------------------------------------------------ the daemon itself

    async def daemon_reload(self, caller: Caller, request: p.DaemonReload) -> p.ReloadView:
        changes = self._o.configuration.reread(
            who(caller), " ".join(request.reason.split()) or "daemon-reload"
        )
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
        self._o.end("reexec", who(caller))
        return {"started": self._o.started}

    async def shutdown(self, caller: Caller, request: p.Shutdown) -> dict[str, Any]:
        self._audit(caller, "shutdown --keep-agents" if request.keep_agents else "shutdown", "begun")
        self._o.end("leave" if request.keep_agents else "shutdown", who(caller))
        return {"keep_agents": request.keep_agents}
