"""Transient units: what file a request comes to, and whether the name is free."""

from __future__ import annotations

from msgspec import Struct

from maestro.control import protocol as p
from maestro.control.service import refused
from maestro.engine.state import State
from maestro.engine.world import World
from maestro.manager.catalogue import Catalogue
from maestro.model import names
from maestro.model.plain import Mistake


class Draft(Struct, frozen=True):
    """A unit that is to be."""

    name: str
    path: str
    text: str


class Runner:
    """Raises `Refused`."""

    def __init__(self, catalogue: Catalogue, world: World) -> None:
        self._catalogue, self._world = catalogue, world

    def draft(self, request: p.Run) -> Draft:
        name = self._name(request.unit)
        try:
            text = self._catalogue.compose(request.properties)
        except Mistake as mistake:
            hint = mistake.faults[0].hint
            raise refused("bad-request", f"cannot run {name}: {mistake}", hint) from None
        return Draft(name, self._catalogue.place_of(name), text)

    def check(self, draft: Draft) -> None:
        """Whether such a unit may be made now."""
        self._check_free(draft.name)
        problems = self._catalogue.tried(draft.name, draft.text).problems
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

    def _check_free(self, name: str) -> None:
        if path := self._catalogue.path_of(name):
            hint = "choose another name by --unit"
            if path == self._catalogue.place_of(name) and self._world.life(name).state is State.FAILED:
                hint = f"maestroctl reset-failed {name} forgets it"
            raise refused("exists", f"cannot run {name}: there is a unit of this name already, {path}", hint)
        if name in self._world.units or self._world.life(name).state is not State.DEAD:
            message = f"cannot run {name}: an agent of this name still runs, though its file is gone"
            raise refused("exists", message, "choose another name by --unit")
