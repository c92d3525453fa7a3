"""The part of the desk that only looks: how units hang together, how they started, why they are as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace

from maestro.control import looks, views
from maestro.control import protocol as p
from maestro.control.clerk import refused_in
from maestro.control.finder import Finder, Found
from maestro.control.roles import Caller
from maestro.engine.graph import Edge, Link
from maestro.engine.relations import Atom
from maestro.engine.state import Coarse, Goal, Life, State
from maestro.engine.treasury import nearest_to_its_end
from maestro.engine.verbs import VERBS
from maestro.engine.world import World
from maestro.model.order import STARTED
from maestro.model.unit import Unit

if TYPE_CHECKING:
    from maestro.control.clerk import Office

_REMEMBERED = 500  # entries of the audit log that are looked through for who asked last
_PULLS = (Atom.START, Atom.TRY_START, Atom.UPHOLD)  # what makes one unit want another up
_ASKED = {*VERBS, "kill", "run"}  # requests after which a unit may be in another state
_DOWN = frozenset({Coarse.INACTIVE, Coarse.FAILED, Coarse.DEACTIVATING})


class Survey:
    """Methods of `control.service.Service`; the desk has the rest."""

    _o: Office
    _world: World
    _find: Finder

    def _unit(self, name: str, lines: int, detailed: bool) -> p.UnitView:
        manager, life = self._o.manager, self._world.life(name)
        unit, loaded = self._world.units.get(name), self._o.catalogue.loaded(name)
        view = views.unit_view(name, unit, life, loaded, manager.clock.now(), manager.clock.wall())
        changes: dict[str, Any] = {
            "enabled": self._o.catalogue.is_enabled(name),
            "outdated": {
                option: change.value
                for option, change in self._o.catalogue.outdated(name, self._world).items()
            },
            "cause": self._cause(unit, life),
            "budget": nearest_to_its_end(self._world, name, manager.clock.now(), manager.clock.wall()),
            "hint": self._o.hints.get(name, "") if view.result not in ("", "success") else "",
        }
        if view.kind == "slice":
            changes["members"] = tuple(sorted(self._world.graph.inside(name)))
        if detailed and (view.kind == "slice" or life.alive):
            changes["usage"] = self._whole_usage(name)
        if detailed and view.kind == "agent":
            mark = self._o.logs.mark(name)
            changes |= {
                "changed": self._o.catalogue.is_changed(name),
                "dropped_lines": mark.dropped_lines,
                "log_trouble": mark.unwritable,
                "log_size": mark.size,
                "tiers": self._o.tiers(unit) if unit is not None else (),
                "processes": views.process_views(self._o.processes(life.pid))
                if life.alive and life.pid
                else (),
                "log": tuple(views.line_view(name, line) for line in self._o.logs.tail(name, lines))
                if lines
                else (),
            }
        return replace(view, **changes)

    # ------------------------------------------------------------------------------ what they use

    async def usage(self, caller: Caller, request: p.Usage) -> p.UsagesView:
        find = self._find.of(caller)
        names, errors = self._meant(request.units, find)
        if not request.units:
            names = [name for name in find.everything() if self._runs(name)]
        return p.UsagesView(
            units=tuple(self._usage(name) for name in names),
            errors=errors,
            now=self._o.manager.clock.wall(),
            processors=os.cpu_count() or 1,
        )

    def _runs(self, name: str) -> bool:
        unit = self._world.units.get(name)
        return unit is not None and unit.agent is not None and self._world.life(name).alive

    def _usage(self, name: str) -> p.UsageView:
        return views.usage_view(name, self._world.life(name), self._o.sampler.read(name))

    def _whole_usage(self, name: str) -> p.UsageView | None:
        """With what is not sampled, for it changes seldom: limits and the peak."""
        unit = self._world.units.get(name)
        whole = self._o.groups.usage(unit) if unit is not None else None
        return views.with_limits(self._usage(name), whole) if whole is not None else None

    # ------------------------------------------------------------------------------ causes

    def _cause(self, unit: Unit | None, life: Life) -> str:
        """Why it is as it is; and of one at rest, what it lacks to be started."""
        at_rest = life.state in (State.DEAD, State.FAILED)
        lack = self._o.catalogue.lack(unit) if unit is not None and at_rest else ""
        return "; ".join(filter(None, (life.cause, lack)))

    def _meant(self, patterns: tuple[str, ...], find: Finder | None = None) -> Found:
        """Where none is named, none is meant: those requests are about all units then."""
        return (find or self._find).match(patterns) if patterns else ([], {})

    # ------------------------------------------------------------------------------ how they hang together

    async def links(self, caller: Caller, request: looks.Links) -> looks.LinksView:
        named, errors = self._meant(request.units)
        links: dict[Link, None] = {}
        known = sorted({*self._find.everything(), *named})
        seen = set(known)
        for name in known:  # it grows: an instance that others name exists as soon as somebody asks
            self._world.know(name)
            links |= dict.fromkeys(self._world.graph.links_by(name))
            new = [other for other in self._others(name) if other not in seen]
            seen.update(new)
            known += new
        edges = (edge for name in known for edge in self._world.graph.predecessors.get(name, {}).values())
        return looks.LinksView(
            named=tuple(named),
            units=tuple(self._node(name) for name in sorted(seen)),
            links=tuple(_once(links)),
            order=tuple(map(_order, edges)),
            errors=errors,
        )

    def _others(self, name: str) -> Iterable[str]:
        graph = self._world.graph
        for link in graph.links_by(name):
            yield link.other if link.by == link.subject else link.subject
        yield from graph.predecessors.get(name, ())
        yield from graph.successors.get(name, ())

    def _node(self, name: str) -> looks.NodeView:
        life, loaded = self._world.life(name), self._o.catalogue.loaded(name)
        load = "missing" if loaded is None else "bad" if loaded.problems else "loaded"
        return looks.NodeView(name=name, load=load, state=life.coarse.value, fine=life.state.value)

    # ------------------------------------------------------------------------------ how they started

    async def starts(self, caller: Caller, request: looks.Starts) -> looks.StartsView:
        find = self._find.of(caller)
        named, errors = self._meant(request.units, find)
        names = named if request.units else find.everything()
        lives = [(name, self._world.life(name)) for name in names]
        return looks.StartsView(
            named=tuple(named),
            starts=tuple(
                self._start(name, life) for name, life in lives if life.agent or life.asked is not None
            ),
            now=self._o.manager.clock.now(),
            errors=errors,
        )

    def _start(self, name: str, life: Life) -> looks.StartView:
        unit, awaited = self._world.units.get(name), self._world.graph.awaited(name)
        opened = life.began if life.opened is None else life.opened  # neither was noted at first
        asked = opened if life.asked is None else life.asked
        ready = life.ready_at
        if life.completed and ready is None and life.ended is not None:
            ready = life.ended.at
        began = opened if life.agent else ready  # what has no process is there at once
        main = life.began if life.agent and life.state is not State.START_PRE else None
        return looks.StartView(
            name=name,
            kind=unit.kind if unit is not None else "agent",
            state=life.coarse.value,
            asked=asked,
            # While it waits to be started again, these are still the times of the start before.
            began=_since(asked, began),
            started=_since(asked, main),
            ready=_since(asked, ready),
            ended=_since(asked, _ended(life)),
            after=tuple(awaited),
            after_started=tuple(other for other, phase in awaited.items() if phase == STARTED),
        )

    # ------------------------------------------------------------------------------ why they are as they are

    async def doctor(self, caller: Caller, request: looks.Doctor) -> tuple[looks.FindingView, ...]:
        return tuple(looks.FindingView(**asdict(one)) for one in self._o.examine())

    async def why(self, caller: Caller, request: looks.Why) -> looks.WhyView:
        find = self._find.of(caller)
        named, errors = self._meant(request.units, find)
        known = list(named)
        seen = set(known)
        for name in known:  # it grows
            blockers = filter(find.reach.sees, self._world.life(name).blocked_by)
            new = [other for other in blockers if other not in seen]
            seen.update(new)
            known += new
        asked = await self._who_asked(seen)
        return looks.WhyView(
            named=tuple(named),
            reasons=tuple(self._reason(name, asked.get(name)) for name in known),
            now=self._o.manager.clock.wall(),
            errors=errors,
        )

    def _reason(self, name: str, asked: tuple[str, str, float] | None) -> looks.ReasonView:
        view = self._unit(name, 0, False)
        verb, who, when = asked or ("", "", 0.0)
        pulled = dict.fromkeys(other for atom in _PULLS for other in self._world.graph.to(name, atom))
        return looks.ReasonView(
            name=name,
            load=view.load,
            state=view.state,
            fine=view.fine,
            goal=view.goal,
            since=view.since,
            cause=view.cause,
            waits_for=view.blocked_by,
            next=view.next,
            next_in=view.next_in,
            hint=view.hint,
            pulled_by=tuple(other for other in pulled if self._world.life(other).goal is Goal.UP),
            asked=verb,
            asked_by=who,
            asked_at=when,
        )

    async def _who_asked(self, names: set[str]) -> dict[str, tuple[str, str, float]]:
        """The newest request that was accepted for each of these units, as far back as is looked: what, by whom, when."""
        found: dict[str, tuple[str, str, float]] = {}
        await self._o.manager.caught_up()
        for row in await self._o.store.audit(_REMEMBERED):  # oldest first
            entry = json.loads(row.body)
            verb, *others = str(entry["action"]).split()
            if verb in _ASKED:
                named = others[:1] if verb == "run" else others  # then comes the command
                accepted = names.intersection(named) - refused_in(str(entry["result"]))
                found |= {name: (verb, str(entry["who"]), row.time) for name in accepted}
        return found


def _since(asked: float, then: float | None) -> float | None:
    return then if then is not None and then >= asked else None


def _ended(life: Life) -> float | None:
    if life.coarse is Coarse.ACTIVE:
        return None
    if life.ended is not None:
        return life.ended.at
    return life.since if life.coarse in _DOWN or life.state is State.BACKOFF else None


def _once(links: Iterable[Link]) -> Iterable[looks.LinkView]:
    """An option is several links to the machine, and one to people."""
    said = dict.fromkeys(
        (link.by, link.option, link.other if link.by == link.subject else link.subject) for link in links
    )
    return (looks.LinkView(by=by, option=option, other=other) for by, option, other in said)


def _order(edge: Edge) -> looks.OrderView:
    return looks.OrderView(
        first=edge.first, second=edge.second, option=edge.option, where=edge.where, phase=edge.phase
    )
