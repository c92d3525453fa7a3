"""Who needs whom, and who comes before whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from maestro.engine.relations import IN_SLICE, RELATIONS, Atom
from maestro.model import slices
from maestro.model.order import READY, Phase
from maestro.model.unit import Unit


class Link(Struct, frozen=True):
    """What `subject` is to `other`, because unit `by` says `option`."""

    subject: str
    atom: Atom
    other: str
    by: str
    option: str


class Edge(Struct, frozen=True):
    """`first` comes up before `second`, because one of them says so."""

    first: str
    second: str
    option: str  # "after", "before"; or a dependency of a target, which implies an order
    where: str  # FILE:LINE of the option, empty for a link
    phase: Phase = READY  # how far the first has to be


_Related = dict[str, dict[str, dict[Link, None]]]
SLICE = "slice"  # the option of a link, and of an edge, between a unit and the slice that it is in
_IMPLYING_ORDER = ("requires", "requisite", "wants", "binds_to", "upholds", "milestone")  # of a target


class Graph:
    """Adjacency of the loaded units. Units are added and replaced one at a time; names that are not loaded cost nothing."""

    def __init__(self, units: Iterable[Unit] = ()) -> None:
        self._said: dict[str, tuple[Edge, ...]] = {}  # by the unit that says it
        self.predecessors: dict[str, dict[str, Edge]] = {}  # unit -> those that come up before it
        self.successors: dict[str, dict[str, Edge]] = {}
        self._links: dict[str, tuple[Link, ...]] = {}  # by the unit that says it
        self._related: dict[Atom, _Related] = {atom: {} for atom in Atom}  # subject -> other -> links
        self._suffered: dict[Atom, _Related] = {atom: {} for atom in Atom}  # other -> subject -> links
        self.slice_of: dict[str, str] = {}  # unit -> the slice that it is directly in
        self._neighbours: dict[
            str, frozenset[str]
        ] = {}  # made when asked for, until a unit is put or removed
        self._exclusive: dict[str, tuple[str, ...]] = {}  # unit -> what only one at a time may hold
        self._sharers: dict[str, dict[str, None]] = {}  # such a thing -> the units that want it
        for unit in units:
            self.put(unit)

    def put(self, unit: Unit) -> None:
        self.remove(unit.name)
        self._neighbours.clear()
        self._links[unit.name] = links = tuple(_links(unit))
        for link in links:
            for said, here, there in self._both_ways(link):
                said.setdefault(here, {}).setdefault(there, {})[link] = None
        if inside := slices.chain(unit):
            self.slice_of[unit.name] = inside[-1]
        self._exclusive[unit.name] = unit.unit.exclusive
        for thing in unit.unit.exclusive:
            self._sharers.setdefault(thing, {})[unit.name] = None
        edges = tuple(_edges(unit))
        self._said[unit.name] = edges
        for edge in edges:
            known = self.predecessors.setdefault(edge.second, {}).get(edge.first)
            if known is None or (known.phase != READY and edge.phase == READY):  # both hold: so the later one
                self.predecessors[edge.second][edge.first] = edge
                self.successors.setdefault(edge.first, {})[edge.second] = edge

    def remove(self, name: str) -> None:
        self._neighbours.clear()
        for edge in self._said.pop(name, ()):
            if self.predecessors[edge.second].get(edge.first) is edge:
                self._withdraw(edge, other=edge.first if edge.second == name else edge.second)
        self.slice_of.pop(name, None)
        for thing in self._exclusive.pop(name, ()):
            del self._sharers[thing][name]
        for link in self._links.pop(name, ()):
            for said, here, there in self._both_ways(link):
                del said[here][there][link]
                if not said[here][there]:
                    del said[here][there]

    def _both_ways(self, link: Link) -> tuple[tuple[_Related, str, str], ...]:
        return (
            (self._related[link.atom], link.subject, link.other),
            (self._suffered[link.atom], link.other, link.subject),
        )

    def _withdraw(self, edge: Edge, other: str) -> None:
        del self.predecessors[edge.second][edge.first]
        del self.successors[edge.first][edge.second]
        for same in self._said.get(other, ()):  # the other unit may have said it too
            if (same.first, same.second) == (edge.first, edge.second):
                self.predecessors[same.second][same.first] = same
                self.successors[same.first][same.second] = same

    def of(self, name: str, atom: Atom) -> Iterable[str]:
        """The units that this one is that to."""
        return self._related[atom].get(name, ())

    def to(self, name: str, atom: Atom) -> Iterable[str]:
        """The units that are that to this one."""
        return self._suffered[atom].get(name, ())

    def tell(self, subject: str, atom: Atom, other: str) -> str:
        """`a requires b`: what makes the first that to the second."""
        link = next(iter(self._related[atom][subject][other]))
        named = link.other if link.by == link.subject else link.subject
        said = "is in" if link.option == SLICE else link.option.replace("_", " ")
        return f"{link.by} {said} {named}"

    def links_by(self, name: str) -> tuple[Link, ...]:
        """What this unit says of others."""
        return self._links.get(name, ())

    def rivals(self, name: str) -> dict[str, str]:
        """The units that want a thing which only one may hold and this one wants, and which thing."""
        things = self._exclusive.get(name, ())
        return {other: thing for thing in things for other in self._sharers[thing] if other != name}

    def inside(self, name: str) -> Iterable[str]:
        """The units that are directly in a slice."""
        return (other for other in self.to(name, Atom.NEED) if self.slice_of.get(other) == name)

    def awaited(self, name: str) -> dict[str, Phase]:
        """The units that its start waits for, and how far each has to be."""
        found = (*self.predecessors.get(name, ()), *self.of(name, Atom.BOUND))
        return {other: self.phase(other, name) for other in found}

    def phase(self, first: str, second: str) -> Phase:
        """How far the one has to be for the other, which waits for it."""
        edge = self.predecessors.get(second, {}).get(first)
        return READY if edge is None else edge.phase

    def neighbours(self, name: str) -> frozenset[str]:
        """Units whose next step may depend on this one's state."""
        known = self._neighbours.get(name)
        if known is None:
            known = self._neighbours[name] = self._find_neighbours(name)
        return known

    def _find_neighbours(self, name: str) -> frozenset[str]:
        return frozenset(
            (
                *self.predecessors.get(name, ()),
                *self.successors.get(name, ()),
                *self.to(name, Atom.NEED),
                *self.to(name, Atom.BOUND),
                *self.to(name, Atom.APART),
                *self.of(name, Atom.UPHOLD),
                *self.rivals(name),
            )
        )

    def cycle(self, among: Iterable[str] | None = None) -> list[Edge]:
        """A shortest cycle of the order among these units (by default all), edge by edge; empty when there is none."""
        inside = set(self._said if among is None else among)
        cyclic = _core(inside, self.successors)
        shortest: list[Edge] = []
        for name in sorted(cyclic):
            loop = self._loop(name, cyclic)
            if loop and (not shortest or len(loop) < len(shortest)):
                shortest = loop
        return shortest

    def _loop(self, name: str, inside: set[str]) -> list[Edge]:
        """A shortest way from a unit back to itself."""
        came: dict[str, Edge] = {}
        todo = [name]
        for here in todo:
            for there, edge in self.successors.get(here, {}).items():
                if there == name:
                    way = [edge]
                    while way[0].first != name:
                        way.insert(0, came[way[0].first])
                    return way
                if there in inside and there not in came:
                    came[there] = edge
                    todo.append(there)
        return []


def _edges(unit: Unit) -> Iterable[Edge]:
    section = unit.unit
    for one in section.after:
        yield Edge(str(one.unit), unit.name, "after", _where(unit, "unit.after"), one.phase)
    for name in map(str, section.before):
        yield Edge(unit.name, name, "before", _where(unit, "unit.before"))
    for name in slices.chain(unit)[-1:]:
        yield Edge(name, unit.name, SLICE, _where(unit, "resources.slice"))
    if unit.kind == "target" and section.default_dependencies:
        ordered = {*section.before, *(one.unit for one in section.after)}
        for option in _IMPLYING_ORDER:
            for name in map(str, getattr(section, option)):
                if name not in ordered:
                    yield Edge(name, unit.name, option, _where(unit, f"unit.{option}"))


def _links(unit: Unit) -> Iterable[Link]:
    said = [(option, one, map(str, getattr(unit.unit, option))) for option, one in RELATIONS.items()]
    for option, relation, others in [*said, (SLICE, IN_SLICE, slices.chain(unit)[-1:])]:
        for other in others:
            for atom in relation.there:
                yield Link(unit.name, atom, other, unit.name, option)
            for atom in relation.back:
                yield Link(other, atom, unit.name, unit.name, option)


def _where(unit: Unit, option: str) -> str:
    origin = unit.origins.get(option)
    return f"{origin.path}:{origin.line}" if origin else ""


def _core(inside: set[str], successors: Mapping[str, Mapping[str, Edge]]) -> set[str]:
    """What is left when units without a successor, and without a predecessor, have been taken away again and again."""
    core = set(inside)
    while True:
        pointed = {there for here in core for there in successors.get(here, ()) if there in core}
        kept = {
            here
            for here in core
            if here in pointed and any(there in core for there in successors.get(here, ()))
        }
        if kept == core:
            return core
        core = kept


def tell_cycle(edges: list[Edge]) -> str:
    """`a before b (b.agent.yaml:4: after), b before a (…)`."""
    parts = []
    for edge in edges:
        place = f"{edge.where}: {edge.option}" if edge.where else edge.option
        parts.append(f"{edge.first} before {edge.second} ({place})")
    return ", ".join(parts)
