"""Who needs whom, and who comes before whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from maestro.model.unit import Unit


class Edge(Struct, frozen=True):
    """`first` comes up before `second`, because one of them says so."""

    first: str
    second: str
    option: str  # "after", "before"; or "requires", "wants" of a target, which imply an order
    where: str  # FILE:LINE of the option, empty for a link


class Graph:
    """Adjacency of the loaded units. Units are added and replaced one at a time; names that are not loaded cost nothing."""

    def __init__(self, units: Iterable[Unit] = ()) -> None:
        self._said: dict[str, tuple[Edge, ...]] = {}  # by the unit that says it
        self.predecessors: dict[str, dict[str, Edge]] = {}  # unit -> those that come up before it
        self.successors: dict[str, dict[str, Edge]] = {}
        self.requires: dict[str, tuple[str, ...]] = {}
        self.wants: dict[str, tuple[str, ...]] = {}
        self.required_by: dict[str, set[str]] = {}
        for unit in units:
            self.put(unit)

    def put(self, unit: Unit) -> None:
        self.remove(unit.name)
        self.requires[unit.name] = tuple(map(str, unit.unit.requires))
        self.wants[unit.name] = tuple(map(str, unit.unit.wants))
        for name in self.requires[unit.name]:
            self.required_by.setdefault(name, set()).add(unit.name)
        edges = tuple(_edges(unit))
        self._said[unit.name] = edges
        for edge in edges:
            self.predecessors.setdefault(edge.second, {}).setdefault(edge.first, edge)
            self.successors.setdefault(edge.first, {}).setdefault(edge.second, edge)

    def remove(self, name: str) -> None:
        for edge in self._said.pop(name, ()):
            if self.predecessors[edge.second].get(edge.first) is edge:
                self._withdraw(edge, other=edge.first if edge.second == name else edge.second)
        for needed in self.requires.pop(name, ()):
            self.required_by[needed].discard(name)
        self.wants.pop(name, None)

    def _withdraw(self, edge: Edge, other: str) -> None:
        del self.predecessors[edge.second][edge.first]
        del self.successors[edge.first][edge.second]
        for same in self._said.get(other, ()):  # the other unit may have said it too
            if (same.first, same.second) == (edge.first, edge.second):
                self.predecessors[same.second][same.first] = same
                self.successors[same.first][same.second] = same

    def neighbours(self, name: str) -> set[str]:
        """Units whose next step may depend on this one's state."""
        return {
            *self.predecessors.get(name, ()),
            *self.successors.get(name, ()),
            *self.required_by.get(name, ()),
        }

    def pulled_in(self, names: Iterable[str]) -> list[str]:
        """The units that a start of these starts as well, without them; each once, in the order found."""
        return self._closure(names, lambda name: (*self.requires.get(name, ()), *self.wants.get(name, ())))

    def brought_down(self, names: Iterable[str]) -> list[str]:
        """The units that a stop of these stops as well: those that require them."""
        return self._closure(names, lambda name: sorted(self.required_by.get(name, ())))

    def _closure(self, names: Iterable[str], following: Callable[[str], Iterable[str]]) -> list[str]:
        asked = list(names)
        seen, found, todo = set(asked), [], list(asked)
        while todo:
            for name in following(todo.pop()):
                if name not in seen:
                    seen.add(name)
                    found.append(name)
                    todo.append(name)
        return found

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
    for option, names in (("after", section.after), ("before", section.before)):
        for name in map(str, names):
            first, second = (name, unit.name) if option == "after" else (unit.name, name)
            yield Edge(first, second, option, _where(unit, option))
    if unit.kind == "target":
        ordered = {*section.before, *section.after}
        for option, names in (("requires", section.requires), ("wants", section.wants)):
            for name in map(str, names):
                if name not in ordered:
                    yield Edge(name, unit.name, option, _where(unit, option))


def _where(unit: Unit, option: str) -> str:
    origin = unit.origins.get(f"unit.{option}")
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
