"""Transient units: what file a request comes to, and whether the name is free."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from maestro.control import protocol as p
from maestro.control import tenant_runs
from maestro.control.roles import Caller
from maestro.control.service import refused
from maestro.control.tenant_runs import Commission
from maestro.control.tenants import Reach
from maestro.engine.state import State
from maestro.engine.world import World
from maestro.manager.catalogue import Catalogue
from maestro.manager.transients import Transients
from maestro.model import names
from maestro.model.plain import Mistake
from maestro.ports import Logs


class Draft(Struct, frozen=True):
    """A unit that is to be."""

    name: str
    path: str
    text: str
    tenants: Commission | None = None  # whose it is to be, of a tenant's


class Runner:
    """Raises `Refused`."""

    def __init__(self, catalogue: Catalogue, world: World, transients: Transients, logs: Logs) -> None:
        self._catalogue, self._world = catalogue, world
        self._transients, self._logs = transients, logs

    def draft(self, caller: Caller, request: p.Run, reach: Reach) -> Draft:
        name, properties, made = self._name(request.unit), request.properties, None
        if reach.acts_in is not None:
            text = self._compose(name, properties)
            made = tenant_runs.commission(
                caller, request.unit, properties, self._catalogue.alone(name, text), reach
            )
            name, properties = self._name(made.name), made.properties
        text = self._compose(name, properties)
        if made is not None:
            tenant_runs.look_over(made, self._catalogue.alone(name, text), reach)
        return Draft(name, self._catalogue.place_of(name), text, made)

    def _compose(self, name: str, properties: Sequence[str]) -> str:
        try:
            return self._catalogue.compose(properties)
        except Mistake as mistake:
            hint = mistake.faults[0].hint
            raise refused("bad-request", f"cannot run {name}: {mistake}", hint) from None

    def check(self, draft: Draft, reach: Reach) -> None:
        """Whether such a unit may be made now."""
        self._check_free(draft.name)
        loaded = self._catalogue.tried(draft.name, draft.text)
        problems = loaded.problems
        if draft.tenants is not None and not problems:
            tenant_runs.check(draft.tenants, loaded)
            self._check_tenants(draft.tenants, reach)
        if problems:
            own = [f"{one.option}: {one.message}" if one.path == draft.path else str(one) for one in problems]
            hint = next(
                (one.hint for one in problems if one.hint), "maestroctl explain OPTION says what it takes"
            )
            raise refused("bad-unit", f"cannot run {draft.name}: {'; '.join(own)}", hint)

    def _name(self, given: str) -> str:
        try:
            name = names.split(given.removesuffix(".agent"))
        except Mistake as mistake:
            message = f"no unit can have this name: {mistake}"
            raise refused("bad-request", message, mistake.faults[0].hint) from None
        if name.is_template or name.kind != "agent":
            raise refused(
                "bad-request", f"cannot run {name.full}: it is no agent's name", "choose another name"
            )
        return name.full

    def _check_tenants(self, made: Commission, reach: Reach) -> None:
        """What a tenant makes may neither fill the host with units, nor bring a log into its sight that another unit left."""
        count = sum(1 for name in self._transients.names() if reach.acts(name))
        if count >= tenant_runs.MOST_UNITS:
            message = f"cannot run {made.name}: your slices have {count} transient units, and more they may not have"
            raise refused(
                "too-many", message, "stop some, or forget those that have failed: maestroctl reset-failed"
            )
        if self._logs.mark(made.name).size and not reach.sees(made.name):
            message = f"cannot run {made.name}: a unit of this name has left a log that is not yours"
            raise refused("exists", message, "choose another name by --unit")

    def _check_free(self, name: str) -> None:
        if path := self._catalogue.path_of(name):
            hint = "choose another name by --unit"
            if path == self._catalogue.place_of(name) and self._world.life(name).state is State.FAILED:
                hint = f"maestroctl reset-failed {name} forgets it"
            raise refused("exists", f"cannot run {name}: there is a unit of this name already, {path}", hint)
        if name in self._world.units or self._world.life(name).state is not State.DEAD:
            message = f"cannot run {name}: an agent of this name still runs, though its file is gone"
            raise refused("exists", message, "choose another name by --unit")
